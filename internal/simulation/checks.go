package simulation

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// checks gives three meters a check meter: the main meter the sum of those
// behind it, which is always less; one of these a meter that others read, whose
// half-hours come days or weeks later and are corrected; and the other one its
// neighbour on the wire, which counts something else.
func (s *site) checks() {
	if s.Meters < 3 {
		return
	}
	for meter, by := range map[string]string{"m0": "both", "m1": "twin", "m2": "m1"} {
		for i := range s.config.Meters {
			if m := &s.config.Meters[i]; m.ID == meter {
				m.CheckMeter = by
			}
		}
		s.oracle.channels[energy.Key{Meter: meter, Measure: energy.Import}].checkedBy = energy.Key{Meter: by, Measure: energy.Import}
	}
}

// twin adds to the feed a meter that counts what another one does: well, but for
// some days on which it is a fifth too low, or stands still.
func (f *feed) twin(of *load) *fed {
	c := f.chance.of("twin", 0)
	return &fed{key: energy.Key{Meter: "twin", Measure: energy.Import}, load: load{kind: energy.Import, noise: c.of("load", 0), parts: []*load{of}},
		says: func(at int, v int64) int64 {
			switch c.n(int64(at/48), 8) {
			case 0:
				return 0
			case 1:
				return v * 8 / 10
			}
			return v * (990 + c.n(int64(at)+1<<40, 20)) / 1000
		}}
}

// checkChecks holds the flags of half-hours against what their check meters
// say: two that were measured and differ by more than both can err have V09, or
// V07 where the one stands still; and of those that have V09 some versions differed.
func (o *oracle) checkChecks(s *store.Store, now time.Time, all bool) {
	from := now.AddDate(0, 0, -3)
	switch {
	case all:
		from = epoch
	case now.YearDay()%5 == 0:
		from = now.AddDate(0, 0, -45) // feeds and files reach that far back
	}
	for _, w := range o.order {
		if w.checkedBy.Meter == "" {
			continue
		}
		mine, err := versions(s, w.key, from, now)
		theirs, err2 := versions(s, w.checkedBy, from, now)
		if err != nil || err2 != nil {
			o.report("check", fmt.Sprintf("%s: %v %v", w.key, err, err2))
			continue
		}
		for i := index(from); i < index(now); i++ {
			a, b := mine[i], theirs[i]
			if len(a) == 0 || !a[0].stands {
				continue
			}
			h := &a[0].HalfHour
			wrong := func(what string, args ...any) {
				o.report("check", fmt.Sprintf("%s %s %s, flags %v: %s", w.key, boundary(i).Format("2006-01-02T15:04"), words(h), h.Flags.List(), fmt.Sprintf(what, args...)))
			}
			if len(b) > 0 && b[0].stands && differ(h, &b[0].HalfHour, true) {
				if o.Spoken++; !h.Flags.Has(7) && !h.Flags.Has(9) {
					wrong("its check meter says %s", words(&b[0].HalfHour))
				}
			}
			if !h.Flags.Has(9) {
				continue
			}
			ever := false
			for x := range a {
				for y := range b {
					ever = ever || differ(&a[x].HalfHour, &b[y].HalfHour, false)
				}
			}
			if !ever {
				wrong("its check meter never said anything else")
			}
		}
	}
}

// version is what stands of a half-hour, or stood.
type version struct {
	energy.HalfHour
	stands bool
}

// versions gives the half-hours of a register, what stands before what stood.
func versions(s *store.Store, k energy.Key, from, to time.Time) (map[int][]version, error) {
	out := map[int][]version{}
	for h, err := range s.HalfHours(k, from, to) {
		if err != nil {
			return nil, err
		}
		out[index(h.Start)] = []version{{h, true}}
	}
	old, err := s.Corrections(k, from, to)
	for _, c := range old {
		n := index(c.Old.Start)
		out[n] = append(out[n], version{c.Old, false})
	}
	return out, err
}

// differ reports whether two half-hours that were measured differ by more than
// three per cent for each of two meters of class 2, two steps of each, and what
// flows between each one's readings and its boundaries. Without that doubt it
// says what may be flagged, since evidence can come nearer later; with it, and a
// little more, what must be.
func differ(a, b *energy.HalfHour, doubt bool) bool {
	if a.Quality < energy.Interpolated || b.Quality < energy.Interpolated {
		return false
	}
	err := 0.06*float64(max(a.Energy, b.Energy)) + 4
	if doubt {
		err += open(a) + open(b) + 2
	}
	return float64(max(a.Energy-b.Energy, b.Energy-a.Energy)) > err
}

// open is what may have flowed between a half-hour's boundaries and the readings
// that it names.
func open(h *energy.HalfHour) float64 {
	e := h.Evidence
	if e.First.At.IsZero() || e.Last.At.IsZero() {
		return 0
	}
	away := h.Start.Sub(e.First.At).Abs() + e.Last.At.Sub(h.Start.Add(energy.Period)).Abs()
	return float64(h.Energy) * min(away.Hours(), 1) / energy.Period.Hours()
}
