package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// manyMeters is a file of n meters, in the forms that files have, among other keys.
func manyMeters(n int) string {
	var s strings.Builder
	s.WriteString("site: {name: \"The \\\"Bank\\\"\", outcode: SW8}\nbuses:\n  - {id: b, driver: modbus, url: \"tcp://127.0.0.1:502\"}\nmeters: \n# the meters' list\n\n")
	for i := range n {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&s, "  - id: m%d # it's a comment: {\n    bus: b\n    unit: %d\n    registers:\n      import: {unit: Wh, address: %d, type: uint64}\n", i, 1+i%200, 4*i)
		case 1:
			fmt.Fprintf(&s, "  - {id: m%d, bus: b, unit: %d, serial: \"no. %d\", registers: {import: {unit: kWh, address: %d, type: float32, invalid: [0xFFFFFFFF]}}}\n\n", i, 1+i%200, i, 4*i)
		case 2:
			fmt.Fprintf(&s, "  # another\n  - id: m%d\n    check_meter: m%d\n    bus: b\n    unit: %d\n    registers:\n      import:\n        unit: Wh\n        address: %d\n        type: uint32\n", i, i-1, 1+i%200, 4*i)
		case 3:
			fmt.Fprintf(&s, "  - id: m%d\n    virtual: {sum: [m%d, m%d]}\n", i, i-1, i-2)
		}
	}
	s.WriteString("# after them\nstore: {path: agent.db}\nperiod: 30m\n")
	return s.String()
}

// A large file that is read in pieces gives what it gives as a whole, lines included.
func TestPieces(t *testing.T) {
	text := strings.ReplaceAll(manyMeters(1000), "The \\\"Bank\\\"", "The Bank")
	for _, c := range []struct{ name, text string }{
		{"as it is", text},
		{"Windows lines", strings.ReplaceAll(text, "\n", "\r\n")},
		{"meters last", strings.Replace(text, "store: {path: agent.db}\nperiod: 30m\n", "", 1)},
		{"lists at the margin", strings.NewReplacer("\n  - id", "\n- id", "\n  - {id: m", "\n- {id: m", "\n    ", "\n  ", "\n      ", "\n    ", "\n        ", "\n      ").Replace(text)},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, err := inWhole("f.yaml", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			got := inPieces("f.yaml", []byte(c.text), largeFile, aPiece)
			if got == nil {
				t.Fatal("it was not read in pieces")
			}
			if _, pieces := cut([]byte(c.text), aPiece); len(pieces) < 5 {
				t.Errorf("%d pieces: they should be more", len(pieces))
			}
			if len(got.Meters) != 1000 || !reflect.DeepEqual(got, want) {
				t.Errorf("%d meters in pieces, %d as a whole, or they differ", len(got.Meters), len(want.Meters))
			}
		})
	}
}

// Mistakes in a large file are told as in a small one, at their lines.
func TestMistakesOfLargeFiles(t *testing.T) {
	text := strings.ReplaceAll(manyMeters(1000), "The \\\"Bank\\\"", "The Bank")
	for _, c := range []struct{ old, by string }{
		{"id: m990\n", "id: m10\n"},
		{"id: m992 ", "idd: m992 "},
		{"period: 30m", "period: 31m"},
		{"period: 30m", "meters: []"},
		{"serial: \"no. 981\"", "serial: \"no. 981"},
		{"virtual: {sum: [m990", "virtual: {sum: [m9990"},
	} {
		broken := strings.Replace(text, c.old, c.by, 1)
		if broken == text {
			t.Fatalf("%q is not in the file", c.old)
		}
		_, want := inWhole("f.yaml", []byte(broken))
		_, got := Parse("f.yaml", []byte(broken))
		if want == nil || got == nil || got.Error() != want.Error() {
			t.Errorf("%q: %v\nwant %v", c.by, got, want)
		}
		_, windows := Parse("f.yaml", []byte(strings.ReplaceAll(broken, "\n", "\r\n")))
		if windows == nil || windows.Error() != want.Error() {
			t.Errorf("%q with Windows lines: %v\nwant %v", c.by, windows, want)
		}
	}
}

// What lines say together is not cut.
func TestNotCut(t *testing.T) {
	const head = "a: 1\nmeters:\n"
	for _, text := range []string{
		"",
		head + "  - a: 1\n",                  // one meter
		head + "  - a: [1,\n  - b\n  - c]\n", // brackets
		head + "  - a: 'x\n  - b: y'\n  - c: z\n",        // a quote
		head + "  - a: |\n     x\n  - b: y\n",            // a block of text
		head + "  - a: &x 1\n  - b: *x\n",                // an anchor
		head + "  - a: !!str 1\n  - b: 1\n",              // a tag
		head + "  - a: 1\n\t- b: 1\n  - c: 1\n",          // a tab
		head + "  - a: 1\n - b: 1\n  - c: 1\n",           // indents that do not fit
		head + "  - a: 1\n  - b: 1\nmeters:\n  - c: 1\n", // twice
		head + "  - a: 1\n  - b: 1\n---\nc: 1\n",         // two documents
		head + "  a: 1\n  b: 1\n",                        // no list
		"meters: [a, b]\n",
		"meters: {a: 1}}\n",
		"meters:\n- a: 1\n- b: 1\n-\n  c: 1\n",
	} {
		if got, _ := cut([]byte(text), 1); got != nil {
			t.Errorf("cut: %q", text)
		}
	}
}

// Whatever is read in pieces, of however few bytes, is what the whole says.
func FuzzPieces(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(manyMeters(9), "The \\\"Bank\\\"", "The Bank")))
	f.Add([]byte(manyMeters(5)))
	examples, _ := filepath.Glob("../../configs/examples/*.yaml")
	for _, e := range examples {
		if b, err := os.ReadFile(e); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := inPieces("f.yaml", data, 0, 1)
		if got == nil {
			return
		}
		if want, err := inWhole("f.yaml", data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("in pieces it is another configuration (%v):\n%s", err, data)
		}
	})
}
