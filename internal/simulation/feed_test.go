package simulation

import (
	"math"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What must stand of what a feed said: the last actual value, else the last estimate.
func TestBest(t *testing.T) {
	a, b := letter{value: 1}, letter{value: 2}
	e, f := letter{value: 3, estimated: true}, letter{value: 4, estimated: true}
	for name, c := range map[string]struct {
		said []letter
		want int64 // 0: nothing
	}{
		"nothing": {nil, 0}, "one": {[]letter{a}, 1}, "corrected": {[]letter{a, b}, 2}, "corrected back": {[]letter{a, b, a}, 1},
		"estimates": {[]letter{e, f}, 4}, "estimated first": {[]letter{e, f, a}, 1}, "an estimate is late": {[]letter{e, b, f}, 2},
	} {
		if l, ok := best(c.said); ok != (c.want != 0) || l.value != c.want {
			t.Errorf("%s: %v %v", name, l, ok)
		}
	}
}

// Every half-hour's letters come in the order in which the feed gives them, and
// all of them are given.
func TestLettersInOrder(t *testing.T) {
	begin := epoch.AddDate(0, 0, 3)
	s := &site{chance: chance(mix(7)), begin: begin, end: begin.AddDate(0, 0, 60)}
	f := &feed{site: s, chance: s.of("feed", 0)}
	m := &fed{key: energy.Key{Meter: "fed", Measure: energy.Import}, load: load{kind: energy.Import, most: 30_000, noise: 5}, said: map[int][]letter{}}
	f.meters = []*fed{m}
	f.write(0, m)
	f.sort()
	given := map[int][]letter{}
	for hour := range f.letters {
		for _, p := range f.parcels(hour, hour+1) {
			for _, r := range p.readings {
				at := index(r.Sample.At) - 1
				given[at] = append(given[at], letter{value: r.Sample.Value, estimated: r.Estimated})
			}
		}
	}
	late, corrected := 0, 0
	for at, said := range m.said {
		if len(given[at]) != len(said) {
			t.Fatalf("%s: said %v, given %v", boundary(at), said, given[at])
		}
		for i, l := range said {
			if given[at][i].value != l.value || given[at][i].estimated != l.estimated || i > 0 && l.hour < said[i-1].hour {
				t.Fatalf("%s: said %v, given %v", boundary(at), said, given[at])
			}
			if l.hour > at/2+48 {
				late++
			}
			if i > 0 && l.value != said[i-1].value {
				corrected++
			}
		}
	}
	if len(m.said) < 2500 || late < 500 || corrected < 100 {
		t.Errorf("%d half-hours, %d letters late, %d corrections: too tame", len(m.said), late, corrected)
	}
}

// The area between a line and zero, above and below, against a sum of many slices.
func TestArea(t *testing.T) {
	at := func(minutes float64) time.Time { return epoch.Add(time.Duration(minutes * float64(time.Minute))) }
	for _, sign := range []int64{1, -1} {
		p := &powerOracle{sign: sign}
		for _, c := range []struct {
			a, b     int64
			from, to float64 // minutes of the two readings; the half-hour is 0 to 30
		}{
			{600, 600, 0, 30}, {0, 600, 5, 10}, {-600, 600, 0, 30}, {600, -300, -10, 20}, {600, -300, 20, 40}, {-5, -7, 1, 2}, {500, 100, -60, 90}, {100, 200, 30, 31}, {100, 200, -3, 0},
		} {
			want, slices := 0.0, 100_000
			for i := range slices {
				x := (float64(i) + 0.5) / float64(slices)
				if m := c.from + (c.to-c.from)*x; m >= 0 && m < 30 {
					want += math.Max(float64(sign)*(float64(c.a)+float64(c.b-c.a)*x), 0) * (c.to - c.from) / 60 / float64(slices)
				}
			}
			got := p.area(watts{at: at(c.from), value: c.a}, watts{at: at(c.to), value: c.b}, at(0), at(30))
			if math.Abs(got-want) > 0.01 {
				t.Errorf("sign %d, %d to %d W from minute %g to %g: %.4f Wh, want %.4f", sign, c.a, c.b, c.from, c.to, got, want)
			}
		}
	}
}
