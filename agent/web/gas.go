package web

import (
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// gasDay is what the page says of a day's gas as energy.
type gasDay struct {
	words string           // after the day's volume
	tips  map[int64]string // of its half-hours, by their start
}

func (s *server) gasDay(meter string, from, to time.Time) gasDay {
	d := gasDay{tips: map[int64]string{}}
	sum, standIn, known := int64(0), false, 0
	for h, err := range s.agent.GasHalfHours(energy.Key{Meter: meter, Measure: energy.Gas}, from, to) {
		switch {
		case err != nil:
			return gasDay{} // that they cannot be read is said elsewhere
		case errors.Is(h.As.Err, agent.ErrNoVolume):
		case h.As.Err != nil:
			d.words = "; as energy not known: " + h.As.Err.Error()
			return d
		default:
			sum, known, standIn = sum+h.As.Wh, known+1, standIn || !h.As.Basis.Daily
			d.tips[h.Start.Unix()] = "; " + amount(energy.Import, h.As.Wh) + " by " + basisWords(h.As.Basis)
		}
	}
	if known > 0 {
		d.words = "; as energy " + amount(energy.Import, sum)
		if standIn {
			d.words += ", by a calorific value that stands in for the published one"
		}
	}
	return d
}

// basisWords names the numbers that a volume was converted by.
func basisWords(b gas.Basis) string {
	words := b.CV.String() + " MJ/m³"
	if !b.Daily {
		words += " (stand-in)"
	}
	return words + ", volume factor " + b.VCF.String()
}

// gasView is gas as energy, for the meter's own page.
type gasView struct {
	Rows    []gasRow
	Error   string
	StandIn string // what to do about values that stand in; empty where there are none
}

// gasRow is a run of gas days that were converted alike.
type gasRow struct{ Days, Volume, Energy, CV, VCF, Whence string }

// gasRun adds up what a row shows.
type gasRun struct {
	first, last gas.Day
	basis       gas.Basis
	litres, wh  int64
}

// alike reports whether one row can show both: they differ in nothing but the day.
func (r gasRun) alike(b gas.Basis) bool {
	a := r.basis
	if a.Daily && b.Daily {
		a.Since = b.Since
	}
	a.Day = b.Day
	return a == b
}

func (s *server) gasView(k energy.Key, from, to time.Time) *gasView {
	v := &gasView{}
	var runs []gasRun
	for h, err := range s.agent.GasHalfHours(k, from, to) {
		switch {
		case err != nil:
			v.Error = "its half-hours cannot be read from the store"
			return v
		case errors.Is(h.As.Err, agent.ErrNoVolume):
			continue
		case h.As.Err != nil:
			v.Error = "Not all of it is known as energy: " + h.As.Err.Error() + "."
			continue
		}
		if n := len(runs); n == 0 || !runs[n-1].alike(h.As.Basis) {
			runs = append(runs, gasRun{first: h.As.Basis.Day, basis: h.As.Basis})
		}
		r := &runs[len(runs)-1]
		r.last, r.litres, r.wh = h.As.Basis.Day, r.litres+h.Energy, r.wh+h.As.Wh
	}
	for i := len(runs) - 1; i >= 0; i-- {
		v.Rows = append(v.Rows, runs[i].row())
		if !runs[i].basis.Daily {
			v.StandIn = "Where no calorific value was published for the day and the zone, another one stands in: the energy is then an estimate, by 2 or 3 %. The installer's guide says how to give the published ones."
		}
	}
	return v
}

func (r gasRun) row() gasRow {
	days := r.first.String()
	if r.last != r.first {
		days += " to " + r.last.String()
	}
	whence := "stands in, since " + r.basis.Since.String() + ": " + r.basis.Source
	if r.basis.Daily {
		whence = "published for zone " + r.basis.Zone + ": " + r.basis.Source
	}
	return gasRow{days, amount(energy.Gas, r.litres), amount(energy.Import, r.wh), r.basis.CV.String(), r.basis.VCF.String(), whence}
}
