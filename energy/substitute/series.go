package substitute

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// series finds the half-hours of a window by their start.
type series struct {
	at         map[int64]energy.HalfHour // by start, Unix seconds
	start, end time.Time                 // of the whole window; zero where it is empty
}

// newSeries takes a window in any order. Of two half-hours with the same start
// the better one counts, and of two equally good ones the later in the window.
func newSeries(window []energy.HalfHour, period time.Duration) series {
	s := series{at: make(map[int64]energy.HalfHour, len(window))}
	for _, h := range window {
		h.Start = h.Start.UTC()
		if old, ok := s.at[h.Start.Unix()]; ok && old.Quality > h.Quality {
			continue
		}
		s.at[h.Start.Unix()] = h
		if s.start.IsZero() || h.Start.Before(s.start) {
			s.start = h.Start
		}
		if end := h.Start.Add(period); end.After(s.end) {
			s.end = end
		}
	}
	return s
}

// get gives the half-hour that starts at t: a missing one where there is none.
func (s *series) get(t time.Time) energy.HalfHour {
	if h, ok := s.at[t.Unix()]; ok {
		return h
	}
	return energy.HalfHour{Start: t.UTC(), Cumulative: -1}
}

// actual gives the energy of a half-hour that was measured.
func (s *series) actual(t time.Time) (int64, bool) {
	h, ok := s.at[t.Unix()]
	return h.Energy, ok && h.Quality >= energy.Interpolated
}

// kind sorts days by how a site is used.
type kind uint8

const (
	workday  kind = iota // Monday to Friday
	saturday             //
	rest                 // Sundays and public holidays
)

func (p *planner) kindOf(noon time.Time) kind {
	if p.o.Holiday(noon) {
		return rest
	}
	switch noon.Weekday() {
	case time.Sunday:
		return rest
	case time.Saturday:
		return saturday
	}
	return workday
}

// like gives the energies of the same local time of like days in the weeks
// before a hole: days of the same weekday that are no public holidays (of a
// public holiday: Sundays and other holidays); and where these are too few,
// days of the same kind. Only actual values count.
func (p *planner) like(start, hole time.Time) []int64 {
	local := start.In(energy.London())
	y, m, d := local.Date()
	hh, mm, ss := local.Clock()
	noon := time.Date(y, m, d, 12, 0, 0, 0, energy.London())
	want := p.kindOf(noon)
	holiday := p.o.Holiday(noon)

	hy, hm, hd := hole.In(energy.London()).Date()
	var same, kin []int64
	for back := 0; back <= 7*p.o.Weeks; back++ {
		day := time.Date(hy, hm, hd-back, 12, 0, 0, 0, energy.London())
		if p.kindOf(day) != want {
			continue
		}
		t := time.Date(hy, hm, hd-back, hh, mm, ss, 0, energy.London())
		if t.Hour() != hh || t.Add(p.o.Period).After(hole) {
			continue // that local time does not exist on that day, or lies in the hole
		}
		e, ok := p.series.actual(t)
		if !ok {
			continue
		}
		kin = append(kin, e)
		if !holiday && day.Weekday() == noon.Weekday() && !p.o.Holiday(day) {
			same = append(same, e)
		}
	}
	if len(same) >= p.o.Least {
		return same
	}
	if len(kin) >= p.o.Least {
		return kin
	}
	return nil
}
