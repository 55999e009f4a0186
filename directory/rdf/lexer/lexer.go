// Package lexer takes Turtle and SPARQL apart into tokens: the two languages
// share their words. A text is given whole, so its size is bounded by whoever
// read it; no token looks further than its own end.
package lexer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind says what a token is.
type Kind uint8

// The kinds of tokens.
const (
	EOF     Kind = iota
	IRIRef       // <..>; Text without the brackets, escapes undone
	PName        // prefix:local; Text is the prefix, Local the rest
	Label        // _:label; Text without _:
	Var          // ?name or $name; Text without the sign
	String       // any of the four quotes; Text without them, escapes undone
	LangTag      // @en, but also @prefix and @base; Text without @
	Integer      // digits
	Decimal      // with a point
	Double       // with an exponent
	Word         // letters, digits and _: keywords, a, true, false
	Punct        // a sign such as { or &&
)

// Token is one token with the place where it begins, both counted from 1;
// columns count characters.
type Token struct {
	Kind        Kind
	Text, Local string
	Line, Col   int
	End         int // byte offset after the token
}

// Error is a text that is not of the language, and where.
type Error struct {
	Line, Col int
	Message   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Message)
}

// Lexer reads tokens from a text.
type Lexer struct {
	src       string
	pos       int
	line, col int
	counted   int // up to here, line and col are counted
}

// New begins with a text.
func New(src string) *Lexer { return &Lexer{src: src, line: 1, col: 1} }

// place brings line and col to pos.
func (l *Lexer) place() (line, col int) {
	for _, r := range l.src[l.counted:l.pos] {
		if r == '\n' {
			l.line, l.col = l.line+1, 1
		} else {
			l.col++
		}
	}
	l.counted = l.pos
	return l.line, l.col
}

func (l *Lexer) fail(format string, args ...any) error {
	line, col := l.place()
	return &Error{line, col, fmt.Sprintf(format, args...)}
}

func (l *Lexer) rest() string { return l.src[l.pos:] }

// puncts are the signs of both languages, longer ones first.
var puncts = []string{"^^", "&&", "||", "!=", "<=", ">=", "{", "}", "(", ")", "[", "]", ",", ";", ".", "=", "<", ">", "!", "+", "-", "*", "/", "^", "|", "?"}

// Next gives the next token; at the end of the text one of kind EOF.
func (l *Lexer) Next() (Token, error) {
	if l.pos == 0 && !utf8.ValidString(l.src) {
		return Token{}, &Error{1, 1, "the text is not valid UTF-8"}
	}
	l.skip()
	line, col := l.place()
	t, err := l.token()
	t.Line, t.Col, t.End = line, col, l.pos
	return t, err
}

// skip passes over white space and comments.
func (l *Lexer) skip() {
	for {
		l.pos += len(l.rest()) - len(strings.TrimLeft(l.rest(), " \t\r\n"))
		if !strings.HasPrefix(l.rest(), "#") {
			return
		}
		if i := strings.IndexAny(l.rest(), "\r\n"); i >= 0 {
			l.pos += i
		} else {
			l.pos = len(l.src)
		}
	}
}

func (l *Lexer) token() (Token, error) {
	s := l.rest()
	if s == "" {
		return Token{Kind: EOF}, nil
	}
	switch c := s[0]; {
	case c == '<':
		if end, ok := iriEnd(s); ok {
			text, err := l.unescape(s[1:end], false)
			l.pos += end + 1
			return Token{Kind: IRIRef, Text: text}, err
		}
	case c == '"' || c == '\'':
		return l.str()
	case c == '?' || c == '$':
		if name := varName(s[1:]); name != "" {
			l.pos += 1 + len(name)
			return Token{Kind: Var, Text: name}, nil
		}
	case c == '@':
		return l.langTag()
	case strings.HasPrefix(s, "_:"):
		return l.label()
	case c >= '0' && c <= '9' || c == '.' && len(s) > 1 && s[1] >= '0' && s[1] <= '9':
		return l.number(), nil
	}
	if n := l.name(); n.Kind != EOF {
		return n, nil
	}
	for _, p := range puncts {
		if strings.HasPrefix(s, p) {
			l.pos += len(p)
			return Token{Kind: Punct, Text: p}, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s)
	return Token{}, l.fail("%q has no meaning here", r)
}

// iriEnd finds the > of an IRI that begins at s. Without one, the < is a
// comparison.
func iriEnd(s string) (int, bool) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '>':
			return i, true
		case c <= 0x20 || strings.IndexByte("<\"{}|^`", c) >= 0:
			return 0, false
		}
	}
	return 0, false
}

// unescape undoes \uXXXX and \UXXXXXXXX, and in strings the short escapes.
func (l *Lexer) unescape(s string, short bool) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		n := 0
		switch {
		case strings.HasPrefix(s, "u"):
			n = 5
		case strings.HasPrefix(s, "U"):
			n = 9
		case short && s != "" && strings.IndexByte(`tbnrf"'\`, s[0]) >= 0:
			b.WriteByte("\t\b\n\r\f\"'\\"[strings.IndexByte(`tbnrf"'\`, s[0])])
			s = s[1:]
			continue
		}
		if n == 0 || len(s) < n {
			return "", l.fail("a \\ that begins no escape")
		}
		v, err := strconv.ParseUint(s[1:n], 16, 32)
		if err != nil || !utf8.ValidRune(rune(v)) || v > utf8.MaxRune || !short && (v <= 0x20 || strings.ContainsRune("<>\"{}|^`\\", rune(v))) {
			return "", l.fail("\\%s is no character that can stand here", s[:n])
		}
		b.WriteRune(rune(v))
		s = s[n:]
	}
	return b.String(), nil
}

// str reads a string in any of its four quotes.
func (l *Lexer) str() (Token, error) {
	s := l.rest()
	q := s[:1]
	if strings.HasPrefix(s, strings.Repeat(q, 3)) {
		q = s[:3]
	}
	for i := len(q); i < len(s); {
		switch {
		case s[i] == '\\':
			i += 2
		case strings.HasPrefix(s[i:], q):
			text, err := l.unescape(s[len(q):i], true)
			l.pos += i + len(q)
			return Token{Kind: String, Text: text}, err
		case len(q) == 1 && (s[i] == '\n' || s[i] == '\r'):
			return Token{}, l.fail("a string is not closed on its line")
		default:
			i++
		}
	}
	return Token{}, l.fail("a string is not closed")
}
