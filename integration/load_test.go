package integration

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// load is a meter's register that stands still until the test lets it count,
// and from when the test stops it: so that its advance is known to the watt
// hour wherever the readings fall.
type load struct {
	base int64 // Wh
	rate int64 // W

	mu       sync.Mutex
	from, to time.Time // counts between; zero: not yet
}

// Register is what the meter shows, in Wh.
func (l *load) Register(t time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.from.IsZero() || t.Before(l.from):
		return l.base
	case !l.to.IsZero() && t.After(l.to):
		t = l.to
	}
	return l.base + int64(t.Sub(l.from)/time.Millisecond)*l.rate/3_600_000
}

func (l *load) begin(t time.Time) { l.mu.Lock(); l.from = t; l.mu.Unlock() }
func (l *load) end(t time.Time)   { l.mu.Lock(); l.to = t; l.mu.Unlock() }

// advance is how far it counted in all.
func (l *load) advance() int64 {
	return l.Register(l.to) - l.base
}

// historyWh is the energy of an imported half-hour: any rule will do that tells
// the half-hours and registers apart.
func historyWh(key energy.Key, start time.Time) int64 {
	n := start.Unix() / 1800
	return 100 + (n*7919+int64(key.Measure)*131+int64(key.Meter[len(key.Meter)-1])*17)%4001
}

// historyFile writes half-hours of [from, to) of the measures of one meter.
func historyFile(meter string, measures []energy.Measure, from, to time.Time) string {
	var b strings.Builder
	b.WriteString("id,measure,start,kWh,quality\n")
	for _, m := range measures {
		for t := from; t.Before(to); t = t.Add(energy.Period) {
			wh := historyWh(energy.Key{Meter: meter, Measure: m}, t)
			fmt.Fprintf(&b, "%s,%s,%s,%d.%03d,measured\n", meter, m, t.Format(time.RFC3339), wh/1000, wh%1000)
		}
	}
	return b.String()
}
