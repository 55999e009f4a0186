package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

// manual is docs/metering.md.
func manual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/metering.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fenced gives the blocks of the manual that are marked as lang.
func fenced(t *testing.T, lang string, want int) []string {
	t.Helper()
	var out []string
	for _, part := range strings.Split(manual(t), "\n```"+lang+"\n")[1:] {
		body, _, _ := strings.Cut(part, "\n```")
		out = append(out, body)
	}
	if len(out) != want {
		t.Fatalf("docs/metering.md has %d blocks of %s, want %d", len(out), lang, want)
	}
	return out
}

// cells gives the rows of the table below a heading row, without it.
func cells(t *testing.T, heading string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(manual(t), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/metering.md has no table %s", heading)
	}
	var out [][]string
	for _, line := range strings.Split(rest, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		row := strings.Split(strings.Trim(line, "| "), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		out = append(out, row)
	}
	return out
}

func wattHours(t *testing.T, s string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(strings.ReplaceAll(s, " ", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func onMonday(t *testing.T, clock string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateTime, "2026-03-02 "+clock)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The worked example of the manual is what the program does: its readings give
// its half-hours, its statements are those that the readings call for, and its
// Python finds both right.
func TestWorkedExampleOfTheManual(t *testing.T) {
	k := energy.Key{Meter: "main", Measure: energy.Import}
	acc := energy.NewAccumulator(energy.Register{Measure: energy.Import}, energy.Period)
	var hh []energy.HalfHour
	var chain []energy.KeyedStatement
	for i, raw := range strings.Split(fenced(t, "json", 1)[0], "\n") {
		s, err := energy.ParseStatement([]byte(raw))
		if err != nil {
			t.Fatalf("statement %d: %v", i+1, err)
		}
		keyed, err := s.Keyed()
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, keyed)
	}
	state := func(i int, e energy.Event) {
		got, _ := energy.ParseStatement(chain[i].Body)
		want, ok := energy.StatementOf(e, k, energy.Register{Measure: energy.Import})
		if !ok || got.Kind != want.Kind || got.Opening.Value != want.Opening.Value || !got.At().Equal(want.At()) || (got.Closing != nil) != (want.Closing != nil) ||
			got.Closing != nil && got.Closing.Value != want.Closing.Value {
			t.Errorf("statement %d is %s, which %+v does not call for", i+1, chain[i].Body, e)
		}
	}
	for i, row := range cells(t, "| read at | register, Wh |") {
		at := onMonday(t, row[0])
		var e energy.Event
		var err error
		if closing, opening, ok := strings.Cut(row[1], ", then "); ok {
			if hh, e, err = acc.Exchange(at, wattHours(t, closing), wattHours(t, opening), hh); err != nil {
				t.Fatal(err)
			}
			state(1, e)
			continue
		}
		hh, e = acc.Add(energy.Sample{At: at, Value: wattHours(t, row[1])}, hh)
		if i == 0 {
			state(0, e)
		} else if e.Kind != energy.Nothing {
			t.Errorf("%s: %v", row[0], e)
		}
	}
	want := cells(t, "| half-hour | register at its end | energy, Wh | quality | rule |")
	if len(hh) != len(want) {
		t.Fatalf("%d half-hours, the manual has %d", len(hh), len(want))
	}
	sum := int64(0)
	var round store.Round
	for i, h := range hh {
		got := fmt.Sprint(h.Start.Format("15:04"), " ", h.Cumulative, " ", h.Energy, " ", h.Quality, " ", agent.RuleName(h.Evidence.Rule))
		if w := want[i]; got != fmt.Sprint(w[0], " ", wattHours(t, w[1]), " ", wattHours(t, w[2]), " ", w[3], " ", w[4]) {
			t.Errorf("got %s, the manual has %v", got, w)
		}
		sum += h.Energy
		round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: h})
	}
	if s := fmt.Sprintf("Theysumto%dWh", sum); !strings.Contains(strings.ReplaceAll(manual(t), " ", ""), s) {
		t.Errorf("the manual does not say that they sum to %d Wh", sum)
	}
	round.Statements = chain
	cfg := stored(t, round)
	if code, out, errs := cli(t, "statements", "--config", cfg, "--verify"); code != done || !strings.Contains(out, "2           whole, from the beginning") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	python(t, 0, "7 boundaries", nil, "readings", "--config", cfg, "--from", "2026-03-02", "--to", "2026-03-03", "--format", "json")
	python(t, 1, "2 statements", nil, "statements", "--config", cfg, "--format", "json")
	// It also finds what is wrong.
	python(t, 0, "", []string{`"value":3600,`, `"value":3601,`}, "readings", "--config", cfg, "--from", "2026-03-02", "--to", "2026-03-03", "--format", "json")
	python(t, 1, "", []string{`"value":40`, `"value":41`}, "statements", "--config", cfg, "--format", "json")
}

// Every boundary that a known half-hour begins or ends at can be worked out from
// the evidence, also where the register was opened or began anew.
func TestBoundariesBesideAHole(t *testing.T) {
	k := energy.Key{Meter: "main", Measure: energy.Import}
	acc := energy.NewAccumulator(energy.Register{Measure: energy.Import, MaxPower: 20_000}, energy.Period)
	var round store.Round
	var hh []energy.HalfHour
	for _, r := range []string{
		"09:55:00 1000100", "10:02:00 1000240", "10:29:00 1000700", "10:35:00 1000900", "10:58:00 1001000", "11:01:00 1001060", "11:05:00 1001100",
		"12:07:00 400", "12:08:00 410", "12:09:00 420", "12:10:00 430", "12:11:00 440", // another register
		"12:28:00 600", "12:33:00 700", "13:04:00 1300",
	} {
		clock, value, _ := strings.Cut(r, " ")
		hh, _ = acc.Add(energy.Sample{At: onMonday(t, clock), Value: wattHours(t, value)}, hh)
	}
	for _, h := range hh {
		round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: h})
	}
	cfg := stored(t, round)
	// 10:00 (opened before it), 10:30, 11:00 (the break follows); 12:30 (the break was before it). At 13:00 the next half-hour is not over.
	args := []string{"readings", "--config", cfg, "--from", "2026-03-02", "--to", "2026-03-03", "--format", "json"}
	python(t, 0, "4 boundaries", nil, args...)
	for _, start := range []string{`"start":{"at":"2026-03-02T10:02:00Z","value":1000240}`, `"start":{"at":"2026-03-02T10:58:00Z","value":1001000}`, `"start":{"at":"2026-03-02T12:33:00Z","value":700}`} {
		python(t, 0, "", []string{start, strings.Replace(start, "0}", "9}", 1)}, args...)
	}
}

// stored gives the configuration of a gateway whose store holds a round.
func stored(t *testing.T, round store.Round) (cfg string) {
	t.Helper()
	cfg = configured(t, "127.0.0.1:1", "127.0.0.1:1")
	s, _, err := store.Open(filepath.Join(filepath.Dir(cfg), "agent.db"), store.Options{KeepHalfHours: 3660 * 24 * time.Hour, Logger: record.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(round); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// python runs the manual's program on what a command prints, with one thing
// changed; want is what it says, empty where it should fail.
func python(t *testing.T, program int, want string, change []string, args ...string) {
	t.Helper()
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3: the manual's programs are not run")
	}
	code, out, errs := cli(t, args...)
	if code != done {
		t.Fatalf("%v: exit %d\n%s", args, code, errs)
	}
	if len(change) > 0 {
		changed := strings.NewReplacer(change...).Replace(out)
		if changed == out {
			t.Fatalf("nothing to change in %s", out)
		}
		out = changed
	}
	cmd := exec.Command(exe, "-c", fenced(t, "python", 2)[program])
	cmd.Stdin = strings.NewReader(out)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if want == "" && err == nil || want != "" && (err != nil || !strings.Contains(said.String(), want)) {
		t.Errorf("%v\n%s\n%s", err, said.String(), out)
	}
}

// Every rule, quality and field that there is stands in the manual, and none
// that there is not.
func TestManualIsComplete(t *testing.T) {
	text := manual(t)
	rules := cells(t, "| check | | speaks when | what becomes of the value |")
	if len(rules) != validate.Count {
		t.Errorf("%d checks in the manual, there are %d", len(rules), validate.Count)
	}
	for i, r := range validate.Rules() {
		if i < len(rules) && (rules[i][0] != r.ID || rules[i][1] != r.Severity.String()) {
			t.Errorf("%v in the manual, %s is %s", rules[i][:2], r.ID, r.Severity)
		}
	}
	named := map[string]bool{}
	for _, r := range cells(t, "| rule | what decided the value | best quality |") {
		named[strings.Trim(r[0], "`")] = true
	}
	for r := energy.RuleNone; r <= energy.RuleShareMeter; r++ {
		if name := agent.RuleName(r); !named[name] {
			t.Errorf("the manual does not explain the rule %s", name)
		} else {
			delete(named, name)
		}
	}
	if len(named) > 0 {
		t.Errorf("the manual explains rules that there are not: %v", named)
	}
	for q := energy.Missing; q <= energy.Measured; q++ {
		if !strings.Contains(text, "| `"+q.String()+"` |") {
			t.Errorf("the manual does not explain the quality %s", q)
		}
	}
	yes := true
	full, err := json.Marshal(energy.Statement{
		Acquisition: &energy.Acquisition{Endpoint: "x", Latency: 1, Poll: "x", Protocol: "x"}, Agent: "x", CheckDigit: &yes, ClockSource: "x", Config: "x", Corrected: true, CT: "x", Factor: "x", Gap: "x",
		Closing: &energy.Reading{}, Measure: energy.Import, Meter: "x", Method: "x", Modulus: 1, MPAN: "x", MPRN: "x", Multiplier: "x", Note: "x", OldSerial: "x",
		Opening:  &energy.Reading{ClockOffset: 1, DeviceTime: time.Unix(1, 0), Quality: energy.Measured, Raw: "x", Source: "x", Value: 1},
		Previous: "x", Primary: true, Register: "x", Resolution: 1, Rules: []string{"x"}, Serial: "x", Shift: 1, Kind: "x", Unit: "x", VCF: "x", VT: "x", Zone: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(full, &fields); err != nil || len(fields) != 32 {
		t.Fatalf("%d fields, %v", len(fields), err)
	}
	for _, inner := range []string{"acquisition", "opening"} {
		var more map[string]json.RawMessage
		if err := json.Unmarshal(fields[inner], &more); err != nil {
			t.Fatal(err)
		}
		for f := range more {
			fields[f] = nil
		}
	}
	for f := range fields {
		if !strings.Contains(text, "`"+f+"`") {
			t.Errorf("the manual does not explain the field %s of a statement", f)
		}
	}
	for _, kind := range []energy.StatementKind{energy.OpeningStatement, energy.ClosingStatement, energy.ExchangeStatement, energy.ResetStatement, energy.RolloverStatement, energy.ConfigChangeStatement, energy.ClockStatement} {
		if !strings.Contains(text, "`"+string(kind)+"`") {
			t.Errorf("the manual does not explain the statement %s", kind)
		}
		if web.StatementWords(energy.Statement{Kind: kind, Measure: energy.Import}) == "" {
			t.Errorf("%s has no words", kind)
		}
	}
}
