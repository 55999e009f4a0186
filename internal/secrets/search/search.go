// Package search looks for the secrets that the tests made in what they logged.
package search

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// shortest is the least length of a spelling: an index entry.
const shortest = 8

// Finding is a secret that stands in a log.
type Finding struct {
	Secret Secret
	Line   record.Line // the line alone, the secret masked
}

type entry struct {
	form   form
	secret int32
}

// Searcher finds secrets in lines. It is not for several goroutines.
type Searcher struct {
	secrets      []Secret
	known        map[string]bool
	plain, typed index
	caseless     []byte
}

// NewSearcher makes one that knows no secret yet.
func NewSearcher() *Searcher {
	return &Searcher{known: map[string]bool{}, plain: newIndex(), typed: newIndex()}
}

// Add adds a secret. It says whether it is another one than all before.
func (s *Searcher) Add(x Secret) bool {
	if x.id() == "" || s.known[x.Kind+"\x00"+x.id()] {
		return false
	}
	s.known[x.Kind+"\x00"+x.id()] = true
	n := int32(len(s.secrets))
	s.secrets = append(s.secrets, x)
	for _, f := range x.forms() {
		s.plain.add(entry{f, n})
	}
	if x.typed {
		t := string(caseless(nil, x.text))
		s.typed.add(entry{form{t, len(t)}, n})
	}
	return true
}

// In gives the secrets in something logged, each once for each line.
func (s *Searcher) In(l record.Line) (out []Finding) {
	for text := range strings.Lines(l.Text) {
		var found []int32
		masked := text
		s.plain.in([]byte(text), func(e entry, at int) {
			found = append(found, e.secret)
			n := e.form.need
			for n < len(e.form.text) && at+n < len(text) && text[at+n] == e.form.text[n] {
				n++
			}
			masked = strings.ReplaceAll(masked, text[at:at+n], mask(text[at:at+n]))
		})
		s.caseless = caseless(s.caseless[:0], text)
		s.typed.in(s.caseless, func(e entry, _ int) {
			found = append(found, e.secret)
			masked = maskTyped(masked, e.form.text)
		})
		slices.Sort(found)
		for _, n := range slices.Compact(found) {
			out = append(out, Finding{s.secrets[n], record.Line{Package: l.Package, Test: l.Test, Log: l.Log, Text: strings.TrimRight(masked, "\n")}})
		}
	}
	return out
}

// mask leaves four characters, by which whoever reads it finds the place.
func mask(s string) string { return s[:4] + strings.Repeat("*", len(s)-4) }

// maskTyped masks a code however it was written in a text.
func maskTyped(text, code string) string {
	b, at := []byte(text), []int{}
	for i := range b {
		if _, ok := fold(b[i]); ok {
			at = append(at, i)
		}
	}
	plain := string(caseless(nil, text))
	for from := 0; ; {
		i := strings.Index(plain[from:], code)
		if i < 0 {
			return string(b)
		}
		for k := from + i + 4; k < from+i+len(code); k++ {
			b[at[k]] = '*'
		}
		from += i + len(code)
	}
}

// caseless appends a text as codes are compared: upper case, without what
// people put between the groups.
func caseless(to []byte, s string) []byte {
	for i := range len(s) {
		if c, ok := fold(s[i]); ok {
			to = append(to, c)
		}
	}
	return to
}

func fold(c byte) (byte, bool) {
	switch {
	case c == '-' || c == ' ' || c == '\t':
		return 0, false
	case c >= 'a' && c <= 'z':
		return c - 'a' + 'A', true
	}
	return c, true
}

// index finds many texts in one pass: by their first eight bytes, which most
// places of a text can be seen not to be by one bit.
type index struct {
	first map[uint64][]entry
	bits  []uint64
}

const bits = 26 // 8 MiB

func newIndex() index {
	return index{map[uint64][]entry{}, make([]uint64, 1<<(bits-6))}
}

func bit(k uint64) uint64 { return k * 0x9e3779b97f4a7c15 >> (64 - bits) }

func (x index) add(e entry) {
	k := binary.LittleEndian.Uint64([]byte(e.form.text))
	x.first[k] = append(x.first[k], e)
	x.bits[bit(k)>>6] |= 1 << (bit(k) & 63)
}

func (x index) in(text []byte, found func(e entry, at int)) {
	if len(text) < shortest {
		return
	}
	k := binary.LittleEndian.Uint64(text) << 8
	for i := 0; i+shortest <= len(text); i++ {
		k = k>>8 | uint64(text[i+7])<<56
		if b := bit(k); x.bits[b>>6]&(1<<(b&63)) == 0 {
			continue
		}
		for _, e := range x.first[k] {
			if i+e.form.need <= len(text) && string(text[i:i+e.form.need]) == e.form.text[:e.form.need] {
				found(e, i)
			}
		}
	}
}
