package lexer

import (
	"strings"
	"unicode/utf8"
)

func ascii(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }
func hex(c byte) bool   { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// nameStart is PN_CHARS_BASE of the grammars.
func nameStart(r rune) bool {
	switch {
	case r < 0x80:
		return ascii(byte(r))
	case r == 0xd7 || r == 0xf7:
		return false
	}
	return r >= 0xc0 && r <= 0x2ff || r >= 0x370 && r <= 0x1fff && r != 0x37e || r >= 0x200c && r <= 0x200d ||
		r >= 0x2070 && r <= 0x218f || r >= 0x2c00 && r <= 0x2fef || r >= 0x3001 && r <= 0xd7ff ||
		r >= 0xf900 && r <= 0xfdcf || r >= 0xfdf0 && r <= 0xfffd || r >= 0x10000 && r <= 0xeffff
}

// nameChar is PN_CHARS.
func nameChar(r rune) bool {
	return nameStart(r) || r == '_' || r == '-' || r >= '0' && r <= '9' || r == 0xb7 || r >= 0x300 && r <= 0x36f || r == 0x203f || r == 0x2040
}

// varName is the name of a variable at the beginning of s.
func varName(s string) string {
	for i, r := range s {
		if !nameStart(r) && r != '_' && (r < '0' || r > '9') && (i == 0 || !nameChar(r) || r == '-') {
			return s[:i]
		}
	}
	return s
}

// run is the length of the name characters and inner dots at the beginning of
// s, without dots at its end.
func run(s string) int {
	n := 0
	for i, r := range s {
		switch {
		case nameChar(r):
			n = i + utf8.RuneLen(r)
		case r != '.':
			return n
		}
	}
	return n
}

// langTag reads @tag.
func (l *Lexer) langTag() (Token, error) {
	s := l.rest()[1:]
	n := 0
	for n < len(s) && ascii(s[n]) {
		n++
	}
	for n > 0 && n+1 < len(s) && s[n] == '-' && (ascii(s[n+1]) || digit(s[n+1])) {
		for n++; n < len(s) && (ascii(s[n]) || digit(s[n])); n++ {
		}
	}
	if n == 0 {
		return Token{}, l.fail("@ must be followed by a language, prefix or base")
	}
	l.pos += 1 + n
	return Token{Kind: LangTag, Text: s[:n]}, nil
}

// label reads _:label.
func (l *Lexer) label() (Token, error) {
	s := l.rest()[2:]
	r, _ := utf8.DecodeRuneInString(s)
	if s == "" || !nameStart(r) && r != '_' && (r < '0' || r > '9') {
		return Token{}, l.fail("_: must be followed by a name")
	}
	n := run(s)
	l.pos += 2 + n
	return Token{Kind: Label, Text: s[:n]}, nil
}

// number reads digits with an optional point and exponent. Signs are tokens
// of their own.
func (l *Lexer) number() Token {
	s := l.rest()
	digits := func(i int) int {
		for i < len(s) && digit(s[i]) {
			i++
		}
		return i
	}
	kind, n := Integer, digits(0)
	if n < len(s) && s[n] == '.' {
		if m := digits(n + 1); m > n+1 {
			kind, n = Decimal, m
		} else if m := exponent(s, n+1, digits); m > 0 {
			kind, n = Double, m
		}
	}
	if m := exponent(s, n, digits); kind != Double && m > 0 {
		kind, n = Double, m
	}
	l.pos += n
	return Token{Kind: kind, Text: s[:n]}
}

// exponent gives the end of an exponent that begins at i, 0 where none does.
func exponent(s string, i int, digits func(int) int) int {
	if i >= len(s) || s[i] != 'e' && s[i] != 'E' {
		return 0
	}
	if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	if n := digits(i); n > i {
		return n
	}
	return 0
}

// name reads a prefixed name or a word; a token of kind EOF where there is
// neither.
func (l *Lexer) name() Token {
	s := l.rest()
	r, _ := utf8.DecodeRuneInString(s)
	n := 0
	if nameStart(r) {
		// A prefix is short: looking no further keeps "a.a.a..." from being
		// read from each of its dots to the end.
		n = run(s[:min(len(s), 256)])
	}
	if n < len(s) && s[n] == ':' {
		local, size := localName(s[n+1:])
		l.pos += n + 1 + size
		return Token{Kind: PName, Text: s[:n], Local: local}
	}
	w := 0
	for w < len(s) && (ascii(s[w]) || w > 0 && (digit(s[w]) || s[w] == '_')) {
		w++
	}
	if w == 0 {
		return Token{Kind: EOF}
	}
	l.pos += w
	return Token{Kind: Word, Text: s[:w]}
}

// localName reads the part after the colon: name characters, colons, dots
// within, %hh, and backslash before signs (undone).
func localName(s string) (local string, size int) {
	var b strings.Builder
	kept := 0 // of b: without dots at the end
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '%' && i+2 < len(s) && hex(s[i+1]) && hex(s[i+2]):
			b.WriteString(s[i : i+3])
			i += 3
		case r == '\\' && i+1 < len(s) && strings.IndexByte(`_~.-!$&'()*+,;=/?#@%`, s[i+1]) >= 0:
			b.WriteByte(s[i+1])
			i += 2
		case r == '.' && i > 0:
			b.WriteByte('.')
			i++
			continue
		case r == ':' || r == '_' || r >= '0' && r <= '9' || nameStart(r) || i > 0 && nameChar(r):
			b.WriteString(s[i : i+n])
			i += n
		default:
			return b.String()[:kept], size
		}
		kept, size = b.Len(), i
	}
	return b.String()[:kept], size
}
