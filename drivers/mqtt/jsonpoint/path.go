// Package jsonpoint reads meters out of JSON that everybody writes in his own
// way: where the value, its unit, time and quality stand is data (paths), not
// code. It is pure: bytes in, values out.
package jsonpoint

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Path says where something stands in a document:
//
//	energy.import.cumulative     members of objects
//	["Main meter.kWh"]           a member whose name has dots or brackets
//	data[0].value  data[-1].ts   elements of arrays, from the end below 0
//	items[Variable=E1].Value     the first element with such a member; of an
//	                             object: the object itself, where it has it
//	$                            the whole document; it begins each path that
//	                             is not meant to start at the present element
//	@                            the present element itself
//	Value|value                  the first of the two that is there
//
// {device}, {point} and what the topic captured stand for their texts. The
// empty path leads nowhere.
type Path struct {
	text string
	alts [][]step
}

type step struct {
	kind  uint8
	key   string // of a member; may have captures in it
	value string // what a matched member must be
	index int
}

const (
	root uint8 = iota
	member
	element
	match
	self
)

// ParsePath reads a path. The captures that are known already are put in.
func ParsePath(s string, known map[string]string) (Path, error) {
	p := Path{text: s}
	if s == "" {
		return p, nil
	}
	for rest, more := s, true; more; {
		var steps []step
		var err error
		steps, rest, more, err = parseSteps(rest)
		if err != nil {
			return p, fmt.Errorf("path %q: %w", s, err)
		}
		for i := range steps {
			steps[i].key, steps[i].value = expand(steps[i].key, known), expand(steps[i].value, known)
		}
		p.alts = append(p.alts, steps)
	}
	return p, nil
}

// parseSteps reads up to the end or the next alternative.
func parseSteps(s string) (steps []step, rest string, more bool, err error) {
	if cut, ok := strings.CutPrefix(s, "$"); ok {
		steps, s = append(steps, step{kind: root}), cut
	} else if cut, ok := strings.CutPrefix(s, "@"); ok {
		steps, s = append(steps, step{kind: self}), cut
	}
	for first := true; ; first = false {
		switch {
		case s == "" || s[0] == '|':
			if len(steps) == 0 {
				return nil, "", false, fmt.Errorf("a name is missing")
			}
			return steps, strings.TrimPrefix(s, "|"), s != "", nil
		case s[0] == '[':
			var one step
			if one, s, err = parseBracket(s); err != nil {
				return nil, "", false, err
			}
			steps = append(steps, one)
			continue
		case s[0] == '.' && (!first || len(steps) > 0):
			s = s[1:]
		case !first || len(steps) > 0:
			return nil, "", false, fmt.Errorf("write a dot or a bracket before %q", s)
		}
		end := strings.IndexAny(s, ".[|]\"")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return nil, "", false, fmt.Errorf("a name is missing before %q", s)
		}
		steps, s = append(steps, step{kind: member, key: s[:end]}), s[end:]
	}
}

func parseBracket(s string) (step, string, error) {
	if strings.HasPrefix(s, `["`) {
		end := strings.Index(s, `"]`)
		if end < 2 {
			return step{}, "", fmt.Errorf(`"] is missing after %q`, s)
		}
		return step{kind: member, key: s[2:end]}, s[end+2:], nil
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return step{}, "", fmt.Errorf("] is missing after %q", s)
	}
	inside := s[1:end]
	if key, value, ok := strings.Cut(inside, "="); ok && key != "" {
		return step{kind: match, key: key, value: value}, s[end+1:], nil
	}
	n, err := strconv.Atoi(inside)
	if err != nil {
		return step{}, "", fmt.Errorf("[%s]: use a number, a name in quotes, or name=value", inside)
	}
	return step{kind: element, index: n}, s[end+1:], nil
}

// expand puts captures into a text; those that are not known are left.
func expand(s string, captures map[string]string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	for name, text := range captures {
		s = strings.ReplaceAll(s, "{"+name+"}", text)
	}
	return s
}

// Empty reports whether the path leads nowhere.
func (p Path) Empty() bool { return len(p.alts) == 0 }

// String is the path as it was written.
func (p Path) String() string { return p.text }

// Scalar is what stands at the path, seen from here within the document: a
// json.Number, string, bool or nil (null). Objects and arrays do not count.
func (p Path) Scalar(document, here any, captures map[string]string) (any, bool) {
	for _, steps := range p.alts {
		v, ok := walk(steps, document, here, captures)
		switch v.(type) {
		case map[string]any, []any:
			continue
		}
		if ok {
			return v, true
		}
	}
	return nil, false
}

// Any is what stands at the path, whatever it is.
func (p Path) Any(document, here any, captures map[string]string) (any, bool) {
	for _, steps := range p.alts {
		if v, ok := walk(steps, document, here, captures); ok {
			return v, true
		}
	}
	return nil, false
}

func walk(steps []step, document, here any, captures map[string]string) (any, bool) {
	for _, s := range steps {
		ok := true
		switch s.kind {
		case root:
			here = document
		case member:
			var o map[string]any
			if o, ok = here.(map[string]any); ok {
				here, ok = o[expand(s.key, captures)]
			}
		case element:
			a, _ := here.([]any)
			i := s.index
			if i < 0 {
				i += len(a)
			}
			if ok = i >= 0 && i < len(a); ok {
				here = a[i]
			}
		case match:
			here, ok = find(here, expand(s.key, captures), expand(s.value, captures))
		}
		if !ok {
			return nil, false
		}
	}
	return here, true
}

// find is the first element with such a member, or the object that has it.
func find(v any, key, want string) (any, bool) {
	elements, ok := v.([]any)
	if !ok {
		elements = []any{v}
	}
	for _, e := range elements {
		o, _ := e.(map[string]any)
		if got, ok := o[key]; ok && text(got) == want {
			return e, true
		}
	}
	return nil, false
}

// text is a scalar as it is written.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
