package energy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestStatementOf(t *testing.T) {
	r := Register{Measure: Import, Modulus: 1000}
	k := Key{"main", Import}
	opened, reset := at(t, "00:10:00"), at(t, "10:00:00")
	for _, c := range []struct {
		e    Event
		want string
	}{
		{Event{Kind: Opened, At: opened, Before: -1, After: 5},
			`{"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T00:10:00Z","value":5},"statement":"opening","unit":"Wh"}`},
		{Event{Kind: Reset, At: reset, Before: 5, After: 0, BeforeAt: opened},
			`{"closing":{"read_at":"2024-02-05T00:10:00Z","value":5},"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":0},"rules":["V03"],"statement":"reset","unit":"Wh"}`},
		{Event{Kind: Rollover, At: reset, Before: 995, After: 3, BeforeAt: opened},
			`{"closing":{"read_at":"2024-02-05T00:10:00Z","value":995},"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":3},"rules":["V04"],"statement":"rollover","unit":"Wh"}`},
		{Event{Kind: Reset, At: reset, Before: 0, After: 7, BeforeAt: opened},
			`{"closing":{"read_at":"2024-02-05T00:10:00Z","value":0},"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":7},"rules":["V03"],"statement":"reset","unit":"Wh"}`},
	} {
		s, ok := StatementOf(c.e, k, r)
		ks, err := s.Keyed()
		if !ok || err != nil || string(ks.Body) != c.want || ks.Key != k || !ks.At.Equal(c.e.At) {
			t.Errorf("%v: %v %v\n got %s\nwant %s", c.e.Kind, ok, err, ks.Body, c.want)
		}
		back, err := ParseStatement(ks.Body)
		if err != nil || back.Kind != s.Kind || *back.Opening != *s.Opening {
			t.Errorf("%v: read back %+v, %v", c.e.Kind, back, err)
		}
	}
	for _, kind := range []EventKind{Nothing, Glitch, OutOfOrder, TooFast} {
		if _, ok := StatementOf(Event{Kind: kind}, k, r); ok {
			t.Errorf("%v calls for a statement", kind)
		}
	}
}

// The keys stand in their order, whatever is filled in.
func TestStatementIsCanonical(t *testing.T) {
	s := Statement{
		Agent: "perseus-agent <1>", Closing: &Reading{"0x05", at(t, "00:10:00"), 5}, Config: "ab", CT: "200/5", Measure: Gas, Meter: "m&m",
		Modulus: 1, Opening: &Reading{"0x0", at(t, "00:11:00"), 0}, Previous: "cd", Register: "unit 1", Rules: []string{"V03", "V17"}, Serial: "S", Kind: ExchangeStatement, Unit: "L",
	}
	b, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || len(m) != 14 {
		t.Fatalf("%d keys, %v", len(m), err)
	}
	last := ""
	d := json.NewDecoder(strings.NewReader(string(b)))
	depth := 0
	for key := true; ; {
		tok, err := d.Token()
		if err != nil {
			break
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			key = true
			continue
		case string:
			if depth == 1 && key {
				if v <= last {
					t.Errorf("key %q after %q", v, last)
				}
				last, key = v, false
				continue
			}
		}
		if depth == 1 {
			key = true
		}
	}
	if !strings.Contains(string(b), "<1>") || !strings.Contains(string(b), "m&m") {
		t.Errorf("letters are escaped that need not be: %s", b)
	}
}

func TestStatementRefuses(t *testing.T) {
	good := Statement{Measure: Import, Meter: "m", Opening: &Reading{ReadAt: at(t, "00:10:00")}, Kind: OpeningStatement, Unit: "Wh"}
	if _, err := good.JSON(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Statement){
		"no meter":         func(s *Statement) { s.Meter = "" },
		"no measure":       func(s *Statement) { s.Measure = 0 },
		"another unit":     func(s *Statement) { s.Unit = "kWh" },
		"another kind":     func(s *Statement) { s.Kind = "guess" },
		"no opening":       func(s *Statement) { s.Opening = nil },
		"no closing":       func(s *Statement) { s.Kind = ClosingStatement },
		"negative":         func(s *Statement) { s.Opening = &Reading{ReadAt: s.At(), Value: -1} },
		"local time":       func(s *Statement) { s.Opening = &Reading{ReadAt: s.At().In(time.FixedZone("x", 60))} },
		"longer than 4 KB": func(s *Statement) { s.Register = strings.Repeat("x", MaxStatement) },
	} {
		s := good
		change(&s)
		if b, err := s.JSON(); err == nil {
			t.Errorf("%s: %s", what, b)
		}
		if _, err := s.Keyed(); err == nil {
			t.Errorf("%s was keyed", what)
		}
	}
	if !(Statement{}).At().IsZero() || !(Statement{Closing: &Reading{ReadAt: at(t, "00:10:00")}}).At().Equal(at(t, "00:10:00")) {
		t.Error("At")
	}
	raw, _ := good.JSON()
	for what, s := range map[string]string{
		"white space": string(raw) + "\n", "second value": string(raw) + "{}", "unknown key": strings.Replace(string(raw), "{", `{"a":1,`, 1),
		"other order": `{"meter":"m","measure":"import","opening":{"read_at":"2024-02-05T00:10:00Z","value":0},"statement":"opening","unit":"Wh"}`,
		"no JSON":     "x", "nothing": "", "too long": strings.Repeat(" ", MaxStatement+1), "incomplete": "{}",
	} {
		if _, err := ParseStatement([]byte(s)); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	s := Statement{Measure: Import, Meter: "m", Opening: &Reading{ReadAt: time.Date(2024, 2, 5, 0, 0, 0, 0, time.UTC)}, Kind: OpeningStatement, Unit: "Wh"}
	b, _ := s.JSON()
	f.Add(b)
	f.Add([]byte(`{"statement":"closing"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseStatement(raw)
		if err != nil {
			return
		}
		if again, err := s.JSON(); err != nil || string(again) != string(raw) {
			t.Fatalf("%q became %q, %v", raw, again, err)
		}
	})
}
