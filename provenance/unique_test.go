package provenance

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestUnambiguous(t *testing.T) {
	for text, good := range map[string]bool{
		`{}`: true, `[]`: true, `"a"`: true, `1`: true, `[{"a":1},{"a":1}]`: true, `{"a":{"a":{"b":"a"}},"b":["a","a"]}`: true,
		`{"a":"\"b\":1,\"b\":2","b":1}`: true, `{"a":"x","b":"x"}`: true, `{"\\":1,"\\\\":2}`: true, `{"a" : 1 , "b" : 2}`: true,
		`{"a":1,"a":1}`: false, `{"a":1,"\u0061":2}`: false, `{"x":{"a":1,"b":[{"c":1,"c":2}]}}`: false, "{\"a\"\n:1,\t\"a\"  :2}": false,
		`{"a":{"b":1},"c":[],"a":3}`: false, `{"data":1,"Data":2}`: false, `{"a":1`: false, ``: false, `{"a":1}{"a":1}`: false, `{"":1,"":2}`: false,
	} {
		if err := Unambiguous([]byte(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	var many strings.Builder
	for i := range maxNames + 1 {
		many.WriteString(`,"` + strings.Repeat("x", i) + `":0`)
	}
	if err := Unambiguous([]byte("{" + many.String()[1:] + "}")); err == nil {
		t.Error("an object without end")
	}
}

// It says what a reader of tokens says.
func FuzzUnambiguous(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":"c\""},{"\u0062":1,"b":2}]}`))
	f.Add([]byte("{\"\xff\":1,\"\xfe\":2}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || bytes.Count(raw, []byte(":")) > maxNames {
			return
		}
		if got, want := unique(raw, plainName) == nil, !twice(t, raw); got != want {
			t.Errorf("%q: unique %v, want %v", raw, got, want)
		}
	})
}

func twice(t *testing.T, raw []byte) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var open []map[string]bool // nil: an array
	name := false              // the next token of an object is a name
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return false
		} else if err != nil {
			t.Skip("nested deeper than a reader of tokens goes: there is nothing to compare with")
		}
		inObject := len(open) > 0 && open[len(open)-1] != nil
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{':
				open, name = append(open, map[string]bool{}), true
			case '[':
				open, name = append(open, nil), false
			default:
				open = open[:len(open)-1]
				name = len(open) > 0 && open[len(open)-1] != nil
			}
			continue
		case string:
			if inObject && name {
				if open[len(open)-1][v] {
					return true
				}
				open[len(open)-1][v], name = true, false
				continue
			}
		}
		name = inObject
	}
}
