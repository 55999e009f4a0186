package agent

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
	"pgregory.net/rapid"
)

func openTale(t failer, path string) *store.Store {
	s, _, err := store.Open(path, store.Options{Logger: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own is a half-hour as the readings give it, worked out by docs/metering.md
// ("From register to half-hour") and nothing else.
type own struct {
	from, to bound
	quality  energy.Quality
}

// bound is a boundary: the readings around it, and the register there, counted
// on from the first reading.
type bound struct {
	before, after reading // values counted on
	value         int64
	quality       energy.Quality
}

func (y *tale) bound(all []reading, at int64) (b bound, ok bool) {
	i, on := slices.BinarySearchFunc(all, at, func(r reading, at int64) int { return cmp.Compare(r.at, at) })
	switch {
	case on:
		b.before, b.after = all[i], all[i]
	case i == 0 || i == len(all):
		return b, false
	default:
		b.before, b.after = all[i-1], all[i]
	}
	b.value = b.before.value
	between := b.after.at - b.before.at
	if between > 0 {
		b.value += (b.after.value - b.before.value) * (at - b.before.at) / between
	}
	near := min(at-b.before.at, b.after.at-at)
	switch {
	case near <= 30, near <= 120 && between <= perHalf:
		b.quality = energy.Measured
	case between <= perHalf:
		b.quality = energy.Interpolated
	default:
		b.quality = energy.Estimated
	}
	return b, true
}

func (y *tale) own(all []reading, n int64) (o own, ok bool) {
	o.from, ok = y.bound(all, n*perHalf)
	if ok {
		o.to, ok = y.bound(all, (n+1)*perHalf)
	}
	o.quality = min(o.from.quality, o.to.quality)
	return o, ok
}

// known gives all the readings that have come, counted on through the modulus.
func (y *tale) known() (all []reading) {
	for _, r := range slices.Concat(y.read, y.late) {
		all = append(all, reading{r.at, y.opening + y.counted(r.at)})
	}
	slices.SortFunc(all, func(a, b reading) int { return cmp.Compare(a.at, b.at) })
	return slices.Compact(all)
}

func TestTales(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		y := drawTale(rt)
		stands, sums := y.live(rt, fmt.Sprintf("%s/%d.db", dir, n), y.events)
		y.lawful(rt, stands)
		for i, v := range sums {
			if h := stands[i]; v.Energy != h.Energy || v.Quality != h.Quality || !v.Start.Equal(h.Start) {
				rt.Fatalf("the sum is %s, its input %s", taleWords(v), taleWords(h))
			}
		}
	})
}

// lawful holds what stands against what the readings and files say.
func (y *tale) lawful(t failer, stands []energy.HalfHour) {
	all := y.known()
	at := map[int64]energy.HalfHour{}
	for _, h := range stands {
		at[h.Start.Unix()/perHalf-epoch.Unix()/perHalf] = h
	}
	for n := range y.end/perHalf + 1 {
		h, there := at[n]
		wrong := func(format string, args ...any) {
			t.Fatalf("%s: %s\n%s", fmt.Sprintf(format, args...), taleWords(h), y.words(all, n))
		}
		actual, isActual := y.actual[n]
		guess, isGuess := y.guess[n]
		o, known := y.own(all, n)
		switch {
		case !there:
			if known || isActual || isGuess {
				wrong("%d is not there", n)
			}
			continue
		case h.Energy < 0:
			wrong("negative")
		case known && o.quality >= energy.Interpolated:
			y.same(h, o, wrong)
		case isActual:
			if h.Energy != actual || h.Quality != energy.Measured || h.Evidence.Rule != energy.RuleImported || h.Cumulative != -1 {
				wrong("the file says %d", actual)
			}
		case known && h.Evidence.Rule == energy.RuleProfileScaled:
			if h.Quality != energy.Estimated || !y.tells(all, n) && h.Energy != o.to.value-o.from.value {
				wrong("shaped, and nothing tells of its gap")
			}
		case known:
			y.same(h, o, wrong)
		case isGuess:
			if h.Energy != guess || h.Quality != energy.Estimated || h.Evidence.Rule != energy.RuleImportedEst {
				wrong("the file estimates %d", guess)
			}
		default:
			wrong("nobody knows it")
		}
		if before, ok := at[n-1]; ok && before.Cumulative >= 0 && h.Cumulative >= 0 {
			on := h.Cumulative - before.Cumulative
			if on < 0 {
				on += y.modulus
			}
			if on != h.Energy {
				wrong("the register went on by %d from %s", on, taleWords(before))
			}
		}
	}
	y.gaps(t, all, at)
}

// same checks that a half-hour is as the readings give it.
func (y *tale) same(h energy.HalfHour, o own, wrong func(string, ...any)) {
	rule := map[energy.Quality]energy.Rule{energy.Measured: energy.RuleBracketed, energy.Interpolated: energy.RuleInterpolate, energy.Estimated: energy.RuleSpread}[o.quality]
	if h.Energy != o.to.value-o.from.value || h.Quality != o.quality || h.Evidence.Rule != rule || h.Cumulative != y.register(o.to.value) {
		wrong("the readings give %d Wh to %d %s", o.to.value-o.from.value, y.register(o.to.value), o.quality)
	}
	f, l := h.Evidence.First, h.Evidence.Last
	if f.At != instantOf(o.from.before.at) || l.At != instantOf(o.to.after.at) || f.Value != y.register(o.from.before.value) || l.Value != y.register(o.to.after.value) {
		wrong("the readings around it are %+v and %+v", o.from.before, o.to.after)
	}
}

func (y *tale) register(v int64) int64 {
	if y.modulus > 0 {
		v %= y.modulus
	}
	return v
}

// tells reports whether a file tells of a part of a gap that half-hour n is in.
func (y *tale) tells(all []reading, n int64) bool {
	for i := 1; i < len(all); i++ {
		p, q := all[i-1].at, all[i].at
		if q-p <= perHalf || p >= (n+1)*perHalf || q <= n*perHalf {
			continue
		}
		for m := range y.actual {
			if p < (m+1)*perHalf && q > m*perHalf {
				return true
			}
		}
	}
	return false
}

func (y *tale) words(all []reading, n int64) string {
	out := fmt.Sprintf("gaps %v", y.holes)
	o, _ := y.own(all, n)
	out += fmt.Sprintf("\nby the readings %+v", o)
	for _, e := range y.filed {
		out += fmt.Sprintf("\nat %v a file tells from %v: %v", instantOf(e.at).Format("02T15:04"), instantOf(e.first*perHalf).Format("02T15:04"), e.tells)
	}
	return out
}

// gaps checks that each gap sums to the register's advance, where what files tell
// of it leaves something and somewhere to put it.
func (y *tale) gaps(t failer, all []reading, at map[int64]energy.HalfHour) {
	type gap struct {
		p, q        reading
		first, last int64
		least       int64 // what is left at the least for the others
		others      bool
	}
	var gaps []gap
	in := map[int64]int{}
	for i := 1; i < len(all); i++ {
		p, q := all[i-1], all[i]
		g := gap{p: p, q: q, first: p.at / perHalf, last: (q.at - 1) / perHalf}
		_, whole := y.own(all, g.first) // else the partial one is in no half-hour
		if q.at-p.at <= perHalf || g.first == g.last || !whole {
			continue
		}
		for n := g.first; n <= g.last; n++ {
			in[n]++
		}
		gaps = append(gaps, g)
	}
	part := func(g gap, n int64) int64 {
		on := func(at int64) int64 { return (g.q.value - g.p.value) * (at - g.p.at) / (g.q.at - g.p.at) }
		return on(min(g.q.at, (n+1)*perHalf)) - on(max(g.p.at, n*perHalf))
	}
	for i := range gaps {
		g := &gaps[i]
		g.least = g.q.value - g.p.value
		for n := g.first; n <= g.last; n++ {
			o, known := y.own(all, n)
			even := part(*g, n)
			switch v, is := y.actual[n]; {
			case !known:
				g.least = -1 // it goes on beyond what is known
			case o.quality > energy.Estimated:
				g.least -= even
			case is && in[n] > 1:
				g.least -= max(v, 0) // at the most
			case is:
				g.least -= v - (o.to.value - o.from.value - even)
			case in[n] > 1:
				g.least -= even
			default:
				g.others = true
			}
		}
	}
	for i := 0; i < len(gaps); {
		j, lawful := i+1, gaps[i].least >= 0 && gaps[i].others
		for j < len(gaps) && gaps[j].first == gaps[j-1].last {
			lawful = lawful && gaps[j].least >= 0 && gaps[j].others
			j++
		}
		want, is := int64(0), int64(0)
		for n := gaps[i].first; n <= gaps[j-1].last; n++ {
			o, _ := y.own(all, n)
			want += o.to.value - o.from.value
			is += at[n].Energy
		}
		if g := gaps[i]; lawful && j == i+1 && in[g.first] < 2 && in[g.last] < 2 {
			y.even(t, g.p, g.q, g.least, all, at)
		}
		if lawful && want != is {
			t.Fatalf("%d Wh from %s on, the register counted %d\n%s", is, instantOf(gaps[i].p.at).Format("02T15:04:05"), want, y.words(all, gaps[i].first))
		}
		i = j
	}
}

// even checks that what files leave of a gap is spread evenly over the rest of it.
func (y *tale) even(t failer, p, q reading, left int64, all []reading, at map[int64]energy.HalfHour) {
	rest, length := map[int64]int64{}, int64(0)
	for n := p.at / perHalf; n <= (q.at-1)/perHalf; n++ {
		if o, _ := y.own(all, n); o.quality == energy.Estimated && at[n].Evidence.Rule != energy.RuleImported {
			rest[n] = min(q.at, (n+1)*perHalf) - max(p.at, n*perHalf)
			length += rest[n]
		}
	}
	for n, of := range rest {
		o, _ := y.own(all, n)
		inside := (q.value - p.value) * of / (q.at - p.at)
		want := o.to.value - o.from.value - inside + left*of/length
		if off := at[n].Energy - want; off < -2 || off > 2 {
			t.Fatalf("%s: %d Wh would be even\n%s", taleWords(at[n]), want, y.words(all, n))
		}
	}
}
