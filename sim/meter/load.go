// Package meter simulates meters on Modbus: what a register would show at any
// instant, and the servers that show it, with faults on demand.
package meter

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Load is a believable site whose power is constant within each half-hour, so
// that its half-hours are known exactly: the truth that a test or the demo
// compares with.
type Load struct {
	origin time.Time // a half-hour boundary
	sums   []int64   // register in Wh at origin + i half-hours
	base   int64     // register at origin
}

// Shape gives the mean power, in watts, of the half-hour that starts at local.
type Shape func(local time.Time, noise float64) float64

// NewLoad makes the register of a shape from a half-hour boundary on. The same
// name always gives the same register. Half-hours beyond are made as asked for.
func NewLoad(name string, shape Shape, origin, until time.Time) *Load {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	l := &Load{origin: origin.UTC().Truncate(energy.Period), base: 1_000_000 + int64(rng.Uint32()%50_000_000)}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		london = time.UTC // only the shop's opening hours hang on it
	}
	l.sums = append(l.sums, l.base)
	for t := l.origin; t.Before(until); t = t.Add(energy.Period) {
		w := shape(t.In(london), rng.NormFloat64())
		l.sums = append(l.sums, l.sums[len(l.sums)-1]+max(0, int64(math.Round(w/2))))
	}
	return l
}

// Register is what the meter shows at the instant t, in Wh.
func (l *Load) Register(t time.Time) int64 {
	d := t.Sub(l.origin)
	if d <= 0 {
		return l.base
	}
	i := int(d / energy.Period)
	if i >= len(l.sums)-1 {
		return l.sums[len(l.sums)-1]
	}
	part := int64(d % energy.Period / time.Millisecond)
	return l.sums[i] + (l.sums[i+1]-l.sums[i])*part/energy.Period.Milliseconds()
}

// Origin is the half-hour boundary from which on the register is known.
func (l *Load) Origin() time.Time { return l.origin }

// HalfHour is the true energy, in Wh, of the half-hour that starts at t.
func (l *Load) HalfHour(t time.Time) int64 {
	return l.Register(t.Add(energy.Period)) - l.Register(t)
}

// Shop is a small shop: fridges day and night, lights and tills in opening
// hours (09:00 to 17:30, Sundays 10:00 to 16:00), electric heating in winter,
// cooling in high summer, closed at Christmas.
func Shop(t time.Time, noise float64) float64 {
	w := 850 + 60*noise // fridges and standby
	open, close := 9.0, 17.5
	if t.Weekday() == time.Sunday {
		open, close = 10, 16
	}
	hour := float64(t.Hour()) + float64(t.Minute())/60
	if t.YearDay() >= 359 && t.YearDay() <= 360 {
		return w
	}
	season := math.Cos(2 * math.Pi * float64(t.YearDay()-15) / 365) // 1 in mid-January, -1 in mid-July
	if hour >= open-0.5 && hour < close+0.5 {
		w += 3200 + 250*noise
		w += 2600 * max(0, season)
		w += 1400 * max(0, -season-0.5)
		if hour >= 12 && hour < 14 {
			w += 700 // the lunch-time ovens
		}
	} else {
		w += 500 * max(0, season) // frost protection
	}
	return max(w, 200)
}

// Bakery bakes from three in the morning, but not on Sundays.
func Bakery(t time.Time, noise float64) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60
	w := 400 + 40*noise
	switch {
	case t.Weekday() == time.Sunday:
	case hour >= 3 && hour < 8:
		w += 11_000 + 900*noise
	case hour >= 8 && hour < 14:
		w += 3_500 + 400*noise
	}
	return max(w, 100)
}

// Solar is what a 10 kWp roof gives to the grid.
func Solar(t time.Time, noise float64) float64 {
	u := t.UTC()
	season := -math.Cos(2 * math.Pi * float64(u.YearDay()+10) / 365) // -1 at midwinter
	half := 4.2 + 2*season                                           // half the day's length of useful sun
	hour := float64(u.Hour()) + float64(u.Minute())/60 + 0.25
	x := (hour - 12.2) / half
	if x <= -1 || x >= 1 {
		return 0
	}
	clear := 0.55 + 0.2*noise
	return max(0, 7500*math.Cos(x*math.Pi/2)*(0.6+0.4*season)*min(1, max(0.08, clear)))
}
