package doctor

import (
	"fmt"
	"strings"
	"time"
)

// Way is which way the energy goes by the meter's own power, where that is known.
type Way int

// The ways.
const (
	Unknown Way = iota
	In
	Out
)

// WayOf is the way of a power, W, that was the same at both readings; less than
// 5 W, which may be noise, or a change of direction leave it open.
func WayOf(before, after int64) Way {
	switch {
	case before >= 5 && after >= 5:
		return In
	case before <= -5 && after <= -5:
		return Out
	}
	return Unknown
}

// generates is what may make a reversed flow right.
const generates = "Unless something generates here just now, "

// Flow says what is odd about the direction of energy, from whether import and
// export moved between two readings and, where it is known, the way of the
// power; "" where nothing is. It is sure where nothing but a mistake can be the
// cause. FromTemplate says that the addresses come from a template, so that it
// is rather the wiring.
func Flow(imports, exports bool, power Way, fromTemplate bool) (says string, sure bool) {
	const turned = "the current transformers are turned round (or the meter's line and load)"
	switch {
	case imports && exports:
		return "import and export both count at the same time: one phase runs the other way. " + generates + "a current transformer is turned round, or on another phase than its voltage", false
	case exports && power == In:
		return "the meter says that energy flows in, and the export register counts: import and export are swapped: exchange their addresses", true
	case imports && power == Out:
		return "the meter says that energy flows out, and the import register counts: import and export are swapped: exchange their addresses", true
	case exports && (power == Out || fromTemplate):
		return "energy flows out: export counts while import stands. " + generates + turned, false
	case exports:
		return "export counts while import stands. " + generates + "import and export are swapped, or " + turned, false
	case power == Out && !imports:
		return "the meter says that energy flows out. " + generates + turned, false
	}
	return "", false
}

// Turned names the phases that run the other way than the rest, by their power
// in W; "" where all run the same way, give or take 50 W.
func Turned(phases []int64) string {
	var out, in []string
	for i, p := range phases {
		switch name := fmt.Sprintf("phase %d (%s)", i+1, kilo(p)); {
		case p <= -50:
			out = append(out, name)
		case p >= 50:
			in = append(in, name)
		}
	}
	if len(out) == 0 || len(in) == 0 {
		return ""
	}
	return fmt.Sprintf("%s runs out while %s runs in. %sa current transformer is turned round, or on another phase than its voltage", strings.Join(out, " and "), strings.Join(in, " and "), generates)
}

// Phases compares a meter's total power with the sum of its phases, in W or
// var, and says what is wrong; "" where they agree within 3 % and 20 W, since
// they are not of the same instant.
func Phases(total int64, phases []int64) string {
	var sum, size int64
	for _, p := range phases {
		sum += p
		size += abs(p)
	}
	if len(phases) == 0 || near(total, sum, size) {
		return ""
	}
	for i, p := range phases {
		if abs(p) > 50 && !near(total, 0, size) && near(total, sum-2*p, size) {
			return fmt.Sprintf("the phases add up to %s, the total is %s: that of phase %d has the wrong sign", kilo(sum), kilo(total), i+1)
		}
	}
	for _, f := range []int64{10, 100, 1000} {
		if near(total, sum*f, size*f) || near(total*f, sum, size) {
			return fmt.Sprintf("the phases add up to %s, the total is %s: one of them is in another unit (%d times)", kilo(sum), kilo(total), f)
		}
	}
	return fmt.Sprintf("the phases add up to %s, the total is %s: the meter was read wrongly, or is set for another network (3 wires, 1 phase)", kilo(sum), kilo(total))
}

// Check is the outcome of a comparison.
type Check struct {
	Done bool   // enough was there to tell
	Says string // what is wrong; or, where not Done, why it could not be told
}

// Advance compares what a total counted between two readings with the power at
// both, which is taken to have run evenly between. Values are in base units and
// W or var; step is the register's own. It takes several steps to tell.
func Advance(counted, step int64, before, after int64, apart time.Duration) Check {
	mean := float64(abs(before)+abs(after)) / 2
	expected := mean * apart.Hours()
	switch {
	case min(before, after) < 0 && max(before, after) > 0:
		return Check{Says: "the power changed its direction between the two readings: probe again"}
	case max(abs(before), abs(after)) > 2*min(abs(before), abs(after))+100:
		return Check{Says: "the power changed too much between the two readings: probe again"}
	}
	most := max(float64(counted), expected)
	if enough := 10 * float64(step); most < enough {
		if mean < 1 {
			return Check{Says: "nothing flows just now"}
		}
		need := time.Duration(enough / mean * float64(time.Hour)).Round(time.Second)
		return Check{Says: fmt.Sprintf("at %s a register that counts in steps of %d Wh tells nothing in %s: probe with --apart %s", kilo(int64(mean)), step, apart, need)}
	}
	if d := float64(counted) - expected; d < 0.2*most+float64(step) && -d < 0.2*most+float64(step) {
		return Check{Done: true}
	}
	said := fmt.Sprintf("it counted %d Wh in %s, and at %s it should have been about %.0f Wh", counted, apart, kilo(int64(mean)), expected)
	if counted <= step {
		return Check{true, said + ": it does not count what flows; is it another register (a tariff, the other direction)?"}
	}
	if expected < 1 {
		return Check{true, said + ": is it another circuit's register?"}
	}
	ratio := float64(counted) / expected
	for _, f := range []float64{10, 100, 1000} {
		if r := ratio / f; r > 0.8 && r < 1.25 {
			return Check{true, fmt.Sprintf("%s: %.0f times too much: is the unit (Wh, kWh) or scale right?", said, f)}
		} else if r := ratio * f; r > 0.8 && r < 1.25 {
			return Check{true, fmt.Sprintf("%s: %.0f times too little: is the unit (Wh, kWh) or scale right?", said, f)}
		}
	}
	return Check{true, fmt.Sprintf("%s, %.2f times that: are the transformers' ratios (ct, vt) right, and counted once?", said, ratio)}
}

// near allows 3 % of a size and 20 W.
func near(a, b, size int64) bool { return abs(a-b) <= size*3/100+20 }

func abs(v int64) int64 { return max(v, -v) }

func kilo(w int64) string { return fmt.Sprintf("%.3f kW", float64(w)/1000) }
