package energy

import (
	"testing"
	"time"
)

// at reads a time of 2024-02-05 (or, with a day in front, "6 10:00:00").
func at(t *testing.T, s string) time.Time {
	t.Helper()
	for _, l := range []string{"15:04:05", "2 15:04:05"} {
		if v, err := time.Parse(l, s); err == nil {
			day := 5
			if l != "15:04:05" {
				day = v.Day()
			}
			return time.Date(2024, 2, day, v.Hour(), v.Minute(), v.Second(), v.Nanosecond(), time.UTC)
		}
	}
	t.Fatalf("time %q", s)
	return time.Time{}
}

type step struct {
	at    string
	value int64
	event EventKind
	// the half-hours that this sample settles: "start energy cumulative quality samples"
	want []hh
}

type hh struct {
	start      string
	energy     int64
	cumulative int64
	quality    Quality
	samples    int
}

// tell gives the steps to an accumulator and checks what it makes of them, and
// that one which is restarted at every step makes the same.
func tell(t *testing.T, a *Accumulator, steps []step) {
	t.Helper()
	for _, s := range steps {
		b, err := RestoreAccumulator(a.reg, time.Duration(a.period), a.State(nil))
		if err != nil {
			t.Fatalf("before %s: %v", s.at, err)
		}
		b.close = a.close
		got, e := a.Add(Sample{at(t, s.at), s.value}, nil)
		if _, f := b.Add(Sample{at(t, s.at), s.value}, nil); e != f || *a != *b {
			t.Errorf("%s: %+v, after a restart %+v", s.at, e, f)
		}
		if e.Kind != s.event {
			t.Errorf("%s: event %q, want %q", s.at, e.Kind, s.event)
		}
		checkSettled(t, s.at, got, s.want)
	}
}

func checkSettled(t *testing.T, when string, got []HalfHour, want []hh) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d half-hours %+v, want %d", when, len(got), got, len(want))
	}
	for i, w := range want {
		h := got[i]
		if !h.Start.Equal(at(t, w.start)) || h.Energy != w.energy || h.Cumulative != w.cumulative || h.Quality != w.quality || h.Evidence.Samples != w.samples {
			t.Errorf("%s: %s %d %d %s %d samples, want %+v", when, h.Start.Format("15:04"), h.Energy, h.Cumulative, h.Quality, h.Evidence.Samples, w)
		}
		if h.Evidence.Rule != RuleExchange && h.Evidence.Rule != ruleFor[h.Quality] {
			t.Errorf("%s: rule %d for %s", when, h.Evidence.Rule, h.Quality)
		}
	}
}

var ruleFor = map[Quality]Rule{Measured: RuleBracketed, Interpolated: RuleInterpolate, Estimated: RuleSpread, Missing: RuleNone}
