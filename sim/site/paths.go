package site

import (
	"fmt"
	"strconv"
	"strings"
)

// step is one of a path: a member's name, an element, or an element that has a
// member of a value.
type step struct {
	key, equals string
	index       int // -1: it is a member
}

// steps reads a path as drivers/mqtt/jsonpoint has it, the first of its
// alternatives. root says that it begins at the document.
func steps(path string) (out []step, root bool, err error) {
	path, _, _ = strings.Cut(path, "|")
	if rest, ok := strings.CutPrefix(path, "$"); ok {
		path, root = rest, true
	} else {
		path = strings.TrimPrefix(path, "@")
	}
	for path != "" {
		path = strings.TrimPrefix(path, ".")
		switch {
		case strings.HasPrefix(path, `["`):
			end := strings.Index(path, `"]`)
			if end < 2 {
				return nil, false, fmt.Errorf("path %q cannot be played", path)
			}
			out, path = append(out, step{key: path[2:end], index: -1}), path[end+2:]
		case strings.HasPrefix(path, "["):
			end := strings.IndexByte(path, ']')
			if end < 2 {
				return nil, false, fmt.Errorf("path %q cannot be played", path)
			}
			inside := path[1:end]
			path = path[end+1:]
			if key, value, ok := strings.Cut(inside, "="); ok {
				out = append(out, step{key: key, equals: value})
			} else if n, err := strconv.Atoi(inside); err == nil {
				out = append(out, step{index: max(n, 0)}) // -1, the last, is the only one
			} else {
				return nil, false, fmt.Errorf("path [%s] cannot be played", inside)
			}
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			if end == 0 {
				return nil, false, fmt.Errorf("path %q cannot be played", path)
			}
			out, path = append(out, step{key: path[:end], index: -1}), path[end:]
		}
	}
	return out, root, nil
}

// put lays a value into a document, and gives the document back: what is on
// the way is made.
func put(document any, way []step, value any) any {
	if len(way) == 0 {
		return value
	}
	s := way[0]
	if s.index < 0 {
		o, ok := document.(map[string]any)
		if !ok {
			o = map[string]any{}
		}
		o[s.key] = put(o[s.key], way[1:], value)
		return o
	}
	list, _ := document.([]any)
	at := s.index
	if s.key != "" {
		at = len(list)
		for i, e := range list {
			if o, ok := e.(map[string]any); ok && o[s.key] == s.equals {
				at = i
			}
		}
	}
	for len(list) <= at {
		list = append(list, map[string]any{})
	}
	if s.key != "" {
		list[at] = put(list[at], []step{{key: s.key, index: -1}}, s.equals)
	}
	list[at] = put(list[at], way[1:], value)
	return list
}
