package jsonpoint

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestQuality(t *testing.T) {
	n := func(s string) any { return json.Number(s) }
	const good, stale, bad = energy.Flags(0), energy.Flags(1 << 12), energy.Flags(1 << 13)
	for _, c := range []struct {
		in   any
		good []string
		want energy.Flags
	}{
		{"good", nil, good}, {"Good", nil, good}, {" OK ", nil, good}, {"online", nil, good}, {"fresh", nil, good}, {true, nil, good}, {"true", nil, good},
		{"192", nil, good}, {n("192"), nil, good}, {n("255"), nil, good}, {n("191"), nil, bad}, {n("256"), nil, bad}, {"0", nil, bad}, {n("0"), nil, bad}, {n("192.5"), nil, bad}, {"500", nil, stale}, {n("500"), nil, stale},
		{"stale", nil, stale}, {"offline", nil, stale}, {"bad", nil, bad}, {"", nil, bad}, {false, nil, bad}, {"whatever", nil, bad},
		{"{ok}", nil, good}, {"{ok} @ def", nil, good}, {"{}", nil, good}, {"{alarm}", nil, good}, {"{alarm,unackedAlarm}", nil, good}, {"{fault}", nil, bad}, {"{down,stale}", nil, stale}, {"{alarm,fault}", nil, bad}, {"{disabled}", nil, bad},
		{"0000", nil, good}, {"1000", nil, good}, {"0100", nil, bad}, {[]any{false, false, false, true}, nil, bad}, {[]any{true, false, false, false}, nil, good}, {map[string]any{"fault": true}, nil, bad}, {map[string]any{"x": 1}, nil, bad}, {[]any{}, nil, bad},
		{n("3"), []string{"3"}, good}, {"3", []string{"2", "3"}, good}, {n("192"), []string{"3"}, bad}, {"good", []string{"3"}, bad}, {"Stale", []string{"3"}, stale},
	} {
		if got := Quality(c.in, c.good); got != c.want {
			t.Errorf("%v (good: %v): %v, want %v", c.in, c.good, got.List(), c.want.List())
		}
	}
}

func TestDocument(t *testing.T) {
	for s, text := range map[string]bool{`{"a":1}`: false, ` [1] `: false, `1.5`: false, `"x"`: true, `1.5 kWh`: true, ``: true, `NaN`: true, "\xef\xbb\xbf{}": false, `1 2`: true, `true`: false} {
		v, err := Document([]byte(s))
		if _, is := v.(string); err != nil || is != text {
			t.Errorf("%q: %#v, %v", s, v, err)
		}
	}
	for _, s := range []string{`{`, `{"a":1}x`, `[1`, "\xff\xfe", strings.Repeat("x", 257), strings.Repeat(" ", Limit+1)} {
		if v, err := Document([]byte(s)); err == nil {
			t.Errorf("%.20q taken as %v", s, v)
		}
	}
	if _, err := Document([]byte(strings.Repeat("x", 256))); err != nil {
		t.Error(err)
	}
	if _, err := Document([]byte(strings.Repeat(" ", Limit-1) + "1")); err != nil {
		t.Error(err)
	}
}

// What comes of whole messages is in testdata/ of package mqtt.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"e":[{"v":1,"t":"2026-03-01T12:00:00Z","u":"kWh","q":"good","o":2}]}`, `1.5`, `"1.5 kWh {ok}"`, `{"e":{"v":"1e99","t":5}}`, `[[[[[[[[[[[[]]]]]]]]]]]]`} {
		f.Add([]byte(s))
	}
	clock, err := ParseClock("", "Europe/London")
	if err != nil {
		f.Fatal(err)
	}
	spec := Spec{Each: mustPath(f, "e|$"), Value: mustPath(f, "v|@"), Time: mustPath(f, "t"), Unit: mustPath(f, "u"), Quality: mustPath(f, "q"), Fresh: mustPath(f, "s"), Object: mustPath(f, "o"), Clock: clock}
	arrived := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		document, err := Document(b)
		if err != nil {
			return
		}
		for _, v := range spec.Read(document, nil, arrived, nil) {
			if (v.Number == nil) == (v.Err == nil) {
				t.Fatalf("%q: %+v", b, v)
			}
		}
		_ = UnitOf(document, spec.Unit, nil)
	})
}
