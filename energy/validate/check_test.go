package validate

import (
	"math"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// sampled gives a half-hour the evidence of samples that lie so far before
// its start and after its end.
func sampled(h energy.HalfHour, before, after time.Duration) energy.HalfHour {
	h.Evidence.First = energy.Sample{At: h.Start.Add(-before), Value: 1}
	h.Evidence.Last = energy.Sample{At: h.Start.Add(energy.Period + after), Value: 2}
	return h
}

// Two meters of class 2 may differ by 1.5 x 4 % = 6 %, and by two steps each.
func TestCheckMeter(t *testing.T) {
	spread := func(h energy.HalfHour) energy.HalfHour { return graded(h, energy.Estimated, energy.RuleSpread) }
	for name, c := range map[string]struct {
		o        Options
		h, other energy.HalfHour
		want     string // of main; the flags say the same
	}{
		"equal":            {h: measured(0, 10_000), other: measured(0, 10_000)},
		"6 % and 4 steps":  {h: measured(0, 10_000), other: measured(0, 9_396)},
		"more":             {h: measured(0, 10_000), other: measured(0, 9_395), want: "V09 warning"},
		"the other way":    {h: measured(0, 9_396), other: measured(0, 10_000)},
		"more, other way":  {h: measured(0, 9_395), other: measured(0, 10_000), want: "V09 warning"},
		"classes":          {o: Options{Class: 5, CheckClass: 10}, h: measured(0, 100_000), other: measured(0, 97_746)},
		"beyond classes":   {o: Options{Class: 5, CheckClass: 10}, h: measured(0, 100_000), other: measured(0, 97_745), want: "V09 warning"},
		"steps":            {o: Options{Step: 100, CheckStep: 10}, h: measured(0, 10_000), other: measured(0, 9_180)},
		"beyond steps":     {o: Options{Step: 100, CheckStep: 10}, h: measured(0, 10_000), other: measured(0, 9_179), want: "V09 warning"},
		"little":           {h: measured(0, 4), other: measured(0, 0)},
		"not quite little": {h: measured(0, 5), other: measured(0, 0), want: "V09 warning"},
		"check estimated":  {h: measured(0, 10_000), other: spread(measured(0, 0))},
		"main estimated":   {h: spread(measured(0, 10_000)), other: measured(0, 0)},
		"check missing":    {h: measured(0, 10_000), other: graded(measured(0, 0), energy.Missing, energy.RuleNone)},
		"interpolated":     {h: graded(measured(0, 10_000), energy.Interpolated, energy.RuleInterpolate), other: graded(measured(0, 5), energy.Interpolated, energy.RuleInterpolate), want: "V09 warning"},
		"off":              {o: Options{Off: flags(9)}, h: measured(0, 10_000), other: measured(0, 5)},
		// Samples 90 s before and 90 s after the boundaries leave a tenth in doubt.
		"doubt":            {h: sampled(measured(0, 10_000), 90*time.Second, 90*time.Second), other: measured(0, 8_396)},
		"beyond doubt":     {h: sampled(measured(0, 10_000), 90*time.Second, 90*time.Second), other: measured(0, 8_395), want: "V09 warning"},
		"doubt of check":   {h: measured(0, 8_396), other: sampled(measured(0, 10_000), 0, 3*time.Minute)},
		"beyond its doubt": {h: measured(0, 8_395), other: sampled(measured(0, 10_000), 0, 3*time.Minute), want: "V09 warning"},
		"half an evidence": {h: func() energy.HalfHour {
			h := sampled(measured(0, 10_000), 0, time.Hour)
			h.Evidence.First = energy.Sample{}
			return h
		}(), other: measured(0, 9_395), want: "V09 warning"},
		"the other half": {h: func() energy.HalfHour {
			h := sampled(measured(0, 10_000), time.Hour, 0)
			h.Evidence.Last = energy.Sample{}
			return h
		}(), other: measured(0, 9_395), want: "V09 warning"},
		"V07 check counts":  {h: measured(0, 0), other: measured(0, 2_000), want: "V07 error"},
		"V07 a little less": {h: measured(0, 0), other: measured(0, 1_999), want: "V09 warning"},
		"V07 own bound":     {o: Options{StuckEnergy: 500}, h: measured(0, 0), other: measured(0, 500), want: "V07 error"},
		"V07 four steps":    {o: Options{Step: 1000, CheckStep: 2000}, h: measured(0, 0), other: measured(0, 3_999)},
		"V07 at four steps": {o: Options{Step: 1000, CheckStep: 2000}, h: measured(0, 0), other: measured(0, 4_000), want: "V07 error"},
		"V07 it moved":      {h: sampled(measured(0, 0), 0, 0), other: measured(0, 2_000), want: "V09 warning"},
		"V07 vague":         {h: spread(measured(0, 0)), other: measured(0, 2_000)},
		"V07 check vague":   {h: measured(0, 0), other: spread(measured(0, 2_000))},
		"V07 interpolated":  {h: graded(measured(0, 0), energy.Interpolated, energy.RuleInterpolate), other: measured(0, 2_000), want: "V07 error"},
		"V07 off":           {o: Options{Off: flags(7)}, h: measured(0, 0), other: measured(0, 2_000), want: "V09 warning"},
		"V07 not zero":      {h: measured(0, 1), other: measured(0, 2_000), want: "V09 warning"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Check = memory{}.put(imp, c.other)
			fs := New(mainImport, c.o).HalfHour(&c.h, memory{}, nil)
			if said(fs) != c.want {
				t.Errorf("%v, want %q", fs, c.want)
			}
			if want := c.want; want != "" && flagged(c.h.Flags) != want[:3] || want == "" && c.h.Flags != 0 {
				t.Errorf("flags %q", flagged(c.h.Flags))
			}
			wellFormed(t, fs)
		})
	}
}

// The check meter's half-hour may come later, by a minute or by days: then it
// says what it would have said at once, with the same flag and the same time.
// Once one of its rules has spoken it says no more, and neither does one that is
// not there, or vague.
func TestChecked(t *testing.T) {
	for name, x := range map[string]struct {
		o          Options
		mine, then energy.HalfHour
		want       string
	}{
		"they agree":   {mine: measured(0, 10_000), then: measured(0, 10_000)},
		"they differ":  {mine: measured(0, 10_000), then: measured(0, 9_000), want: "V09 warning"},
		"it stands":    {mine: measured(0, 0), then: measured(0, 2_000), want: "V07 error"},
		"another time": {mine: measured(0, 10_000), then: measured(1, 5)},
		"it is vague":  {mine: measured(0, 10_000), then: graded(measured(0, 5), energy.Estimated, energy.RuleSpread)},
		"mine is":      {mine: graded(measured(0, 10_000), energy.Estimated, energy.RuleSpread), then: measured(0, 5)},
		"mine is not":  {mine: graded(measured(0, 0), energy.Missing, energy.RuleNone), then: measured(0, 5_000)},
		"off":          {o: Options{Off: flags(7, 9)}, mine: measured(0, 10_000), then: measured(0, 9_000)},
	} {
		t.Run(name, func(t *testing.T) {
			check := memory{}
			x.o.Check = check
			c := New(mainImport, x.o)
			if fs := c.HalfHour(&x.mine, memory{}, nil); said(fs) != "" || x.mine.Flags != 0 {
				t.Fatalf("before the check meter has come: %v", fs)
			}
			check.put(imp, x.then)
			fs := c.Checked(&x.mine, nil)
			if said(fs) != x.want || x.want != "" && (flagged(x.mine.Flags) != x.want[:3] || !fs[0].From.Equal(slotAt(0)) || !fs[0].To.Equal(slotAt(1))) {
				t.Errorf("%v, flags %q, want %q", fs, flagged(x.mine.Flags), x.want)
			}
			wellFormed(t, fs)
			before := x.mine.Flags
			if fs = c.Flush(c.Checked(&x.mine, nil)); said(fs) != "" || x.mine.Flags != before {
				t.Errorf("said again: %v", fs)
			}
		})
	}
}

// What was said by another hour is given with its count, also where the check
// meter alone goes on speaking.
func TestCheckedCounts(t *testing.T) {
	check := memory{}
	c := New(mainImport, Options{Check: check})
	var fs []Finding
	for i := range 49 {
		h := measured(i, 10_000)
		check.put(imp, measured(i, 5_000))
		fs = c.Checked(&h, fs)
	}
	if said(fs) != "V09 warning, V09 warning x47" {
		t.Error(said(fs))
	}
}

func TestPart(t *testing.T) {
	for _, c := range []struct{ v, num, den, want int64 }{
		{10, 1, 3, 3}, {0, 5, 7, 0}, {-5, 1, 1, 0}, {math.MaxInt64, 1, 1, math.MaxInt64}, {math.MaxInt64, 2, 2, math.MaxInt64},
		{math.MaxInt64, 2, 1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64, 2, math.MaxInt64}, {1 << 40, 1 << 40, 1 << 40, 1 << 40},
		{1 << 62, 1 << 62, 1 << 60, math.MaxInt64},
	} {
		if got := part(c.v, c.num, c.den); got != c.want {
			t.Errorf("%d x %d / %d = %d, want %d", c.v, c.num, c.den, got, c.want)
		}
	}
}
