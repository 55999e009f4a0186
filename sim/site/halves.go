package site

import (
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// half is one half-hour as a feed gives it.
type half struct {
	end   time.Time
	value string // in the feed's unit, exactly; "" where it has none
	fault string // of this half-hour: the same each time that it is asked for
}

// lateBy is how much later than its end a late half-hour is there.
const lateBy = 6 * time.Hour

// halves are those that a feed has by now and that end in [from, to].
func halves(r *register, dice *fault.Dice, from, to, now time.Time) (out []half) {
	first := r.load.Origin().Add(energy.Period)
	for end := from.UTC().Truncate(energy.Period); !end.After(to); end = end.Add(energy.Period) {
		if end.Before(first) || end.Before(from) || end.After(now) {
			continue
		}
		name := dice.Of(r.meter+r.cfg.Measure.String()+end.Format(time.RFC3339), "late", "lost", "nan", "repeat", "swap")
		if name == "lost" || name == "late" && now.Before(end.Add(lateBy)) {
			continue
		}
		v := big.NewRat(r.load.HalfHour(end.Add(-energy.Period)), 1000) // kWh, m3
		out = append(out, half{end: end, value: v.FloatString(3), fault: name})
	}
	return out
}

// feedFaults are those that a feed of half-hours can play. Of answers: busy,
// foreign, short; of half-hours: the others.
var feedFaults = []string{"late", "lost", "nan", "repeat", "swap", "foreign", "short", "busy", "disconnect", "restart"}
