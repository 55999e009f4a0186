package validate

import (
	"math"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Options are what is known of a register, and how strict the rules are. The
// zero Options are good for any register: rules that need what is not known
// keep silent.
//
// The bounds are engineering choices where feeds.md 3.4 marks them so; each
// can be changed for one register.
type Options struct {
	Off    energy.Flags  // rules that are switched off: they neither speak nor flag
	Period time.Duration // of the half-hours; 0: energy.Period

	// What is known of the register.
	MaxEnergy int64  // V05, V15, V20: the most that a period can bring, base units, margin included; 0: not known
	Modulus   int64  // V04, V08: base units at which it wraps; 0: never
	Step      int64  // V07, V08, V09, V16, V18: its resolution, base units; 0: 1
	Mantissa  int    // V18: bits of a float register (24 or 53); 0: an integer register
	Unit      string // V02: the unit that the source should name; "": any
	Check     Past   // V07, V09: the half-hours of the check meter, same measure; nil: none

	// How strict.
	ZeroRun       int           // V06: zero periods in a row that are accepted; 0: 48 for import and no limit for the others (the sun sets, the boiler rests); < 0: no limit
	StuckEnergy   int64         // V07: base units that must have flowed beside a register that stands still; 0: 2,000, and never less than four steps
	SumTenths     int           // V08: tolerance in tenths of a per cent of the day's advance, or a step where that is more; 0: 1 (0.1 %)
	Class         int           // V09: accuracy class of this meter, tenths of a per cent; 0: 20 (class 2)
	CheckClass    int           // V09: of the check meter; 0: 20
	CheckStep     int64         // V09: resolution of the check meter, base units; 0: 1
	FineClock     time.Duration // V11, V12: an offset up to this is fine; 0: 20 s
	LostClock     time.Duration // V11: an offset beyond this makes times useless; 0: 15 min
	TooOld        time.Duration // V12: readings older than this are not taken; 0: 400 days, as long as half-hours are kept
	Stale         time.Duration // V13: a live value older than this is stale; 0: 1 h; < 0: no limit
	MaxEstimated  int           // V14: per cent of a day's half-hours that may be estimated or substituted; 0: 50
	SpikeK        int           // V16: deviations above the median that are accepted; 0: 8
	SpikeWeeks    int           // V16: how many weeks to look back; 0: 8, at most 26
	MinPF         int           // V20: the lowest power factor that is believed, per cent; 0: 20
	QuietReadings time.Duration // a rule that goes on speaking about readings gives one finding in this time, with a count; 0: 1 h
	QuietPeriods  time.Duration // the same for half-hours; 0: 24 h
}

// noLimit is a ZeroRun that never ends.
const noLimit = -1

// withDefaults fills in what is not given.
func (o Options) withDefaults(m energy.Measure) Options {
	if o.Period <= 0 {
		o.Period = energy.Period
	}
	switch {
	case o.ZeroRun == 0 && m == energy.Import:
		o.ZeroRun = 48
	case o.ZeroRun <= 0:
		o.ZeroRun = noLimit
	}
	o.Step, o.CheckStep = max(o.Step, 1), max(o.CheckStep, 1)
	set(&o.StuckEnergy, 2000)
	o.StuckEnergy = max(o.StuckEnergy, 4*o.Step)
	set(&o.SumTenths, 1)
	set(&o.Class, 20)
	set(&o.CheckClass, 20)
	set(&o.FineClock, 20*time.Second)
	set(&o.LostClock, 15*time.Minute)
	set(&o.TooOld, 400*24*time.Hour)
	if o.Stale < 0 {
		o.Stale = math.MaxInt64
	}
	set(&o.Stale, time.Hour)
	set(&o.MaxEstimated, 50)
	set(&o.SpikeK, 8)
	set(&o.SpikeWeeks, 8)
	o.SpikeWeeks = min(o.SpikeWeeks, 26)
	set(&o.MinPF, 20)
	set(&o.QuietReadings, time.Hour)
	set(&o.QuietPeriods, 24*time.Hour)
	return o
}

func set[T ~int | ~int64](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Past gives half-hours of one meter: what is stored, and what is settled but
// not stored yet. ok is false where there is none.
type Past interface {
	At(measure energy.Measure, start time.Time) (h energy.HalfHour, ok bool)
}

// known gives a half-hour that was counted: not one that is missing.
func known(p Past, m energy.Measure, start time.Time) (energy.HalfHour, bool) {
	if p == nil {
		return energy.HalfHour{}, false
	}
	h, ok := p.At(m, start)
	return h, ok && h.Quality != energy.Missing
}

// actual gives a half-hour that was measured, not estimated or put in its place.
func actual(p Past, m energy.Measure, start time.Time) (energy.HalfHour, bool) {
	h, ok := known(p, m, start)
	return h, ok && h.Quality >= energy.Interpolated
}
