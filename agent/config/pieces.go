package config

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// largeFile is the size from which on a file is read in pieces, and aPiece that
// of a piece, in bytes. The parser takes 80 times as much memory as it reads,
// and with 1,000 meters that would be the most that the agent ever takes.
const (
	largeFile = 32 << 10
	aPiece    = 16 << 10
)

// inPieces reads a large file piece by piece; nil where it is not large, not
// plain enough to be cut, or has a mistake: then it is to be read as a whole,
// which says what is wrong.
func inPieces(name string, data []byte, large, size int) *Config {
	if len(data) < large || !utf8.Valid(data) {
		return nil
	}
	head, pieces := cut(data, size)
	p := newParse(name, data)
	if head == nil {
		return nil
	}
	if body := p.tree(head); body != nil {
		p.more = pieces
		p.root(body)
	}
	if len(p.problems) > 0 {
		return nil
	}
	return p.cfg
}

// moreMeters reads the meters that are in pieces of their own.
func (p *parse) moreMeters() {
	for _, piece := range p.more {
		if len(p.problems) > 0 {
			return // the whole file is read again
		}
		if list, ok := p.tree(piece.padded()).(*ast.SequenceNode); ok {
			for _, n := range list.Values {
				p.meter(n)
			}
		} else if len(p.problems) == 0 {
			p.problems = append(p.problems, Problem{What: "a piece is no list"})
		}
	}
}

// piece is a part of a file: a list of meters.
type piece struct {
	lines int // before it
	text  []byte
}

// padded has the piece's lines where they are in the file.
func (p piece) padded() []byte { return append(bytes.Repeat(newline, p.lines), p.text...) }

var newline = []byte("\n")

// cut divides a file into one that has everything but most of its meters, with
// empty lines in their place, and pieces of some size that have these. It gives
// nil unless every line stands for itself, so that indents alone say what belongs
// together: no brackets or quotes over several lines, no blocks of text, no
// anchors, no tags, no tabs. (A quote that it takes for closed and is not makes
// a mistake of its piece.)
func cut(data []byte, size int) (head []byte, pieces []piece) {
	var starts []int // of lines: of the meters, and of what comes after them
	const before, at, within, after = 0, 1, 2, 3
	where, indent := before, 0
	offset := 0
	for line := range bytes.Lines(data) {
		begin := offset
		offset += len(line)
		text := bytes.TrimRight(line, "\r\n")
		in := len(text) - len(bytes.TrimLeft(text, " "))
		switch {
		case !alone(text):
			return nil, nil
		case in == len(text) || text[in] == '#':
			continue
		case bytes.HasPrefix(text, []byte("meters")):
			rest := bytes.TrimRight(text[len("meters"):], " ")
			if where != before || string(rest) != ":" {
				return nil, nil
			}
			where = at
		case where == at:
			if !bytes.HasPrefix(text[in:], []byte("- ")) {
				return nil, nil
			}
			where, indent, starts = within, in, append(starts, begin)
		case where == within && in == indent && bytes.HasPrefix(text[in:], []byte("- ")):
			starts = append(starts, begin)
		case where == within && in <= indent:
			if in > 0 || indent == 0 && text[0] == '-' {
				return nil, nil
			}
			where, starts = after, append(starts, begin)
		}
	}
	if where != after {
		starts = append(starts, len(data))
	}
	if len(starts) < 3 {
		return nil, nil
	}
	end := starts[len(starts)-1]
	lines, from := 0, 0 // of what is not in a piece yet
	for _, next := range starts[1:] {
		if next-from < size && next != end {
			continue
		}
		pieces = append(pieces, piece{lines, data[from:next]})
		lines, from = lines+bytes.Count(data[from:next], newline), next
	}
	head, pieces = pieces[0].text, pieces[1:]
	left := bytes.Repeat(newline, bytes.Count(data[len(head):end], newline))
	return slices.Concat(head, left, data[end:]), pieces
}

// alone reports whether a line stands for itself: brackets and quotes end where
// they began, and nothing in it reaches beyond it.
func alone(text []byte) bool {
	depth, quote := 0, byte(0)
	for i, c := range text {
		switch {
		case quote != 0:
			if c == '\\' {
				return false
			}
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == '#' && (i == 0 || text[i-1] == ' '):
			return depth == 0
		case c < ' ', c == 0x7f, c == '&', c == '*', c == '!', c == '|', c == '>', c == '%', c == '?', c == '@', c == '`':
			return false
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && quote == 0 && !bytes.HasPrefix(text, []byte("---")) && !bytes.HasPrefix(text, []byte("..."))
}
