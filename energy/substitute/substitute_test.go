package substitute

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// noon is a Wednesday in summer time, far from any bank holiday.
var noon = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

func slotAt(n int) time.Time { return noon.Add(time.Duration(n) * energy.Period) }

func measured(n int, e int64) energy.HalfHour {
	return energy.HalfHour{
		Start: slotAt(n), Energy: e, Cumulative: -1, TakenAt: slotAt(n + 1).Add(time.Minute), Quality: energy.Measured,
		Evidence: energy.Evidence{Rule: energy.RuleBracketed},
	}
}

func graded(h energy.HalfHour, q energy.Quality, r energy.Rule) energy.HalfHour {
	h.Quality, h.Evidence.Rule = q, r
	return h
}

func missing(n int) energy.HalfHour { return graded(measured(n, 0), energy.Missing, energy.RuleNone) }

var all = []Method{CheckMeter, Linear, Scaled, Profile}

// month is four weeks and a day of half-hours up to noon: 1,000 Wh each, and
// on like days at noon the given ones, the most recent first.
func month(like ...int64) (w []energy.HalfHour) {
	for i := -29 * 48; i < 0; i++ {
		w = append(w, measured(i, 1000))
	}
	for k, e := range like {
		w[29*48-(k+1)*336].Energy = e
	}
	return w
}

// shown writes half-hours as "0: 1200 linear".
func shown(hh []energy.HalfHour) string {
	names := map[energy.Rule]string{
		energy.RuleCheckMeter: "check", energy.RuleLinear: "linear", energy.RuleProfileScaled: "scaled", energy.RuleProfile: "profile",
	}
	var out []string
	for _, h := range hh {
		out = append(out, fmt.Sprintf("%d: %d %s", h.Start.Sub(noon)/energy.Period, h.Energy, names[h.Evidence.Rule]))
	}
	return strings.Join(out, ", ")
}

func TestMethods(t *testing.T) {
	for m, name := range map[Method]string{CheckMeter: "check-meter", Linear: "linear", Scaled: "profile-scaled", Profile: "profile"} {
		if got, err := ParseMethod(name); got != m || err != nil || m.String() != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, s := range []string{"", "Linear", "guess"} {
		if _, err := ParseMethod(s); err == nil || !strings.Contains(err.Error(), "use check-meter, linear, profile-scaled or profile") {
			t.Errorf("%q: %v", s, err)
		}
	}
	for m, want := range map[Method]string{0: "method(0)", 5: "method(5)"} {
		if m.String() != want {
			t.Errorf("%q, want %q", m, want)
		}
	}
}

func TestFill(t *testing.T) {
	check := func(h energy.HalfHour) func(time.Time) (energy.HalfHour, bool) {
		return func(start time.Time) (energy.HalfHour, bool) { return h, start.Equal(h.Start) }
	}
	around := func(before, after int64, holes ...energy.HalfHour) []energy.HalfHour {
		w := []energy.HalfHour{measured(-1, before)}
		w = append(w, holes...)
		return append(w, measured(len(holes), after))
	}
	substituted := func(r energy.Rule) energy.HalfHour { return graded(measured(0, 7), energy.Substituted, r) }
	like := []int64{1200, 1400, 1600, 1800}
	for name, c := range map[string]struct {
		m    energy.Measure // import, where it is not given
		o    Options
		w    []energy.HalfHour
		want string
	}{
		"nothing":                 {o: Options{Methods: all}},
		"nothing, with an end":    {o: Options{Methods: all, To: noon}},
		"nothing missing":         {o: Options{Methods: all}, w: around(1000, 2000, measured(0, 5))},
		"nothing allowed":         {o: Options{}, w: around(1000, 2000, missing(0))},
		"check":                   {o: Options{Methods: all, Check: check(measured(0, 1111))}, w: around(1000, 2000, missing(0)), want: "0: 1111 check"},
		"check of another time":   {o: Options{Methods: all, Check: check(measured(1, 1111))}, w: around(1000, 2000, missing(0)), want: "0: 1500 linear"},
		"check interpolated":      {o: Options{Methods: all, Check: check(graded(measured(0, 1111), energy.Interpolated, energy.RuleInterpolate))}, w: around(1000, 2000, missing(0)), want: "0: 1111 check"},
		"check estimated":         {o: Options{Methods: all, Check: check(graded(measured(0, 1111), energy.Estimated, energy.RuleSpread))}, w: around(1000, 2000, missing(0)), want: "0: 1500 linear"},
		"check not allowed":       {o: Options{Methods: []Method{Linear, Profile}, Check: check(measured(0, 1111))}, w: around(1000, 2000, missing(0)), want: "0: 1500 linear"},
		"check at the ceiling":    {o: Options{Methods: all, MaxEnergy: 1111, Check: check(measured(0, 1111))}, w: around(1000, 1000, missing(0)), want: "0: 1111 check"},
		"check above the ceiling": {o: Options{Methods: all, MaxEnergy: 1110, Check: check(measured(0, 1111))}, w: around(1000, 1000, missing(0)), want: "0: 1000 linear"},
		"check negative":          {o: Options{Methods: all, Check: check(measured(0, -1))}, w: around(1000, 1000, missing(0)), want: "0: 1000 linear"},
		"check of zero":           {o: Options{Methods: all, Check: check(measured(0, 0))}, w: around(1000, 1000, missing(0)), want: "0: 0 check"},
		"no check meter":          {o: Options{Methods: []Method{CheckMeter}}, w: around(1000, 2000, missing(0))},

		"linear":                    {o: Options{Methods: all}, w: around(1000, 2001, missing(0)), want: "0: 1500 linear"},
		"linear, both odd":          {o: Options{Methods: all}, w: around(1001, 2001, missing(0)), want: "0: 1501 linear"},
		"linear at the ceiling":     {o: Options{Methods: all, MaxEnergy: 1500}, w: around(1000, 2000, missing(0)), want: "0: 1500 linear"},
		"linear above it":           {o: Options{Methods: all, MaxEnergy: 1499}, w: around(1000, 2000, missing(0))},
		"linear not allowed":        {o: Options{Methods: []Method{Scaled}}, w: around(1000, 2000, missing(0))},
		"linear over two":           {o: Options{Methods: []Method{Linear}}, w: around(1000, 2000, missing(0), missing(1))},
		"linear beside an estimate": {o: Options{Methods: []Method{Linear}}, w: []energy.HalfHour{graded(measured(-1, 5), energy.Estimated, energy.RuleSpread), missing(0), measured(1, 5)}},
		"linear before an estimate": {o: Options{Methods: []Method{Linear}}, w: []energy.HalfHour{measured(-1, 5), missing(0), graded(measured(1, 5), energy.Estimated, energy.RuleSpread)}},
		"linear, interpolated":      {o: Options{Methods: all}, w: []energy.HalfHour{graded(measured(-1, 5), energy.Interpolated, energy.RuleInterpolate), missing(0), measured(1, 7)}, want: "0: 6 linear"},
		"linear at the end":         {o: Options{Methods: []Method{Linear}}, w: []energy.HalfHour{measured(-1, 5), missing(0)}},
		"linear, not in the window": {o: Options{Methods: all}, w: []energy.HalfHour{measured(-1, 5), measured(1, 7)}, want: "0: 6 linear"},

		"profile":                             {o: Options{Methods: all}, w: append(month(like...), missing(0)), want: "0: 1500 profile"},
		"profile, odd":                        {o: Options{Methods: all}, w: append(month(1200, 1401, 1600, 1800), missing(0)), want: "0: 1500 profile"},
		"profile of three weeks":              {o: Options{Methods: all, Weeks: 3}, w: append(month(like...), missing(0)), want: "0: 1400 profile"},
		"profile not allowed":                 {o: Options{Methods: []Method{CheckMeter, Linear, Scaled}}, w: append(month(like...), missing(0))},
		"profile at the ceiling":              {o: Options{Methods: all, MaxEnergy: 1500}, w: append(month(like...), missing(0)), want: "0: 1500 profile"},
		"profile above it":                    {o: Options{Methods: all, MaxEnergy: 1499}, w: append(month(like...), missing(0))},
		"profile, no end given":               {o: Options{Methods: all, To: slotAt(3)}, w: month(like...), want: "0: 1500 profile, 1: 1000 profile, 2: 1000 profile"},
		"From is in it":                       {o: Options{Methods: all, From: slotAt(1), To: slotAt(3)}, w: month(like...), want: "1: 1000 profile, 2: 1000 profile"},
		"turned around":                       {o: Options{Methods: all, From: slotAt(2), To: slotAt(1)}, w: month(like...)},
		"nothing in between":                  {o: Options{Methods: all, From: slotAt(1), To: slotAt(1)}, w: month(like...)},
		"two are enough":                      {o: Options{Methods: all, Weeks: 2}, w: append(month(like...), missing(0)), want: "0: 1300 profile"},
		"one is too few, so days of the kind": {o: Options{Methods: all, Weeks: 1}, w: append(month(like...), missing(0)), want: "0: 1000 profile"},
		"three needed":                        {o: Options{Methods: all, Weeks: 2, Least: 3}, w: append(month(like...), missing(0)), want: "0: 1000 profile"},
		"too few of any kind":                 {o: Options{Methods: all}, w: []energy.HalfHour{measured(-336, 1000), measured(-1, 5), missing(0)}},
		"just enough":                         {o: Options{Methods: all}, w: []energy.HalfHour{measured(-48, 900), measured(-336, 1000), measured(-1, 5), missing(0)}, want: "0: 950 profile"},
		"estimates are no model":              {o: Options{Methods: all}, w: []energy.HalfHour{graded(measured(-48, 900), energy.Estimated, energy.RuleSpread), measured(-336, 1000), measured(-1, 5), missing(0)}},

		"substitutes stay":          {o: Options{Methods: all}, w: append(month(like...), substituted(energy.RuleProfile))},
		"linear over profile":       {o: Options{Methods: all}, w: append(month(like...), substituted(energy.RuleProfile), measured(1, 3000)), want: "0: 2000 linear"},
		"profile not over linear":   {o: Options{Methods: []Method{Profile}}, w: append(month(like...), substituted(energy.RuleLinear))},
		"linear not over linear":    {o: Options{Methods: all}, w: append(month(like...), substituted(energy.RuleLinear), measured(1, 3000))},
		"check over linear":         {o: Options{Methods: all, Check: check(measured(0, 1111))}, w: append(month(like...), substituted(energy.RuleLinear)), want: "0: 1111 check"},
		"check not over check":      {o: Options{Methods: all, Check: check(measured(0, 1111))}, w: append(month(like...), substituted(energy.RuleCheckMeter))},
		"another's stays":           {o: Options{Methods: all, Check: check(measured(0, 1111))}, w: append(month(like...), substituted(energy.RuleShareOther))},
		"estimated stays":           {o: Options{Methods: all, Check: check(measured(0, 1111))}, w: append(month(like...), graded(measured(0, 7), energy.Estimated, energy.RuleImportedEst))},
		"export is not filled":      {m: energy.Export, o: Options{Methods: all, Check: check(measured(0, 1111))}, w: around(1000, 2000, missing(0))},
		"reactive export is not":    {m: energy.ReactiveExport, o: Options{Methods: all}, w: append(month(like...), missing(0))},
		"reactive import is filled": {m: energy.ReactiveImport, o: Options{Methods: all}, w: append(month(like...), missing(0)), want: "0: 1500 profile"},
		"gas is filled":             {m: energy.Gas, o: Options{Methods: all}, w: append(month(like...), missing(0)), want: "0: 1500 profile"},

		"three in a row at most":   {o: Options{Methods: all, MaxRun: 3, To: slotAt(9)}, w: month(like...), want: "0: 1500 profile, 1: 1000 profile, 2: 1000 profile"},
		"with those before":        {o: Options{Methods: all, MaxRun: 3, To: slotAt(9)}, w: append(month(like...), substituted(energy.RuleProfile)), want: "1: 1000 profile, 2: 1000 profile"},
		"the better of two":        {o: Options{Methods: all}, w: append(around(1000, 2000, missing(0)), measured(0, 5))},
		"the better of two, first": {o: Options{Methods: all}, w: append([]energy.HalfHour{measured(0, 5)}, around(1000, 2000, missing(0))...)},
		"the later of equals":      {o: Options{Methods: all}, w: append(around(1000, 2000, missing(0)), measured(1, 3000)), want: "0: 2000 linear"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.m == 0 {
				c.m = energy.Import
			}
			got := Plan(c.m, c.w, c.o)
			if shown(got) != c.want {
				t.Errorf("got %s\nwant %s", shown(got), c.want)
			}
			for _, h := range got {
				if h.Quality != energy.Substituted || h.Cumulative != -1 || !h.TakenAt.After(h.Start.Add(energy.Period)) || h.Start.Location() != time.UTC {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

// What a substitute says of itself: when it was made, what it came from, and
// the flags of what it stands for.
func TestSubstituteCarries(t *testing.T) {
	hole := missing(0)
	hole.Flags = energy.Flags(0).With(3)
	hole.Evidence.First, hole.Evidence.Samples = energy.Sample{At: slotAt(-1), Value: 17}, 3
	other := measured(0, 1111)
	other.Evidence.First = energy.Sample{At: slotAt(0), Value: 900}
	other.Evidence.Samples = 180
	w := []energy.HalfHour{measured(-1, 1000), hole, measured(1, 2000)}
	o := Options{Methods: all, Now: noon.Add(48 * time.Hour)}
	got := Plan(energy.Import, w, o)[0]
	if got.Flags != hole.Flags || !got.TakenAt.Equal(o.Now) || got.Evidence.First != hole.Evidence.First || got.Evidence.Samples != 3 || got.Evidence.Rule != energy.RuleLinear {
		t.Errorf("%+v", got)
	}
	o.Check = func(time.Time) (energy.HalfHour, bool) { return other, true }
	got = Plan(energy.Import, w, o)[0]
	if got.Flags != hole.Flags || got.Evidence.First != other.Evidence.First || got.Evidence.Samples != 180 || got.Evidence.Rule != energy.RuleCheckMeter {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct{ now, was, want time.Time }{
		{slotAt(1).Add(1), time.Time{}, slotAt(1).Add(1)},
		{slotAt(1), time.Time{}, slotAt(1).Add(time.Second)}, // never at its end
		{time.Time{}, slotAt(2), slotAt(2)},
		{time.Time{}, slotAt(1), slotAt(1).Add(time.Second)},
	} {
		w[1].TakenAt = c.was
		if got := Plan(energy.Import, w, Options{Methods: all, Now: c.now})[0]; !got.TakenAt.Equal(c.want) {
			t.Errorf("now %v, before %v: taken at %v, want %v", c.now, c.was, got.TakenAt, c.want)
		}
	}
}

// A week is the longest that is filled by profile, where nothing else is said.
func TestProlonged(t *testing.T) {
	got := Plan(energy.Import, month(), Options{Methods: all, To: slotAt(1000)})
	if len(got) != 336 || !got[335].Start.Equal(slotAt(335)) {
		t.Errorf("%d half-hours were filled", len(got))
	}
	// Once more, with those in place: no more than that.
	if again := Plan(energy.Import, append(month(), got...), Options{Methods: all, To: slotAt(1000)}); len(again) != 0 {
		t.Errorf("%d more were filled", len(again))
	}
}
