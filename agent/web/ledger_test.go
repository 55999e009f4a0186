package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// fakeLedger is a ledger in memory.
type fakeLedger struct {
	halfHours   map[energy.Key][]energy.HalfHour
	statements  []energy.KeyedStatement
	findings    []energy.KeyedFinding
	corrections map[energy.Key][]store.Correction
	damaged     int   // the statement, from 0, and the finding that cannot be read; < 0 none
	err         error // of everything
}

func (l fakeLedger) HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error] {
	return func(yield func(energy.HalfHour, error) bool) {
		for _, h := range l.halfHours[k] {
			if !h.Start.Before(from) && h.Start.Before(to) && !yield(h, nil) {
				return
			}
		}
	}
}

func (l fakeLedger) Keys() ([]energy.Key, error) {
	return slices.Collect(maps.Keys(l.halfHours)), l.err
}

func (l fakeLedger) Bounds(k energy.Key) (first, last time.Time, n int, err error) {
	if n = len(l.halfHours[k]); n > 0 {
		first, last = l.halfHours[k][0].Start, l.halfHours[k][n-1].Start
	}
	return first, last, n, l.err
}

func (l fakeLedger) Statements(k *energy.Key) iter.Seq2[energy.KeyedStatement, error] {
	return func(yield func(energy.KeyedStatement, error) bool) {
		for i, s := range l.statements {
			if k != nil && *k != s.Key {
				continue
			}
			if i == l.damaged {
				if !yield(energy.KeyedStatement{}, fmt.Errorf("%w: page 7", store.ErrDamaged)) {
					return
				}
				continue
			}
			if !yield(s, nil) {
				return
			}
		}
		if l.err != nil {
			yield(energy.KeyedStatement{}, l.err)
		}
	}
}

func (l fakeLedger) Findings(from, to time.Time) iter.Seq2[energy.KeyedFinding, error] {
	return func(yield func(energy.KeyedFinding, error) bool) {
		for i, f := range l.findings {
			switch {
			case i == l.damaged:
				if !yield(energy.KeyedFinding{}, fmt.Errorf("%w: page 8", store.ErrDamaged)) {
					return
				}
			case !f.At.Before(from) && f.At.Before(to) && !yield(f, nil):
				return
			}
		}
		if l.err != nil {
			yield(energy.KeyedFinding{}, l.err)
		}
	}
}

func (l fakeLedger) Corrections(k energy.Key, from, to time.Time) ([]store.Correction, error) {
	var out []store.Correction
	for _, c := range l.corrections[k] {
		if !c.Old.Start.Before(from) && c.Old.Start.Before(to) {
			out = append(out, c)
		}
	}
	return out, l.err
}

var (
	mainImport = energy.Key{Meter: "main", Measure: energy.Import}
	mainExport = energy.Key{Meter: "main", Measure: energy.Export}
	gasGas     = energy.Key{Meter: "gas", Measure: energy.Gas}
	midnight   = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// keyedStatements makes a chain of n statements of a register.
func keyedStatements(t *testing.T, k energy.Key, n int) []energy.KeyedStatement {
	t.Helper()
	var out []energy.KeyedStatement
	for i := range n {
		s := energy.Statement{Agent: "perseus-agent <1> & co", Measure: k.Measure, Meter: k.Meter, Kind: energy.OpeningStatement, Unit: k.Measure.BaseUnit(),
			Opening: &energy.Reading{ReadAt: midnight.Add(time.Duration(i) * time.Hour), Value: int64(i) * 1000}}
		if i > 0 {
			s.Previous = energy.StatementHash(out[i-1].Body)
		}
		ks, err := s.Keyed()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ks)
	}
	return out
}

func keyedFinding(t *testing.T, k energy.Key, rule int, from time.Time, lasts time.Duration) energy.KeyedFinding {
	t.Helper()
	r, _ := validate.RuleOf(rule)
	f, err := validate.Finding{Rule: rule, Severity: r.Severity, Key: k, From: from, To: from.Add(lasts), Found: "250 kWh", Expected: "at most 120 kWh", Note: "is it Wh?", Count: 2}.Keyed()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// collect drains rows, up to an error.
func collect[T any](rows iter.Seq2[T, error]) (out []T, err error) {
	for x, err := range rows {
		if err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

func TestStatementsKeepTheirBytes(t *testing.T) {
	a, b := keyedStatements(t, mainImport, 3), keyedStatements(t, mainExport, 1)
	l := fakeLedger{statements: []energy.KeyedStatement{a[0], b[0], a[1], a[2]}, damaged: -1}
	for _, c := range []struct {
		q    agent.Query
		want int
	}{{agent.Query{}, 4}, {agent.Query{Meter: "main"}, 4}, {agent.Query{Meter: "main", Measure: energy.Import}, 3}, {agent.Query{Measure: energy.Export}, 1}, {agent.Query{Meter: "x"}, 0}} {
		if got, err := collect(Statements(l, c.q)); err != nil || len(got) != c.want {
			t.Errorf("%+v: %d, %v", c.q, len(got), err)
		}
	}
	// What was hashed must come out byte for byte, < and & included.
	var out bytes.Buffer
	if err := WriteJSON(&out, Statements(l, agent.Query{Meter: "main", Measure: energy.Import})); err != nil {
		t.Fatal(err)
	}
	var got struct{ Data []Record }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Data) != 3 {
		t.Fatalf("%v: %s", err, out.String())
	}
	var chain [][]byte
	for i, r := range got.Data {
		if !bytes.Equal(r.Record, a[i].Body) || r.SHA256 != energy.StatementHash(a[i].Body) || r.Error != "" {
			t.Errorf("%s\nbecame %s", a[i].Body, r.Record)
		}
		chain = append(chain, r.Record)
	}
	if err := energy.VerifyChain(chain); err != nil {
		t.Error(err)
	}
	// One that is damaged is told, and hides no other.
	l.damaged = 2
	got2, err := collect(Statements(l, agent.Query{}))
	if err != nil || len(got2) != 4 || got2[2].Error == "" || got2[2].Record != nil || got2[3].Error != "" {
		t.Errorf("%v %+v", err, got2)
	}
	if b, err := line(got2[2]); err != nil || string(b) != `{"record":null,"error":"it is damaged in the store and cannot be read"}` {
		t.Errorf("%s %v", b, err)
	}
	if b, err := line(Record{Record: []byte("x")}); err != nil || string(b) != `{"record":null}` {
		t.Errorf("%s %v", b, err)
	}
	l.err = errors.New("no disk")
	if _, err := collect(Statements(l, agent.Query{})); err == nil {
		t.Error("an error was swallowed")
	}
}

func TestFindingsInWords(t *testing.T) {
	later := energy.KeyedFinding{Key: mainImport, At: midnight, Rule: 31, Body: []byte(`{}`)}
	broken := energy.KeyedFinding{Key: mainImport, At: midnight, Rule: 6, Body: []byte(`{`)}
	l := fakeLedger{damaged: -1, findings: []energy.KeyedFinding{
		keyedFinding(t, mainImport, 5, midnight, energy.Period), keyedFinding(t, mainExport, 12, midnight.Add(time.Hour), 0), later, broken,
	}}
	day := agent.Query{From: midnight, To: midnight.Add(24 * time.Hour)}
	got, err := collect(Findings(l, day))
	if err != nil || len(got) != 4 {
		t.Fatalf("%v %+v", err, got)
	}
	if w := got[0].Words(); w != "more energy than the connection can carry: 250 kWh (expected: at most 120 kWh) (2 times); is it Wh?" {
		t.Error(w)
	}
	if f := got[0]; f.Rule != "V05" || f.Severity != validate.Error || f.To.Sub(f.From) != energy.Period || f.Advice == "" || f.Measure != energy.Import {
		t.Errorf("%+v", f)
	}
	if f := got[2]; f.Rule != "V31" || !strings.Contains(f.Words(), "does not know") || !strings.Contains(f.Words(), "cannot be read") {
		t.Errorf("%+v", f)
	}
	if f := got[3]; f.Rule != "V06" || f.Title == "" || !f.From.Equal(midnight) {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct {
		q    agent.Query
		want int
	}{
		{agent.Query{Meter: "main", Measure: energy.Export, From: day.From, To: day.To}, 1}, {agent.Query{Meter: "x", From: day.From, To: day.To}, 0},
		{agent.Query{From: midnight, To: midnight.Add(time.Minute)}, 3},
	} {
		if got, err := collect(Findings(l, c.q)); err != nil || len(got) != c.want {
			t.Errorf("%+v: %d, %v", c.q, len(got), err)
		}
	}
	l.damaged = 0
	if got, err := collect(Findings(l, day)); err != nil || len(got) != 3 {
		t.Errorf("%d, %v", len(got), err)
	}
	l.err = errors.New("no disk")
	if _, err := collect(Findings(l, day)); err == nil {
		t.Error("an error was swallowed")
	}
}

// Every version of a half-hour comes out at its place, whether or not anything
// is left in its stead.
func TestHistory(t *testing.T) {
	hh := func(slot int, wh int64, q energy.Quality) energy.HalfHour {
		return energy.HalfHour{Start: midnight.Add(time.Duration(slot) * energy.Period), Energy: wh, Cumulative: -1, Quality: q, TakenAt: midnight.Add(30 * 24 * time.Hour)}
	}
	old := func(slot int, wh int64, minute int) store.Correction {
		return store.Correction{Old: hh(slot, wh, energy.Estimated), Replaced: midnight.Add(40*24*time.Hour + time.Duration(minute)*time.Minute)}
	}
	l := fakeLedger{
		halfHours: map[energy.Key][]energy.HalfHour{mainImport: {hh(2, 20, energy.Measured), hh(4, 40, energy.Measured)}, gasGas: {hh(2, 9, energy.Measured)}},
		corrections: map[energy.Key][]store.Correction{mainImport: {
			old(1, 1, 0), old(2, 2, 1), old(2, 3, 2), old(3, 4, 3), old(6, 5, 4), old(48, 6, 5),
		}},
	}
	q := agent.Query{Meter: "main", From: midnight, To: midnight.Add(24 * time.Hour)}
	got, err := collect(History(l, q, energy.Period))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, v := range got {
		w := fmt.Sprint(int(v.From.Sub(midnight)/energy.Period), v.Quality)
		if v.Energy != nil {
			w += " " + v.Energy.Value.String()
		}
		for _, r := range v.Replaced {
			w += fmt.Sprintf(" (%s %s at %d)", r.Energy.Value, r.Quality, r.ReplacedAt.Minute())
		}
		words = append(words, w)
	}
	want := "1 missing (1 estimated at 0); 2 measured 20 (2 estimated at 1) (3 estimated at 2); 3 missing (4 estimated at 3); 4 measured 40; 6 missing (5 estimated at 4)"
	if s := strings.Join(words, "; "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if got, err := collect(History(l, agent.Query{From: q.From, To: q.To}, energy.Period)); err != nil || len(got) != 6 || got[0].Meter != "gas" {
		t.Errorf("all meters: %d, %v", len(got), err)
	}
	for n := 1; n <= len(got); n++ { // whoever stops early gets no more
		seen := 0
		for range History(l, q, energy.Period) {
			if seen++; seen == n {
				break
			}
		}
		if seen != n {
			t.Errorf("stopped at %d, not %d", seen, n)
		}
	}
	l.err = errors.New("no disk")
	if _, err := collect(History(l, q, energy.Period)); err == nil {
		t.Error("an error was swallowed")
	}
	b, err := line(got[1])
	if err != nil || !strings.Contains(string(b), `"replaced":[{"replacedAt":"2000-02-10T00:01:00Z","meter":"main"`) {
		t.Errorf("%s %v", b, err)
	}
}

// The three endpoints, on a store of its own.
func TestLedgerThroughTheAPI(t *testing.T) {
	statements := keyedStatements(t, energy.Key{Meter: "dead", Measure: energy.Import}, 2)
	seed := func(s *store.Store) error {
		h := store.KeyedHalfHour{Key: energy.Key{Meter: "dead", Measure: energy.Import},
			HalfHour: energy.HalfHour{Start: midnight, Energy: 5, Cumulative: -1, Quality: energy.Estimated, TakenAt: midnight.Add(time.Hour), Evidence: energy.Evidence{Rule: energy.RuleImportedEst}}}
		again := h
		again.Energy, again.Quality, again.Evidence.Rule, again.Flags = 6, energy.Measured, energy.RuleImported, energy.Flags(0).With(10)
		return errors.Join(
			s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{h}, Statements: statements, Findings: []energy.KeyedFinding{keyedFinding(t, mainImport, 5, midnight, energy.Period)}}),
			s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{again}}))
	}
	withSeeded(t, testConfig(), seed, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		var st struct{ Data []Record }
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/statements?meter=dead&measure=import"))), &st); err != nil || len(st.Data) != 2 || !bytes.Equal(st.Data[1].Record, statements[1].Body) {
			t.Errorf("statements: %v %+v", err, st)
		}
		var fi struct{ Data []Finding }
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/findings?meter=main"))), &fi); err != nil || !slices.ContainsFunc(fi.Data, func(f Finding) bool { return f.Rule == "V05" && f.Count == 2 }) {
			t.Errorf("findings: %v %+v", err, fi)
		}
		var hi struct{ Data []Version }
		if err := json.Unmarshal([]byte(body(t, ask("GET", "/api/v1/history?meter=dead&from=2000-01-01"))), &hi); err != nil || len(hi.Data) != 1 ||
			hi.Data[0].Energy.Value != "6" || strings.Join(hi.Data[0].Flags, "") != "V10" || len(hi.Data[0].Replaced) != 1 || hi.Data[0].Replaced[0].Energy.Value != "5" {
			t.Errorf("history: %v %+v", err, hi)
		}
		for target, want := range map[string]int{
			"/api/v1/statements?from=2000-01-01": 400, "/api/v1/statements?meter=nobody": 404, "/api/v1/statements?measure=steam": 400, "/api/v1/statements": 200,
			"/api/v1/findings?to=x": 400, "/api/v1/findings?meter=nobody": 404, "/api/v1/findings": 200,
			"/api/v1/history?from=2000-01-02&to=2000-01-01": 400, "/api/v1/history?meter=nobody": 404, "/api/v1/history": 200,
		} {
			if r := ask("GET", target); r.StatusCode != want {
				t.Errorf("%s: %d, want %d: %s", target, r.StatusCode, want, body(t, r))
			}
		}
		if r := ask("POST", "/api/v1/statements"); r.StatusCode != 405 {
			t.Errorf("writing statements: %d", r.StatusCode)
		}
	})
}
