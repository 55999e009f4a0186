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
// meter between them, in another way from some day on.
func (s *site) virtuals() {
	if s.Meters < 3 {
		return
	}
	imports := []energy.Measure{energy.Import}
	turn := time.Date(2000, 1, s.begin.YearDay()+s.Days/2, 0, 0, 0, 0, energy.London()).UTC()
	share := func(a, b int64) []config.Share {
		return []config.Share{{Part: virtual.Part{Num: a, Den: 1000}}, {From: turn, Part: virtual.Part{Num: b, Den: 1000}}}
	}
	for _, v := range []struct {
		id string
		v  config.Virtual
	}{
		{"rest", config.Virtual{Of: "m0", Minus: []string{"m1", "m2"}}},
		{"both", config.Virtual{Sum: []string{"m1", "m2"}}},
		{"tenant-a", config.Virtual{Of: "m2", Shares: share(350, 417), Method: virtual.AreaOccupied}},
		{"tenant-b", config.Virtual{Of: "m2", Shares: share(650, 583), Method: virtual.AreaOccupied}},
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
			case whole && w.made.Minus == nil:
				wrong("it is missing, and its inputs are there")
			}
			if w.key.Meter != "tenant-b" || !known {
				continue
			}
			if a, ok := read("tenant-a")[i]; !ok || a.Energy+h.Energy != in[0].Energy {
				wrong("with the other tenant's %d that is not the meter's %d", a.Energy, in[0].Energy)
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
	case h.Energy > sum:
		wrong("the meter shared has %d", sum)
	}
}
