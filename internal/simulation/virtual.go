package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
	"github.com/perseus-edge/perseus-edge/store"
)

// virtuals adds virtual meters to a site: what lies between the main meter and
// the two behind it, the sum of these two, and two tenants who share the third
// meter between them, in another way from some day on. And of what others read:
// the same once more, three who share on other grounds, of whom one moves in
// later, a sum over wires, a feed and a power, and meters made of virtual ones.
func (s *site) virtuals() {
	if s.Meters < 3 {
		return
	}
	imports := []energy.Measure{energy.Import}
	turn := time.Date(2000, 1, s.begin.YearDay()+s.Days/2, 0, 0, 0, 0, energy.London()).UTC()
	dated := func(from time.Time, n int64) config.Share {
		return config.Share{From: from, Part: virtual.Part{Num: n, Den: 1000}}
	}
	share := func(a, b int64) []config.Share { return []config.Share{dated(time.Time{}, a), dated(turn, b)} }
	for _, v := range []struct {
		id string
		v  config.Virtual
	}{
		{"rest", config.Virtual{Of: "m0", Minus: []string{"m1", "m2"}}},
		{"both", config.Virtual{Sum: []string{"m1", "m2"}}},
		{"tenant-a", config.Virtual{Of: "m2", Shares: share(350, 417), Method: virtual.AreaOccupied}},
		{"tenant-b", config.Virtual{Of: "m2", Shares: share(650, 583), Method: virtual.AreaOccupied}},
		{"fed-rest", config.Virtual{Of: "fed", Minus: []string{"fed-part"}}},
		{"heads-a", config.Virtual{Of: "fed", Shares: share(125, 333), Method: virtual.NumberOfOccupants}},
		{"heads-b", config.Virtual{Of: "fed", Shares: []config.Share{dated(turn, 5)}, Method: virtual.NumberOfOccupants}},
		{"heads-c", config.Virtual{Of: "fed", Shares: share(875, 662), Method: virtual.Other}},
		{"all", config.Virtual{Sum: []string{"fed-part", "m1", "power"}}},
		{"made", config.Virtual{Sum: []string{"rest", "both"}}},
		{"metered", config.Virtual{Of: "fed-rest", Shares: share(1000, 1), Method: virtual.AdditionalMetering}},
	} {
		v.v.Measures = imports
		s.config.Meters = append(s.config.Meters, config.Meter{ID: v.id, Virtual: &v.v})
		s.oracle.virtual(energy.Key{Meter: v.id, Measure: energy.Import}, v.v)
	}
}

// virtual has the oracle watch a virtual meter.
func (o *oracle) virtual(k energy.Key, v config.Virtual) {
	w := &watched{channel: &channel{register: register{key: k}}, other: map[int][]uint64{}, made: &v}
	o.channels[k] = w
	o.order = append(o.order, w)
}

// checkVirtual holds the half-hours of the virtual meters against those of
// their inputs, as they are stored. No Wh may be lost or made.
func (o *oracle) checkVirtual(s *store.Store, now time.Time, all bool) {
	from := now.AddDate(0, 0, -3)
	if now.YearDay()%5 == 0 {
		from = now.AddDate(0, 0, -45) // feeds and files reach that far back
	}
	if all {
		from = epoch
	}
	of := map[string]map[int]energy.HalfHour{}
	read := func(meter string) map[int]energy.HalfHour {
		if of[meter] == nil {
			of[meter] = map[int]energy.HalfHour{}
			for h, err := range s.HalfHours(energy.Key{Meter: meter, Measure: energy.Import}, from, now) {
				if err == nil {
					of[meter][index(h.Start)] = h
				}
			}
		}
		return of[meter]
	}
	for _, w := range o.order {
		if w.made == nil {
			continue
		}
		mine := read(w.key.Meter)
		for i := index(from); i < index(now); i++ {
			var in []energy.HalfHour
			for _, id := range w.made.Inputs() {
				if h, ok := read(id)[i]; ok {
					in = append(in, h)
				}
			}
			h, there := mine[i]
			part, place := o.part(w, boundary(i))
			if w.made.Shares != nil && place == 0 {
				if there {
					o.report("virtual", fmt.Sprintf("%s %v: there is no share yet", w.key, words(&h)))
				}
				continue
			}
			wrong := func(what string, args ...any) {
				o.report("virtual", fmt.Sprintf("%s %s %v: %s", w.key, boundary(i).Format("2006-01-02T15:04"), words(&h), fmt.Sprintf(what, args...)))
			}
			whole := len(in) == len(w.made.Inputs()) && !slices.ContainsFunc(in, func(h energy.HalfHour) bool { return h.Quality == energy.Missing })
			known := there && h.Quality != energy.Missing
			switch {
			case !whole && known:
				wrong("it is known, and an input is missing")
			case whole && !there:
				wrong("it is not there, and its inputs are")
			case whole && known:
				o.madeOf(w, h, in, mine[i-1], wrong)
				if place > 0 {
					o.shared(w, h, in[0], part, place, wrong)
				}
			case whole && w.made.Minus == nil:
				wrong("it is missing, and its inputs are there")
			}
			if !known || w.made.Shares == nil {
				continue
			}
			parts, given := int64(0), int64(0)
			for _, x := range o.order {
				if x.made == nil || x.made.Shares == nil || x.made.Of != w.made.Of {
					continue
				}
				if p, n := o.part(x, boundary(i)); n > 0 {
					parts, given = parts+p.Num, given+read(x.key.Meter)[i].Energy
				}
			}
			if parts == 1000 && given != in[0].Energy {
				wrong("with the others who share the meter that is %d, and not its %d", given, in[0].Energy)
			}
		}
	}
}

// madeOf checks one half-hour of a virtual meter whose inputs are all known.
func (o *oracle) madeOf(w *watched, h energy.HalfHour, in []energy.HalfHour, before energy.HalfHour, wrong func(string, ...any)) {
	best, sum := energy.Measured, int64(0)
	for _, x := range in {
		best, sum = energy.Worst(best, x.Quality), sum+x.Energy
	}
	if h.Quality > best {
		wrong("its inputs are %s", best)
	}
	switch {
	case w.made.Minus != nil:
		// What falls below zero is carried from one half-hour to the next.
		owes, owed := h.Evidence.Last.Value, h.Evidence.First.Value
		if want := 2*in[0].Energy - sum; h.Energy-owes != want-owed || h.Energy < 0 || owes < 0 {
			wrong("main less sub-meters is %d, with %d carried in and %d out", want, owed, owes)
		}
		if before.Start.Equal(h.Start.Add(-energy.Period)) && before.Evidence.Last.Value != owed && before.Quality != energy.Missing {
			wrong("%d is carried out of the half-hour before and %d into this one", before.Evidence.Last.Value, owed)
		}
	case w.made.Sum != nil && h.Energy != sum:
		wrong("the sum of its inputs is %d", sum)
	}
}

// part is the share that a virtual meter has of another at an instant, and how
// many were cut out of that one up to it; 0 where it has none yet.
func (o *oracle) part(w *watched, at time.Time) (p virtual.Part, place int) {
	cut := 0
	for _, x := range o.order {
		if x.made == nil || x.made.Shares == nil || x.made.Of != w.made.Of {
			continue
		}
		for _, s := range slices.Backward(x.made.Shares) {
			if at.Before(s.From) {
				continue
			}
			if cut++; x == w {
				return s.Part, cut
			}
			break
		}
	}
	return p, 0
}

// shared checks one half-hour of a share: it is its part of the meter's, but
// for half a Wh at either end for each share that is cut up to it.
func (o *oracle) shared(w *watched, h, in energy.HalfHour, p virtual.Part, place int, wrong func(string, ...any)) {
	if d := h.Energy*p.Den - in.Energy*p.Num; max(d, -d) > int64(place)*p.Den {
		wrong("it has %s of %d", p, in.Energy)
	}
}
