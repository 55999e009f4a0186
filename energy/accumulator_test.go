package energy

import (
	"testing"
	"time"
)

// The evidence of neighbours brackets their common boundary.
func TestEvidence(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	var hs []HalfHour
	for _, s := range []step{{at: "00:10:00", value: 100}, {at: "00:25:00", value: 250}, {at: "00:45:00", value: 450}, {at: "01:10:00", value: 700}, {at: "01:30:00", value: 900}, {at: "02:00:00", value: 1200}} {
		hs, _ = a.Add(Sample{at(t, s.at), s.value}, hs)
	}
	want := []Evidence{
		{Sample{at(t, "00:25:00"), 250}, Sample{at(t, "01:10:00"), 700}, Sample{at(t, "00:45:00"), 450}, 1, RuleInterpolate},
		{Sample{at(t, "00:45:00"), 450}, Sample{at(t, "01:30:00"), 900}, Sample{}, 1, RuleInterpolate},
		{Sample{at(t, "01:30:00"), 900}, Sample{at(t, "02:00:00"), 1200}, Sample{}, 1, RuleBracketed},
	}
	if len(hs) != len(want) {
		t.Fatalf("%d half-hours, want %d", len(hs), len(want))
	}
	for i := range want {
		if hs[i].Evidence != want[i] {
			t.Errorf("half-hour %d: evidence %+v, want %+v", i, hs[i].Evidence, want[i])
		}
	}
}

// A value is taken after its half-hour has ended, never at its end.
func TestTakenAt(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	hs, _ := a.Add(Sample{at(t, "00:00:00"), 10}, nil)
	hs, _ = a.Add(Sample{at(t, "00:30:00"), 11}, hs)
	hs, _ = a.Add(Sample{at(t, "01:45:00"), 12}, hs)
	for i, want := range []string{"00:30:01", "01:45:00", "01:45:00"} {
		if !hs[i].TakenAt.Equal(at(t, want)) {
			t.Errorf("half-hour %d taken at %v, want %s", i, hs[i].TakenAt, want)
		}
	}
}

// A gap longer than anything is kept opens the register anew.
func TestLongGap(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	start := at(t, "00:00:00")
	a.Add(Sample{start, 1}, nil)
	hs, e := a.Add(Sample{start.Add(400 * 24 * time.Hour), 19201}, nil)
	if len(hs) != 19200 || e.Kind != Nothing || hs[19199].Energy != 1 || hs[19199].Cumulative != 19201 {
		t.Errorf("400 days: %d half-hours, %v", len(hs), e.Kind)
	}
	hs, e = a.Add(Sample{start.Add(800*24*time.Hour + 1), 20000}, nil)
	if len(hs) != 0 || e.Kind != Reset || e.Before != 19201 || !e.BeforeAt.Equal(start.Add(400*24*time.Hour)) {
		t.Errorf("more than 400 days: %d half-hours, %+v", len(hs), e)
	}
}

// The longest gap after which the register is opened anew without any
// half-hours, and the kind of event, are those of maxGap to the nanosecond.
func TestLongAmbiguousGap(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		kind EventKind
		n    int
	}{{400 * 24 * time.Hour, Ambiguous, 19200}, {400*24*time.Hour + 1, Reset, 0}} {
		a := NewAccumulator(Register{Measure: Import, MaxPower: 10_000, Modulus: 10_000}, Period)
		a.Add(Sample{at(t, "00:00:00"), 1}, nil)
		hs, e := a.Add(Sample{at(t, "00:00:00").Add(c.gap), 2}, nil)
		if len(hs) != c.n || e.Kind != c.kind {
			t.Errorf("%v: %s, %d half-hours", c.gap, e.Kind, len(hs))
		}
	}
}

func TestImpossibleTimes(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	for _, when := range []time.Time{{}, time.Unix(0, 0), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<62, 0)} {
		if _, e := a.Add(Sample{when, 1}, nil); e.Kind != OutOfOrder || e.Before != -1 || e.After != 1 {
			t.Errorf("%v: %+v", when, e)
		}
	}
	if _, e := a.Add(Sample{time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), 1}, nil); e.Kind != Opened {
		t.Errorf("2000-01-01: %v", e.Kind)
	}
}

// Registers near the end of 63 bits do not overflow.
func TestLargeRegisters(t *testing.T) {
	const top = 1<<63 - 1
	a := NewAccumulator(Register{Measure: Import}, Period)
	a.Add(Sample{at(t, "00:00:00"), 1}, nil)
	hs, _ := a.Add(Sample{at(t, "01:30:00"), top}, nil)
	var sum int64
	for _, h := range hs {
		if h.Energy < 0 {
			t.Fatalf("negative: %+v", h)
		}
		sum += h.Energy
	}
	if len(hs) != 3 || sum != top-1 || hs[0].Energy != (top-1)/3 {
		t.Errorf("%d half-hours sum to %d", len(hs), sum)
	}
}

// Periods other than half-hours, as tests use; nonsense is taken as half an hour.
func TestPeriods(t *testing.T) {
	for period, want := range map[time.Duration]time.Duration{time.Second: time.Second, 0: Period, -time.Hour: Period, 7 * time.Hour: Period, 48 * time.Hour: Period, time.Hour: time.Hour} {
		a := NewAccumulator(Register{Measure: Import}, period)
		start := time.Date(2024, 2, 5, 0, 0, 0, 0, time.UTC)
		a.Add(Sample{start, 1}, nil)
		hs, _ := a.Add(Sample{start.Add(2 * want), 3}, nil)
		if len(hs) != 2 || !hs[1].Start.Equal(start.Add(want)) {
			t.Errorf("period %v: %+v", period, hs)
		}
	}
}

// In steady state a sample costs no allocation, with or without a half-hour.
func TestAddDoesNotAllocate(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import, MaxPower: 1 << 30, Modulus: 1 << 40}, Period)
	now, value := time.Date(2024, 2, 5, 0, 0, 0, 0, time.UTC), int64(1)
	dst := make([]HalfHour, 0, 4)
	state := make([]byte, 0, 128)
	a.Add(Sample{now, value}, dst)
	if n := testing.AllocsPerRun(2000, func() {
		now, value = now.Add(10*time.Minute), value+1234
		dst, _ = a.Add(Sample{now, value}, dst[:0])
		dst, _ = a.Add(Sample{now, value}, dst[:0]) // repeated
		dst, _ = a.Add(Sample{now.Add(time.Second), 0}, dst[:0])
		state = a.State(state[:0])
	}); n != 0 {
		t.Errorf("%v allocations per round", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	a := NewAccumulator(Register{Measure: Import, MaxPower: 1 << 30, Modulus: 1 << 40}, Period)
	now, value := time.Date(2024, 2, 5, 0, 0, 0, 0, time.UTC), int64(1)
	dst := make([]HalfHour, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		now, value = now.Add(10*time.Second), (value+14)%(1<<40)
		dst, _ = a.Add(Sample{now, value}, dst[:0])
	}
}
