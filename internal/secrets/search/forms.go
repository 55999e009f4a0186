package search

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Secret is one that was made in the tests.
type Secret struct {
	Kind          string
	Package, Test string // where; Test may be unknown
	text          string // as it is given out; "" for bytes that stay bytes
	raw           []byte
	typed, key    bool
}

// errUnknown: nobody has said whether what a function draws is a secret.
type errUnknown struct{ maker string }

func (e errUnknown) Error() string {
	return e.maker + " draws from crypto/rand, and nothing says whether that is a secret: add it to internal/secrets/search/makers.go"
}

// secretOf reads an entry; ok is false for what is no secret.
func secretOf(e record.Entry) (s Secret, ok bool, err error) {
	s = Secret{Kind: e.Kind, Package: e.Package, Test: e.Test, text: e.Text, raw: e.Raw}
	switch {
	case e.Kind == record.KeyKind:
		s.key = true
		return s, true, nil
	case e.Kind != "":
		return s, true, nil
	}
	m, known := find(e.Maker, e.For)
	switch {
	case !known && e.For != "":
		return s, false, errUnknown{e.Maker + " (for " + e.For + ")"}
	case !known:
		return s, false, errUnknown{e.Maker}
	case m.kind == "":
		return s, false, nil
	}
	s.Kind, s.typed = m.kind, m.typed
	switch {
	case e.AsText:
		s.text = randText(e.Raw)
	case m.spell != nil:
		s.text = m.spell(e.Raw)
	}
	if e.AsText {
		s.raw = nil
	}
	// Less than 96 bits, where nobody types it, is a number that a test drew for
	// itself or part of a name.
	return s, m.typed || len(e.Raw) >= 12, nil
}

// randText is what rand.Text makes of its draw.
func randText(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[c%32]
	}
	return string(out)
}

// id is the same for the same secret.
func (s Secret) id() string {
	if s.text != "" {
		return s.text
	}
	return string(s.raw)
}

// form is a spelling. Where need of its characters stand in a log, it leaked.
type form struct {
	text string
	need int
}

// part: this much of a secret in a log is too much. No chance brings about 20
// characters of a random one.
const part = 20

// forms are the usual spellings of a secret.
func (s Secret) forms() []form {
	var out []form
	add := func(texts ...string) {
		for _, t := range texts {
			if len(t) >= shortest {
				out = append(out, form{t, min(len(t), part)})
			}
		}
	}
	whole := func(texts ...string) { // the beginning is the same in all of them
		for _, t := range texts {
			if len(t) >= shortest {
				out = append(out, form{t, len(t)})
			}
		}
	}
	if s.key {
		private, lines := insides(s.raw)
		whole(lines...)
		for _, b := range private {
			add(bytesForms(b)...)
		}
		return out
	}
	if s.text != "" {
		add(s.text)
		if q := url.QueryEscape(s.text); q != s.text {
			add(q, url.PathEscape(s.text))
		}
		if q := strconv.Quote(s.text); q[1:len(q)-1] != s.text {
			add(q[1 : len(q)-1])
		}
		if len(s.text) >= 12 {
			add(bytesForms([]byte(s.text))...)
		}
	}
	if len(s.raw) >= 12 && !s.typed {
		add(bytesForms(s.raw)...)
	}
	return out
}

// bytesForms spells bytes: hexadecimal, base 64 and 32 whatever stands before
// them, escaped as slog and %q do, and as a list of numbers.
func bytesForms(b []byte) []string {
	quoted := strconv.Quote(string(b))
	list := fmt.Sprint(b)
	out := []string{hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b), quoted[1 : len(quoted)-1], list[1 : len(list)-1]}
	for before := range 3 {
		std, web := inner(base64.RawStdEncoding, b, before), inner(base64.RawURLEncoding, b, before)
		out = append(out, std)
		if web != std {
			out = append(out, web)
		}
		if strings.ContainsAny(std, "+/") {
			out = append(out, url.QueryEscape(std))
		}
	}
	return out
}

// inner is the base 64 of b where `before` bytes stand before it, without the
// characters that also hold bits of its neighbours.
func inner(e *base64.Encoding, b []byte, before int) string {
	s := e.EncodeToString(append(make([]byte, before), b...))
	if (before+len(b))%3 != 0 {
		s = s[:len(s)-1]
	}
	return s[[]int{0, 2, 3}[before]:]
}

// insides takes a PKCS #8 key apart: the numbers that are the secret, and the
// lines of its PEM files.
func insides(der []byte) (private [][]byte, lines []string) {
	body := func(der []byte) {
		text := strings.Split(string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: der})), "\n")
		lines = append(lines, text[1:len(text)-2]...)
		lines = append(lines, base64.RawStdEncoding.EncodeToString(der), base64.RawURLEncoding.EncodeToString(der), hex.EncodeToString(der))
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if r, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			k = r
		}
	}
	var public []byte
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		if b, err := k.Bytes(); err == nil {
			private = append(private, b)
		}
		if sec1, err := x509.MarshalECPrivateKey(k); err == nil {
			body(sec1)
		}
		public, _ = k.PublicKey.Bytes()
	case *rsa.PrivateKey:
		private = append(private, k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes())
		public = k.N.Bytes()
	case ed25519.PrivateKey:
		private = append(private, k.Seed())
	}
	body(der)
	kept := lines[:0]
	for _, l := range lines {
		if len(l) >= part && !within(public, l) {
			kept = append(kept, l)
		}
	}
	return private, kept
}

// within: the line of a PEM file holds nothing but the public half of the key,
// which is in every certificate.
func within(public []byte, line string) bool {
	if bare := strings.TrimRight(line, "="); bare != line {
		line = bare[:len(bare)-1] // the last character holds bits of nothing
	}
	for before := range 3 {
		if len(public) > 0 && strings.Contains(inner(base64.RawStdEncoding, public, before), line) {
			return true
		}
	}
	return false
}
