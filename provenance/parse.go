package provenance

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// Parse reads an encoded record of the trust framework named by its URL. It
// checks the form and the limits, not the signatures: that is Verify.
func Parse(trustFramework string, raw []byte) (*Record, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("provenance: the record has %d bytes: at most %d", len(raw), MaxSize)
	}
	var top map[string]json.RawMessage
	if err := strictJSON(raw, &top); err != nil {
		return nil, fmt.Errorf("provenance: not a record: %w", err)
	}
	if err := unique(raw, plainName); err != nil {
		return nil, fmt.Errorf("provenance: not a record: %w", err)
	}
	for k := range top {
		if !slices.Contains([]string{"ib1:provenance", "origins", "steps", "certificates"}, k) {
			return nil, fmt.Errorf("provenance: not a record: unknown property %q", k)
		}
	}
	r := New(trustFramework)
	var tf string
	if err := strictJSON(top["ib1:provenance"], &tf); err != nil {
		return nil, fmt.Errorf("provenance: not a record: ib1:provenance: %w", err)
	}
	if tf != trustFramework {
		return nil, fmt.Errorf("provenance: the record belongs to the trust framework %q, not to %q", tf, trustFramework)
	}
	count := 0
	l, err := parseList(top["steps"], "steps", 1, &count)
	if err != nil {
		return nil, err
	}
	r.signed = l
	if err := r.parseCertificates(top["certificates"]); err != nil {
		return nil, err
	}
	var want []string
	if err := strictJSON(top["origins"], &want); err != nil {
		return nil, fmt.Errorf("provenance: origins: %w", err)
	}
	have, err := r.Origins()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(have, want) {
		return nil, fmt.Errorf("provenance: origins: the record names %q, its steps are %q", want, have)
	}
	return r, nil
}

// parseList reads a signed step list at a depth (the outermost is 1).
func parseList(raw json.RawMessage, where string, depth int, count *int) (*list, error) {
	bad := func(at string, err error) (*list, error) { return nil, &Error{Where: at, Err: err} }
	if depth > MaxDepth {
		return bad(where, fmt.Errorf("more than %d signed lists within one another", MaxDepth))
	}
	var items []json.RawMessage
	if err := strictJSON(raw, &items); err != nil || items == nil {
		return bad(where, errors.New("not a signed step list (a JSON array)"))
	}
	if *count += len(items); *count > MaxElements {
		return bad(where, fmt.Errorf("more than %d steps", MaxElements))
	}
	if len(items) < 2 {
		return bad(where, errors.New("a signed step list needs a step and a signature"))
	}
	l := &list{}
	for i, item := range items[:len(items)-1] {
		at := fmt.Sprintf("%s[%d]", where, i)
		if len(item) > 0 && item[0] == '[' {
			sub, err := parseList(item, at, depth+1, count)
			if err != nil {
				return nil, err
			}
			l.elements = append(l.elements, element{sub: sub})
			continue
		}
		var text string
		if err := strictJSON(item, &text); err != nil || text == "" {
			return bad(at, errors.New("neither a step (a string) nor a signed step list"))
		}
		l.elements = append(l.elements, element{text: text})
	}
	sig, err := parseSignature(items[len(items)-1])
	if err != nil {
		return bad(fmt.Sprintf("%s[%d]", where, len(items)-1), err)
	}
	l.sig = sig
	return l, nil
}

func parseSignature(raw json.RawMessage) (s signature, err error) {
	var block []json.RawMessage
	if err := strictJSON(raw, &block); err != nil || len(block) != 4 {
		return s, errors.New("not a signature: want [0, serial, time, signature]")
	}
	if string(block[0]) != "0" {
		return s, fmt.Errorf("container version %s is unknown: only 0 is", block[0])
	}
	for i, p := range []*string{&s.serial, &s.time, &s.value} {
		if err := strictJSON(block[i+1], p); err != nil {
			return s, errors.New("not a signature: serial, time and signature must be strings")
		}
	}
	if err := checkSerial(s.serial); err != nil {
		return s, err
	}
	if s.at, err = parseTime(s.time); err != nil {
		return s, fmt.Errorf("signing %w", err)
	}
	return s, nil
}

// checkSerial takes decimal digits without a leading zero: anything else would
// let two texts stand for one certificate.
func checkSerial(s string) error {
	n, ok := new(big.Int).SetString(s, 10)
	if len(s) > 60 || !ok || n.Sign() <= 0 || n.String() != s {
		return fmt.Errorf("certificate serial number %.60q is not a positive decimal number", s)
	}
	return nil
}

func (r *Record) parseCertificates(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var certs map[string][]string
	if err := strictJSON(raw, &certs); err != nil {
		return fmt.Errorf("provenance: certificates: %w", err)
	}
	if len(certs) > MaxCertificates {
		return fmt.Errorf("provenance: %d certificates: at most %d", len(certs), MaxCertificates)
	}
	for serial, entry := range certs {
		if len(entry) == 0 || len(entry) > maxChain {
			return fmt.Errorf("provenance: certificate %.60q: want its PEM text and the serial numbers of at most %d issuers", serial, maxChain-1)
		}
		if _, err := parseCertificate(serial, entry[0]); err != nil {
			return err
		}
		r.certs[serial] = entry
	}
	return nil
}

// maxChain is how many certificates a signer's path may have, the root's
// included.
const maxChain = 6

func parseCertificate(serial, text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("provenance: certificate %.60q: not PEM text of a certificate", serial)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("provenance: certificate %.60q: %w", serial, err)
	}
	if c.SerialNumber.String() != serial {
		return nil, fmt.Errorf("provenance: certificate %.60q has the serial number %s", serial, c.SerialNumber)
	}
	return c, nil
}

// decoded is a step as it was read.
type decoded struct {
	ID, Type string
	At       time.Time
	Body     map[string]any
	JSON     []byte
}

// decodeStep reads one element of a list. base64url is taken strictly: a
// reader that skipped stray characters would show a step that was not the one
// signed.
func decodeStep(text string) (decoded, error) {
	var d decoded
	b, err := unbase64(text)
	if err != nil {
		return d, fmt.Errorf("step: %w", err)
	}
	if err := strictJSON(b, &d.Body); err != nil || d.Body == nil {
		return d, errors.New("step: not a JSON object")
	}
	if err := unique(b, plainName); err != nil {
		return d, fmt.Errorf("step: %w", err)
	}
	d.JSON = b
	for _, f := range []struct {
		name string
		to   *string
	}{{"id", &d.ID}, {"type", &d.Type}} {
		if *f.to, _ = d.Body[f.name].(string); *f.to == "" {
			return d, fmt.Errorf("step: no %s", f.name)
		}
	}
	s, _ := d.Body["timestamp"].(string)
	if d.At, err = parseTime(s); err != nil {
		return d, fmt.Errorf("step %s: timestamp: %w", d.ID, err)
	}
	return d, nil
}

// plainName takes a name as it is: case counts in a record.
func plainName(s string) string { return s }

func unbase64(s string) ([]byte, error) {
	b, err := base64.URLEncoding.Strict().DecodeString(s)
	if err != nil {
		b, err = base64.RawURLEncoding.Strict().DecodeString(s)
	}
	if err != nil || bytes.ContainsAny([]byte(s), "\r\n") { // the decoder skips line ends
		return nil, errors.New("not base64url")
	}
	return b, nil
}

// strictJSON reads exactly one JSON value; numbers in maps stay as written.
func strictJSON(raw []byte, v any) error {
	if len(raw) == 0 {
		return errors.New("missing")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more text after the JSON value")
	}
	return nil
}
