package energy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// newest drops what was given again: a half-hour (and all that follow it) that
// comes once more takes the place of the one before.
func newest(hs []HalfHour) []HalfHour {
	var out []HalfHour
	for _, h := range hs {
		for len(out) > 0 && !out[len(out)-1].Start.Before(h.Start) {
			out = out[:len(out)-1]
		}
		out = append(out, h)
	}
	return out
}

// checkHalfHours states the laws that hold whatever the samples were: nothing
// negative, nothing twice, no hole, and each half-hour is the difference of
// the register at its ends. Only after a gap of more than maxGap may the
// accumulator start anew without giving what lies between.
func checkHalfHours(t interface{ Fatalf(string, ...any) }, r Register, period time.Duration, hs []HalfHour) {
	for i, h := range hs {
		switch {
		case h.Energy < 0, h.Quality == Missing && (h.Energy != 0 || h.Cumulative != -1), h.Quality == Substituted, !h.Quality.Valid():
			t.Fatalf("impossible half-hour %+v", h)
		case h.Quality != Missing && !r.holds(h.Cumulative):
			t.Fatalf("the register cannot show %d", h.Cumulative)
		case !h.TakenAt.After(h.Start.Add(period)) || h.Start.UnixNano()%int64(period) != 0:
			t.Fatalf("impossible times %+v", h)
		case h.Quality != Missing && (h.Evidence.First.At.After(h.Start) || h.Evidence.Last.At.Before(h.Start.Add(period))):
			t.Fatalf("the evidence does not bracket the half-hour: %+v", h)
		}
		if i == 0 {
			continue
		}
		last := hs[i-1]
		if h.Start.Sub(last.Start) > time.Duration(maxGap)-2*period {
			continue
		}
		if !h.Start.Equal(last.Start.Add(period)) {
			t.Fatalf("half-hour %v follows %v", h.Start, last.Start)
		}
		if h.Quality != Missing && last.Quality != Missing && h.Evidence.Rule != RuleExchange {
			off := h.Energy - (h.Cumulative - last.Cumulative)
			if r.Modulus > 0 {
				off %= r.Modulus // a small register can wrap more than once in a half-hour
			}
			if off != 0 {
				t.Fatalf("%v: energy %d, but the register went from %d to %d", h.Start, h.Energy, last.Cumulative, h.Cumulative)
			}
		}
	}
}

// site is a register that counts for ever, and the meter that shows it badly.
type site struct {
	reg   Register
	now   time.Time
	total int64 // never wraps
}

func (s *site) shown() int64 {
	if s.reg.Modulus > 0 {
		return s.total % s.reg.Modulus
	}
	return s.total
}

// Law 1: whatever the times, gaps, glitches, rollovers and restarts, the
// half-hours between two boundaries sum to what the register counted between
// them.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.SampledFrom([]time.Duration{Period, time.Minute, time.Hour}).Draw(t, "period")
		s := site{
			reg: Register{Measure: Import, MaxPower: rapid.SampledFrom([]int64{0, 20_000}).Draw(t, "ceiling"), Modulus: rapid.SampledFrom([]int64{0, 1_000_000}).Draw(t, "modulus")},
			now: time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, int64(period)).Draw(t, "offset"))),
		}
		s.total = rapid.Int64Range(1, 999_999).Draw(t, "register")
		a := NewAccumulator(s.reg, period)
		truth := map[int64]int64{} // what the register had counted at boundaries that were sampled
		var hs []HalfHour
		add := func(v int64) {
			var e Event
			hs, e = a.Add(Sample{s.now, v}, hs)
			if e.Kind == Reset {
				t.Fatalf("reset: %+v", e)
			}
			if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
				b, err := RestoreAccumulator(s.reg, period, a.State(nil))
				if err != nil {
					t.Fatal(err)
				}
				a = b
			}
		}
		lastGood := int64(0)
		good := func() {
			add(s.shown())
			lastGood = s.shown()
			if s.now.UnixNano()%int64(period) == 0 && lastGood > 0 { // a 0 is not taken for a reading
				truth[s.now.UnixNano()] = s.total
			}
		}
		good()
		glitches := 0
		for range rapid.IntRange(1, 80).Draw(t, "samples") {
			s.tick(t, period, glitches > 0)
			kind := rapid.IntRange(0, 9).Draw(t, "kind")
			// A wrap needs two good samples in a row to be known as one.
			nearModulus := s.reg.Modulus > 0 && s.shown() >= s.reg.Modulus*7/10
			wrapped := s.reg.Modulus > 0 && s.shown() < s.reg.Modulus*3/10
			switch {
			case kind > 2 || glitches >= 3 || nearModulus && glitches >= 1 || wrapped:
				glitches = 0
				good()
				if kind == 9 {
					add(s.shown()) // once more
				}
			case kind == 2 && s.reg.MaxPower > 0 && !nearModulus:
				glitches++
				add(s.shown() + 100_000_000*min(1, 1-s.reg.Modulus) + 500_000*min(1, s.reg.Modulus))
			default:
				glitches++
				add(rapid.Int64Range(0, lastGood/2).Draw(t, "glitch"))
			}
		}
		for range 3 { // what is held is judged
			s.tick(t, period, glitches > 0)
			good()
		}
		checkHalfHours(t, s.reg, period, newest(hs))
		redo(t, s.reg, period, newest(hs))
		checkTruth(t, period, newest(hs), truth)
	})
}

// tick lets time pass and the register count, never more than the ceiling and
// a tenth of the modulus allow. While what is shown is wrong it is brief, since
// what stays wrong for long is a reset.
func (s *site) tick(t *rapid.T, period time.Duration, brief bool) {
	gap := time.Duration(rapid.Int64Range(1, int64(period)).Draw(t, "gap"))
	switch rapid.IntRange(0, 5).Draw(t, "pace") {
	case 0, 1: // to the next boundary
		gap = period - time.Duration(s.now.UnixNano()%int64(period))
	case 2: // an outage
		gap *= 7
	case 3:
		gap = gap%(10*time.Second) + 1
	}
	if brief {
		gap = gap%(period/4) + 1
	}
	most := int64(40_000) // a glitch apart, two of these are less than a tenth of the modulus
	if s.reg.MaxPower > 0 {
		most = min(most, int64(float64(s.reg.MaxPower)*gap.Hours()))
	}
	s.now, s.total = s.now.Add(gap), s.total+rapid.Int64Range(0, most).Draw(t, "advance")
}

// checkTruth compares sums between sampled boundaries with what was counted.
func checkTruth(t *rapid.T, period time.Duration, hs []HalfHour, truth map[int64]int64) {
	anchor, anchored, sum := int64(0), false, int64(0)
	for _, h := range hs {
		if h.Quality == Missing {
			t.Fatalf("missing: %+v", h)
		}
		// A sample that was in doubt is not used.
		if v, ok := truth[h.Start.UnixNano()]; ok && !anchored && h.Evidence.First.At.Equal(h.Start) {
			anchor, anchored, sum = v, true, 0
		}
		sum += h.Energy
		if v, ok := truth[h.Start.Add(period).UnixNano()]; ok && anchored && h.Evidence.Last.At.Equal(h.Start.Add(period)) && v-anchor != sum {
			t.Fatalf("up to %v: the half-hours sum to %d, the register counted %d", h.Start.Add(period), sum, v-anchor)
		}
	}
}

// Whatever is thrown at it, the laws hold, and an accumulator that is restored
// after every single sample says the same as one that never stopped.
func TestRestartChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Register{
			Measure:  rapid.SampledFrom(Measures()).Draw(t, "measure"),
			Modulus:  rapid.SampledFrom([]int64{0, 1000, 1 << 32, 1<<63 - 1}).Draw(t, "modulus"),
			MaxPower: rapid.SampledFrom([]int64{0, 100, 1 << 40, 1<<63 - 1}).Draw(t, "ceiling"),
			Close:    rapid.SampledFrom([]time.Duration{0, time.Nanosecond, time.Hour}).Draw(t, "close"),
		}
		a := NewAccumulator(r, Period)
		b := NewAccumulator(r, Period)
		now := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC)
		value := rapid.Int64Range(0, 1<<62).Draw(t, "register")
		var x, y []HalfHour
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int64{-1, 0, 1, 10, 60, 300, 1800, 7200, 401 * 86400}).Draw(t, "gap")) * time.Second)
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0, 1:
				value += rapid.Int64Range(0, 50).Draw(t, "advance")
			case 2:
				value = rapid.Int64Range(-10, 1<<63-1).Draw(t, "value")
			case 3:
				value = rapid.SampledFrom([]int64{0, 1, 990, 1<<32 - 1, 1<<63 - 2}).Draw(t, "value")
			case 4:
				base, _ := a.Base()
				closing, opening := base.Value+rapid.Int64Range(-1, 50).Draw(t, "closing"), rapid.Int64Range(0, 100).Draw(t, "opening")
				when := now.Add(time.Duration(rapid.IntRange(-600, 600).Draw(t, "when")) * time.Second)
				was, n := *a, len(x)
				var e, f Event
				var err, err2 error
				x, e, err = a.Exchange(when, closing, opening, x)
				y, f, err2 = b.Exchange(when, closing, opening, y)
				if (err == nil) != (err2 == nil) || e != f || len(x) != len(y) || err != nil && (*a != was || len(x) != n) {
					t.Fatalf("%+v %v, after restarts %+v %v", e, err, f, err2)
				}
				if value = opening; when.After(now) {
					now = when
				}
				continue
			case 5:
				a.Break()
				b.Break()
			case 6:
				now = now.Add(-time.Duration(rapid.IntRange(0, 8000).Draw(t, "back")) * time.Second)
				var e, f Event
				x, e = a.ClockBack(Sample{now, value}, x)
				y, f = b.ClockBack(Sample{now, value}, y)
				if e != f || len(x) != len(y) {
					t.Fatalf("%+v, after restarts %+v", e, f)
				}
				if e.Kind == ClockBack { // from here on, time is told anew
					checkHalfHours(t, r, Period, newest(x))
					x, y = nil, nil
				}
				continue
			}
			n := len(x)
			var e, f Event
			x, e = a.Add(Sample{now, value}, x)
			y, f = b.Add(Sample{now, value}, y)
			if e.Kind != Retracted && n > 0 && len(x) > n && !x[n].Start.After(x[n-1].Start) {
				t.Fatalf("%+v gives half-hours again", e)
			}
			if e != f || len(x) != len(y) {
				t.Fatalf("%+v and %d half-hours, after restarts %+v and %d", e, len(x), f, len(y))
			}
			state := a.State(nil)
			restored, err := RestoreAccumulator(r, Period, b.State(nil))
			if err != nil || *restored != *a || string(restored.State(nil)) != string(state) {
				t.Fatalf("%v: %+v became %+v", err, a, restored)
			}
			b = restored
		}
		for i := range x {
			if x[i] != y[i] {
				t.Fatalf("half-hour %d: %+v, after restarts %+v", i, x[i], y[i])
			}
		}
		checkHalfHours(t, r, Period, newest(x))
		redo(t, r, Period, newest(x))
	})
}
