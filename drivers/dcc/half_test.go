package dcc

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

var kWh = big.NewRat(1000, 1)

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		err  error
	}{
		{"0", 0, nil}, {"0.214", 214, nil}, {"6613.405", 6613405, nil}, {"1e2", 100000, nil}, {"2.5E-3", 3, nil},
		{"6613.404999999999", 6613405, nil}, {"0.0004", 0, nil}, {"0.0005", 1, nil}, {"0.00049999999", 0, nil}, {"-0", 0, nil},
		{"-0.001", 0, errNegative}, {"1e30", 0, errHuge}, {"1e31", 0, errHuge}, {"1e-30", 0, nil}, {"1e-31", 0, errHuge},
		{"0e30", 0, nil}, {"0e31", 0, errHuge}, {"0e-30", 0, nil}, {"0e-31", 0, errHuge}, {"0E+30", 0, nil},
		{"1152921504606846.976", 1 << 60, nil}, {"1152921504606846.977", 0, errHuge},
		{"", 0, errNumber}, {"01", 0, errNumber}, {"1.", 0, errNumber}, {".5", 0, errNumber}, {"NaN", 0, errNumber}, {"true", 0, errNumber}, {"0x10", 0, errNumber},
		{"0." + string(slices.Repeat([]byte("1"), 62)), 111, nil}, {"0." + string(slices.Repeat([]byte("1"), 63)), 0, errHuge},
	} {
		if got, err := amount(c.text, kWh); got != c.want || err != c.err {
			t.Errorf("amount(%q) = %d, %v; want %d, %v", c.text, got, err, c.want, c.err)
		}
	}
}

func TestFactorOf(t *testing.T) {
	for _, c := range []struct {
		name string
		m    energy.Measure
		want int64 // base units; 0: refused
	}{
		{"kWh", energy.Import, 1000}, {"KWH", energy.Export, 1000}, {"Wh", energy.Import, 1}, {"m3", energy.Gas, 1000}, {"m³", energy.Gas, 1000}, {"M3", energy.Gas, 1000},
		{"kWh", energy.Gas, 0}, {"Wh", energy.Gas, 0}, {"m3", energy.Import, 0}, {"kW", energy.Import, 0}, {"", energy.Import, 0}, {"pence", energy.Import, 0}, {"therm", energy.Gas, 0},
	} {
		f, err := factorOf(c.name, c.m)
		if (err == nil) != (c.want > 0) || err == nil && f.Cmp(big.NewRat(c.want, 1)) != 0 {
			t.Errorf("factorOf(%q, %s) = %v, %v", c.name, c.m, f, err)
		}
		if heat := c.m == energy.Gas && (c.name == "kWh" || c.name == "Wh"); err != nil && strings.Contains(err.Error(), "calorific") != heat {
			t.Errorf("factorOf(%q, %s): %v", c.name, c.m, err)
		}
	}
}

// Energy Sparks' list of values that come of counters which ran over, in kWh or
// m3 (feeds.md 2.4): none of them is taken.
func TestOverflows(t *testing.T) {
	for _, text := range []string{
		"4294967.295", "2147483.647", "8590.017", "8590.041", "34364.271", "4295.103", "4295.084", "8590.119", "8590.063", "8591.484",
		"8590.421", "38655.37", "186227.0865", "16777.215",
	} {
		v, err := amount(text, kWh)
		if err != nil || sane(v) != junk {
			t.Errorf("%s is taken: %d %v", text, v, err)
		}
	}
	for v, want := range map[int64]string{0: "", overflow: "", overflow + 1: junk} {
		if got := sane(v); got != want {
			t.Errorf("sane(%d) = %q", v, got)
		}
	}
}

// day is the n half-hours of a UTC day, the i-th with i Wh.
func day(date string, n int) (out []half) {
	for i := range n {
		out = append(out, half{end: utc(date + " 00:00").Add(time.Duration(i+1) * energy.Period), value: int64(i)})
	}
	return out
}

func TestTidyDays(t *testing.T) {
	for junks := range 10 {
		all := append(day("2024-03-01", 48), day("2024-03-02", 48)...)
		for i := range junks {
			all[47-i] = half{end: all[47-i].end, wrong: junk} // the last ends at 00:00
		}
		good := map[string]int{}
		for _, h := range tidy(all, now) {
			if h.wrong == "" {
				good[dayOf(h.end).Format(time.DateOnly)]++
			}
		}
		want := 48 - junks
		if junks > 7 {
			want = 0
		}
		if good["2024-03-01"] != want || good["2024-03-02"] != 48 {
			t.Errorf("with %d overflows the day has %v", junks, good)
		}
	}
}

func TestTidyTwice(t *testing.T) {
	at := utc("2024-03-01 00:30")
	later := at.Add(energy.Period)
	got := tidy([]half{{end: later, value: 5}, {end: at, value: 1}, {end: at, value: 1}, {end: later, value: 6}, {end: later, value: 5}}, now)
	if want := []half{{end: at, value: 1}, {end: later, wrong: twice}}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	got = tidy([]half{{end: now}, {end: now.Add(time.Nanosecond)}}, now)
	if want := []half{{end: now}}; !slices.Equal(got, want) {
		t.Errorf("what is not over is taken: %v", got)
	}
}

// In whatever order a feed gives its half-hours, tidy gives the same, in order,
// each once, and never a value that the feed did not give.
func TestTidyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := map[half]bool{}
		var all []half
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			h := half{end: utc("2024-03-01 00:00").Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "slot")) * energy.Period), value: rapid.Int64Range(0, 3).Draw(t, "value")}
			if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
				h = half{end: h.end, wrong: junk}
			}
			given[h] = true
			all = append(all, h)
		}
		shuffled := rapid.Permutation(all).Draw(t, "order")
		a, b := tidy(slices.Clone(all), now), tidy(slices.Clone(shuffled), now)
		if !slices.Equal(a, b) {
			t.Fatalf("%v\n%v", a, b)
		}
		for i, h := range a {
			if i > 0 && !h.end.After(a[i-1].end) || h.wrong == "" && !given[h] {
				t.Fatalf("%v in %v", h, a)
			}
		}
	})
}

func TestEndOf(t *testing.T) {
	for s, ok := range map[string]bool{
		"2024-03-01T00:30:00Z": true, "2024-03-01T01:00:00+01:00": true, "2024-03-01T00:15:00Z": false, "2024-03-01T00:30:01Z": false,
		"1970-01-01T00:30:00Z": false, "2004-12-31T23:30:00Z": false, "2005-01-01T00:00:00Z": true, "2100-12-31T23:30:00Z": true, "2101-01-01T00:00:00Z": false,
	} {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := endOf(at); (err == nil) != ok || got.Location() != time.UTC {
			t.Errorf("endOf(%s): %v %v", s, got, err)
		}
	}
}

// told is what a decoder gave, as a golden vector has it.
func told(all []half, err error) string {
	if err != nil {
		kind := "error"
		if refused(err) {
			kind = "refused"
		}
		return fmt.Sprintf("%s: %v", kind, err)
	}
	s := ""
	for _, h := range all {
		s += h.end.Format("02 15:04") + fmt.Sprintf(" %d", h.value)
		if h.wrong != "" {
			s += " (" + h.wrong + ")"
		}
		s += "; "
	}
	return s
}
