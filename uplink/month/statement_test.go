package month

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
)

const framework = "https://registry.example/trust-framework"

func statement(t testing.TB) (Statement, *ecdsa.PrivateKey) {
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	m, _ := Parse("2026-03")
	return Statement{Gateway: "https://directory.example/g/1", Meter: "m", Measure: energy.Import, Month: m,
		Spans: []Span{{m.Start, m.At(100)}, {m.At(200), m.End()}}, Root: Root(Seed{1}, List(nil))}, key
}

func TestStatementTravels(t *testing.T) {
	want, key := statement(t)
	at := want.Month.End().Add(time.Hour)
	signed, err := Sign(want, framework, at, big.NewInt(77), key)
	if err != nil {
		t.Fatal(err)
	}
	body, err := Carry(signed, Seed{1})
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 2<<10 {
		t.Errorf("%d bytes on the wire", len(body))
	}
	back, seed, ok, err := ReadCarried(body)
	if err != nil || !ok || back != signed || seed != (Seed{1}) {
		t.Fatalf("%v %v %+v", err, ok, back)
	}
	got, when, err := back.Verify(&key.PublicKey)
	if err != nil || !when.Equal(at) || got.Root != want.Root || got.Month != want.Month || len(got.Spans) != 2 || got.Spans[1] != want.Spans[1] {
		t.Fatalf("%v %+v", err, got)
	}
	if !got.Within(want.Month.At(99)) || got.Within(want.Month.At(100)) || got.Within(want.Month.At(199)) || !got.Within(want.Month.At(200)) {
		t.Error("it speaks of other half-hours than were stated")
	}
	_, other := statement(t)
	if _, _, err := back.Verify(&other.PublicKey); err == nil {
		t.Error("another key")
	}
	for name, change := range map[string]func(*Signed){
		"framework": func(s *Signed) { s.Framework += "x" }, "serial": func(s *Signed) { s.Serial = "78" },
		"time": func(s *Signed) { s.Time = "2026-04-01T01:00:01Z" }, "form of time": func(s *Signed) { s.Time = "2026-04-01" },
		"step": func(s *Signed) { s.Step = s.Step[:8] + "AAAA" + s.Step[12:] }, "signature": func(s *Signed) { s.Signature = "AAAA" },
	} {
		c := back
		change(&c)
		if _, _, err := c.Verify(&key.PublicKey); err == nil {
			t.Errorf("%s was not noticed", name)
		}
	}
	if _, _, ok, err := ReadCarried([]byte(`{"agent":"x"}`)); ok || err != nil {
		t.Errorf("a statement of baseline: %v %v", ok, err)
	}
}

func TestStatementsRefused(t *testing.T) {
	good, key := statement(t)
	for name, change := range map[string]func(*Statement){
		"no gateway": func(s *Statement) { s.Gateway = "" }, "no meter": func(s *Statement) { s.Meter = "" },
		"no measure": func(s *Statement) { s.Measure = 200 }, "no spans": func(s *Statement) { s.Spans = nil },
		"before the month":  func(s *Statement) { s.Spans = []Span{{s.Month.Start.Add(-energy.Period), s.Month.End()}} },
		"after the month":   func(s *Statement) { s.Spans = []Span{{s.Month.Start, s.Month.End().Add(energy.Period)}} },
		"empty":             func(s *Statement) { s.Spans = []Span{{s.Month.Start, s.Month.Start}} },
		"overlap":           func(s *Statement) { s.Spans[1].From = s.Month.At(99) },
		"not of half-hours": func(s *Statement) { s.Spans[1].From = s.Month.At(199).Add(time.Minute) },
		"many":              func(s *Statement) { s.Spans = make([]Span, MaxSpans+1) },
		"a month of 9999":   func(s *Statement) { s.Month = Of(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) },
	} {
		s := good
		s.Spans = append([]Span(nil), good.Spans...)
		change(&s)
		if _, err := Sign(s, framework, s.Month.End(), big.NewInt(1), key); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func FuzzReadCarried(f *testing.F) {
	s, key := statement(f)
	signed, err := Sign(s, framework, s.Month.End(), big.NewInt(1), key)
	if err != nil {
		f.Fatal(err)
	}
	body, _ := Carry(signed, Seed{2})
	f.Add(body)
	f.Add([]byte(`{"perseus-edge:half-hours":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		signed, seed, ok, err := ReadCarried(body)
		if !ok || err != nil {
			return
		}
		again, err := Carry(signed, seed)
		if err != nil {
			t.Fatal(err)
		}
		if s2, seed2, _, err := ReadCarried(again); err != nil || s2 != signed || seed2 != seed {
			t.Fatalf("%s came back as %+v (%v)", body, s2, err)
		}
		if step, err := base64.URLEncoding.DecodeString(signed.Step); err == nil {
			if st, err := ReadStep(step); err == nil && (len(st.Spans) == 0 || st.Spans[len(st.Spans)-1].To.After(st.Month.End())) {
				t.Fatalf("%s has spans outside its month", step)
			}
		}
		if raw, err := json.Marshal(signed.List()); err != nil || !bytes.Contains(raw, []byte(`,[0,`)) && !strings.Contains(signed.Step, "[0") {
			t.Fatalf("%s %v", raw, err)
		}
	})
}
