package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// difference tells the top-level fields in which two JSON objects differ, such
// as `email: "a@x.example" -> "b@x.example"`. Of what is new or gone it tells
// the fields that are not empty.
func difference(before, after []byte) string {
	a, b := fields(before), fields(after)
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		was, is := a[k], b[k]
		switch {
		case bytes.Equal(was, is) || blank(was) && blank(is):
		case blank(was):
			out = append(out, k+": "+string(is))
		case after == nil:
			out = append(out, k+": was "+string(was))
		case blank(is):
			out = append(out, k+": "+string(was)+" -> nothing")
		default:
			out = append(out, k+": "+string(was)+" -> "+string(is))
		}
	}
	return strings.Join(out, "; ")
}

func fields(b []byte) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	if b != nil && json.Unmarshal(b, &m) != nil { // not an object: nothing to compare field by field
		return map[string]json.RawMessage{"value": b}
	}
	return m
}

func blank(v json.RawMessage) bool {
	switch string(v) {
	case "", `""`, "null", "[]", "0", "false", `"0001-01-01T00:00:00Z"`: // the last is a time.Time that is not set
		return true
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(v, &all) != nil {
		return false
	}
	for _, x := range all {
		if !blank(x) {
			return false
		}
	}
	return true
}
