package energy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		{Event{Kind: Exchanged, At: reset, Before: 995, After: 3, BeforeAt: reset},
			`{"closing":{"read_at":"2024-02-05T10:00:00Z","value":995},"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":3},"statement":"exchange","unit":"Wh"}`},
		{Event{Kind: Exchanged, At: reset, Before: -1, After: 3},
			`{"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":3},"statement":"exchange","unit":"Wh"}`},
		{Event{Kind: ClockBack, At: opened, Before: 5, After: 6, BeforeAt: reset},
			`{"closing":{"read_at":"2024-02-05T10:00:00Z","value":5},"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T00:10:00Z","value":6},"statement":"clock","unit":"Wh"}`},
		{Event{Kind: Ambiguous, At: reset, Before: 5, After: 7, BeforeAt: opened},
			`{"closing":{"read_at":"2024-02-05T00:10:00Z","value":5},"gap":"unknown","measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":7},"rules":["V04"],"statement":"reset","unit":"Wh"}`},
		{Event{Kind: Ambiguous, At: reset, Before: -1, After: 7},
			`{"measure":"import","meter":"main","modulus":1000,"opening":{"read_at":"2024-02-05T10:00:00Z","value":7},"rules":["V04"],"statement":"reset","unit":"Wh"}`},
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
	yes := true
	s := Statement{
		Acquisition: &Acquisition{Endpoint: "tcp://a", Latency: 12, Poll: "10s", Protocol: "modbus"}, Agent: "perseus-agent <1>", CheckDigit: &yes, ClockSource: "ntp",
		Closing: &Reading{ClockOffset: -3, DeviceTime: at(t, "00:09:00"), Quality: Estimated, Raw: "0x05", ReadAt: at(t, "00:10:00"), Source: OperatorSource, Value: 5},
		Config:  "ab", CT: "200/5", Factor: "ncv-2026", Gap: GapCounted, Measure: Import, Meter: "m&m", Method: "sum",
		Modulus: 1, MPAN: "1200051234567", MPRN: "", Multiplier: "40", Note: "job 7", OldSerial: "R", Opening: &Reading{Raw: "0x0", ReadAt: at(t, "00:11:00")}, Previous: "cd",
		Primary: true, Register: "unit 1", Resolution: 10, Rules: []string{"V03", "V17"}, Serial: "S", Shift: -1, Kind: ClockStatement, Unit: "Wh", VT: "11000/110",
	}
	s.MPAN = soundMPAN(t)
	b, err := s.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || len(m) != 28 { // all but the MPRN
		t.Fatalf("%d keys, %v", len(m), err)
	}
	inOrder(t, b)
	g := Statement{Config: "ab", Corrected: true, CT: "x", Factor: "f", Kind: OpeningStatement, Measure: Gas, Meter: "g", Opening: s.Opening, Unit: "L", VCF: "1", VT: "y", Zone: "NT"}
	of, err := g.JSON()
	if err != nil || !strings.Contains(string(of), `"config":"ab","corrected":true,"ct":"x"`) || !strings.Contains(string(of), `"vcf":"1","vt":"y","zone":"NT"}`) {
		t.Fatalf("%s, %v", of, err)
	}
	inOrder(t, of)
	if !strings.Contains(string(b), "<1>") || !strings.Contains(string(b), "m&m") {
		t.Errorf("letters are escaped that need not be: %s", b)
	}
}

// soundMPAN is an MPAN core whose check digit is right.
func soundMPAN(t *testing.T) string {
	for d := range 10 {
		if s := fmt.Sprintf("120005123456%d", d); CheckMPAN(s) == nil {
			return s
		}
	}
	t.Fatal("no digit is right")
	return ""
}

// inOrder checks that the keys of every object in b grow.
func inOrder(t *testing.T, b []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	var last []string // per open object
	var inList []bool
	key := true
	for {
		tok, err := d.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return
		}
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				last, inList = append(last, ""), append(inList, v == '[')
			default:
				last, inList = last[:len(last)-1], inList[:len(inList)-1]
			}
			key = true
			continue
		case string:
			if n := len(last) - 1; n >= 0 && !inList[n] && key {
				if v <= last[n] {
					t.Errorf("key %q after %q", v, last[n])
				}
				last[n], key = v, false
				continue
			}
		}
		key = true
	}
}

// A statement that was stored before the later fields came still parses, and
// hashes as it did (golden: sha256sum of the line).
func TestOldStatementsKeepTheirHash(t *testing.T) {
	for raw, want := range map[string]string{
		`{"agent":"perseus-agent 0.2.0","closing":{"raw":"0x64","read_at":"2026-01-02T03:04:05.678Z","value":100},"config":"ab12","ct":"200/5","measure":"import","meter":"main","modulus":4294967296,"opening":{"raw":"0x5","read_at":"2026-01-02T03:14:05Z","value":5},"previous":"cd34","register":"modbus unit 1 input 0x0048 float32 ABCD","rules":["V03"],"serial":"123","statement":"reset","unit":"Wh"}`: "db58416c550bb45346ab85022469927fab4f9fe98551325389a6056a41b11c57",
		`{"measure":"gas","meter":"g","opening":{"read_at":"2026-01-02T03:04:05Z","value":7},"statement":"opening","unit":"L"}`: "4e4da5fe30bd0366fba3f07d8b70d527ef0e9b623f1d9d602cb3975012cb3fd2",
	} {
		s, err := ParseStatement([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.JSON()
		if err != nil || StatementHash(b) != want {
			t.Errorf("%v, hash %s of %s", err, StatementHash(b), b)
		}
	}
}

func TestStatementRefuses(t *testing.T) {
	good := Statement{Measure: Import, Meter: "m", Opening: &Reading{ReadAt: at(t, "00:10:00")}, Kind: OpeningStatement, Unit: "Wh"}
	if _, err := good.JSON(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Statement){
		"no meter":     func(s *Statement) { s.Meter = "" },
		"no measure":   func(s *Statement) { s.Measure = 0 },
		"another unit": func(s *Statement) { s.Unit = "kWh" },
		"another kind": func(s *Statement) { s.Kind = "guess" },
		"no opening":   func(s *Statement) { s.Opening = nil },
		"no closing":   func(s *Statement) { s.Kind = ClosingStatement },
		"negative":     func(s *Statement) { s.Opening = &Reading{ReadAt: s.At(), Value: -1} },
		"device's local time": func(s *Statement) {
			s.Opening = &Reading{ReadAt: s.At(), DeviceTime: s.At().In(time.FixedZone("x", 60))}
		},
		"negative closing":      func(s *Statement) { s.Closing = &Reading{ReadAt: s.At(), Value: -1} },
		"another source":        func(s *Statement) { s.Opening = &Reading{ReadAt: s.At(), Source: "hearsay"} },
		"another quality":       func(s *Statement) { s.Opening = &Reading{ReadAt: s.At(), Quality: Measured + 1} },
		"another gap":           func(s *Statement) { s.Closing, s.Gap = s.Opening, "wide" },
		"a gap without ends":    func(s *Statement) { s.Gap = GapUnknown },
		"a gap after the end":   func(s *Statement) { s.Kind, s.Closing, s.Opening, s.Gap = ClosingStatement, s.Opening, nil, GapUnknown },
		"a shift of no clock":   func(s *Statement) { s.Shift = 1 },
		"a clock, no opening":   func(s *Statement) { s.Kind, s.Closing, s.Opening = ClockStatement, s.Opening, nil },
		"negative modulus":      func(s *Statement) { s.Modulus = -1 },
		"negative resolution":   func(s *Statement) { s.Resolution = -1 },
		"negative latency":      func(s *Statement) { s.Acquisition = &Acquisition{Latency: -1} },
		"MPAN without digit":    func(s *Statement) { s.MPAN = soundMPAN(t) },
		"digit without MPAN":    func(s *Statement) { s.CheckDigit = new(bool) },
		"MPAN of gas":           func(s *Statement) { s.Supply(soundMPAN(t), ""); s.Measure, s.Unit = Gas, "L" },
		"MPRN of electricity":   func(s *Statement) { s.Supply("", "1234567890") },
		"electricity corrected": func(s *Statement) { s.Corrected = true },
		"a factor of volume":    func(s *Statement) { s.VCF = "1.02264" },
		"a zone of no gas":      func(s *Statement) { s.Zone = "NT" },
		"a digit's false word":  func(s *Statement) { s.Supply(soundMPAN(t), ""); *s.CheckDigit = false },
		"local time":            func(s *Statement) { s.Opening = &Reading{ReadAt: s.At().In(time.FixedZone("x", 60))} },
		"longer than 4 KB":      func(s *Statement) { s.Register = strings.Repeat("x", MaxStatement) },
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
	// The longest that is taken is MaxStatement, to the byte.
	full := good
	full.Acquisition = &Acquisition{Protocol: "p"} // no latency is no mistake
	b, err := full.JSON()
	if err != nil {
		t.Fatal(err)
	}
	full.Note = strings.Repeat("x", MaxStatement-len(b)-len(`"note":"",`))
	if b, err := full.JSON(); err != nil || len(b) != MaxStatement {
		t.Errorf("%d bytes: %v", len(b), err)
	} else if _, err := ParseStatement(b); err != nil {
		t.Error(err)
	}
	full.Note += "x"
	if _, err := full.JSON(); err == nil {
		t.Error("a byte too many was taken")
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
	s = Statement{
		Acquisition: &Acquisition{Endpoint: "tcp://a", Latency: 1, Poll: "10s", Protocol: "modbus"}, Measure: Gas, Meter: "m", Kind: ClockStatement, Unit: "L", Gap: GapUnknown, Shift: -1,
		Opening: s.Opening, Closing: &Reading{Source: OperatorSource, Quality: Estimated, DeviceTime: s.Opening.ReadAt, ReadAt: s.Opening.ReadAt},
	}
	s.Supply("", "3938424403")
	b, _ = s.JSON()
	f.Add(b)
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
