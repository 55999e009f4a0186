package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Unambiguous fails where two readers of a JSON text may see two things in it:
// where an object has a name twice, also where only the case of its letters
// differs (Go's reader takes either). Ask it of an answer before its data is
// checked against the record.
func Unambiguous(raw []byte) error {
	if !json.Valid(raw) {
		return errors.New("not JSON")
	}
	return unique(raw, strings.ToLower)
}

// unique fails where an object has a name twice: some readers take the first,
// others the last, and both would call the signature good. raw must be JSON;
// as makes names alike that count as one.
func unique(raw []byte, as func(string) string) error {
	var open [][]string // the names so far of each object that is open; of an array none
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			open = append(open, nil)
		case '}', ']':
			open = open[:len(open)-1]
		case '"':
			from := i
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			next := i + 1
			for next < len(raw) && strings.IndexByte(" \t\r\n", raw[next]) >= 0 {
				next++
			}
			if next == len(raw) || raw[next] != ':' {
				continue
			}
			name := string(raw[from+1 : i])
			if strings.IndexByte(name, '\\') >= 0 || !utf8.ValidString(name) {
				if err := json.Unmarshal(raw[from:i+1], &name); err != nil {
					return err
				}
			}
			if name = as(name); slices.Contains(open[len(open)-1], name) {
				return fmt.Errorf("the property %q is there twice: one reader would take this, another that", name)
			}
			if len(open[len(open)-1]) == maxNames {
				return fmt.Errorf("an object of more than %d properties", maxNames)
			}
			open[len(open)-1] = append(open[len(open)-1], name)
		}
	}
	return nil
}

// maxNames bounds the properties of an object, since each is compared with
// those before it. A record's largest object is that of its certificates.
const maxNames = 2 * MaxCertificates
