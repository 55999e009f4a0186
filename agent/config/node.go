package config

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// reader walks a YAML tree and collects every problem on the way. Reading goes
// on after a problem, so that one run shows them all.
type reader struct {
	problems   []Problem
	ofTemplate bool // the file is a template
}

func (r *reader) at(n ast.Node, format string, args ...any) {
	p := Problem{What: fmt.Sprintf(format, args...)}
	if t := place(n); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	r.problems = append(r.problems, p)
}

// place is the token at which a reader of the file would look for a node.
func place(n ast.Node) *token.Token {
	switch v := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if len(v.Values) > 0 && !v.IsFlowStyle {
			return place(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return place(v.Key)
	case *ast.SequenceNode:
		if len(v.Values) > 0 && !v.IsFlowStyle {
			return place(v.Values[0])
		}
	}
	return n.GetToken()
}

func line(n ast.Node) int {
	if t := place(n); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// tree parses the file into the one value that it holds; nil after a syntax error.
func (r *reader) tree(data []byte) (body ast.Node) {
	defer func() {
		if p := recover(); p != nil { // the parser's own failure on a hopeless file
			r.problems = append(r.problems, Problem{What: fmt.Sprintf("this is not YAML (%v)", p)})
			body = nil
		}
	}()
	data = bytes.ReplaceAll(data, []byte("\r\n"), newline)              // of which the parser miscounts some
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // duplicates are ours to report, all of them
	if err != nil {
		p := Problem{What: "not valid YAML: " + err.Error()}
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil {
			p = Problem{e.GetToken().Position.Line, e.GetToken().Position.Column, "not valid YAML: " + e.GetMessage()}
		}
		r.problems = append(r.problems, p)
		return nil
	}
	for _, d := range f.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.CommentType || d.Body.Type() == ast.CommentGroupType:
		case body == nil:
			body = d.Body
		default:
			r.at(d.Body, "a second document (after ---): put everything into one")
		}
	}
	if body == nil && len(r.problems) == 0 {
		r.problems = append(r.problems, Problem{What: "the file is empty: see the examples that came with the program"})
	}
	return body
}

// object reads a mapping whose keys are all among those of its level.
func (r *reader) object(n ast.Node, what string, l *level) map[string]ast.Node {
	out := map[string]ast.Node{}
	r.each(n, what, func(key ast.Node, name string, value ast.Node) {
		if !slices.Contains(l.keys, name) {
			r.at(key, "unknown key %q in %s: %s", name, what, l.hint(name))
			if meant := l.meant(name); meant != "" && out[meant] == nil {
				out[meant] = value // go on as if it were spelt right: no second complaint that it is missing
			}
			return
		}
		if value.Type() == ast.NullType {
			r.at(key, "%s has no value: give one or leave the key out", name)
		}
		out[name] = value
	})
	return out
}

// each calls f for every key of a mapping, reporting duplicates itself.
func (r *reader) each(n ast.Node, what string, f func(key ast.Node, name string, value ast.Node)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if v, single := n.(*ast.MappingValueNode); single {
			m = &ast.MappingNode{BaseNode: &ast.BaseNode{}, Values: []*ast.MappingValueNode{v}}
		} else {
			r.at(n, "%s must be keys and values (key: value), not %s", what, kind(n))
			return
		}
	}
	seen := map[string]int{}
	for _, v := range m.Values {
		if v.Key.IsMergeKey() {
			r.at(v.Key, "merge keys (<<) are not used here: write the values out")
			continue
		}
		name := v.Key.GetToken().Value
		if first, dup := seen[name]; dup {
			r.at(v.Key, "%q is in %s twice: it is already in line %d", name, what, first)
			continue
		}
		seen[name] = line(v.Key)
		f(v.Key, name, v.Value)
	}
}

// list reads a sequence.
func (r *reader) list(n ast.Node, what string) []ast.Node {
	switch v := n.(type) {
	case *ast.SequenceNode:
		return v.Values
	case *ast.NullNode:
		return nil // reported where the key was read
	}
	r.at(n, "%s must be a list (lines that begin with -, or [a, b]), not %s", what, kind(n))
	return nil
}

// listOrNil is list for a key that may be left out.
func (r *reader) listOrNil(n ast.Node, what string) []ast.Node {
	if n == nil {
		return nil
	}
	return r.list(n, what)
}

func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AliasNode, *ast.AnchorNode:
		return "an anchor or alias (write the value out)"
	case *ast.TagNode:
		return "a tag"
	case *ast.NullNode:
		return "nothing"
	}
	return fmt.Sprintf("%q", n.GetToken().Value)
}

// text reads any single value as it stands in the file: 0012 stays 0012.
func (r *reader) text(n ast.Node, what string) (string, bool) {
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return "", false // absent, or reported where the key was read
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(v.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	r.at(n, "%s must be a single value, not %s", what, kind(n))
	return "", false
}

// whole reads a whole number, decimal or 0x.., from lo to hi.
func (r *reader) whole(n ast.Node, what string, lo, hi int64) (int64, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil || strings.HasPrefix(strings.TrimLeft(s, "+-"), "0") && len(s) > 1 && !strings.ContainsAny(s, "xX") {
		r.at(n, "%s: %q is not a whole number: write it decimal (258) or hexadecimal (0x0102)", what, s)
		return 0, false
	}
	if v < lo || v > hi {
		r.at(n, "%s: %s is out of range: %d to %d", what, s, lo, hi)
		return 0, false
	}
	return v, true
}

// duration reads 50ms, 10s, 30m, 12h or 400d, from lo to hi.
func (r *reader) duration(n ast.Node, what string, lo, hi time.Duration) (time.Duration, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	d, err := ParseDuration(s)
	if err != nil {
		r.at(n, "%s: %v", what, err)
		return 0, false
	}
	if d < lo || d > hi {
		r.at(n, "%s: %s is out of range: %s to %s", what, s, FormatDuration(lo), FormatDuration(hi))
		return 0, false
	}
	return d, true
}

// choice reads one of a few words.
func (r *reader) choice(n ast.Node, what string, words ...string) (string, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return "", false
	}
	if !slices.Contains(words, s) {
		r.at(n, "%s: unknown %q: %s", what, s, suggest(s, words))
		return "", false
	}
	return s, true
}

// yes reads true or false; false where the key is left out.
func (r *reader) yes(n ast.Node, what string) bool {
	s, ok := r.text(n, what)
	if ok && s != "true" && s != "false" {
		r.at(n, "%s: %q: write true or false", what, s)
	}
	return s == "true"
}

// decimal reads a decimal number from lo to hi and gives it times a factor,
// which must make it whole.
func (r *reader) decimal(n ast.Node, what string, factor int64, lo, hi string) (int64, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	v, err := unit.Decimal(s)
	if err != nil {
		r.at(n, "%s: %v", what, err)
		return 0, false
	}
	least, _ := unit.Decimal(lo)
	most, _ := unit.Decimal(hi)
	if v.Cmp(least) < 0 || v.Cmp(most) > 0 {
		r.at(n, "%s: %s is out of range: %s to %s", what, s, lo, hi)
		return 0, false
	}
	if v.Mul(v, big.NewRat(factor, 1)); !v.IsInt() {
		r.at(n, "%s: %s has more decimals than are of use: round it to %s", what, s, big.NewRat(1, factor).FloatString(len(strconv.FormatInt(factor, 10))-1))
		return 0, false
	}
	return v.Num().Int64(), true
}
