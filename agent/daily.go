package agent

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/substitute"
)

// metaJudged keeps the start of the first settlement day that was not judged
// as a whole, in Unix seconds.
const metaJudged = "judged"

// The pace of what is done once a day.
const (
	judgeAfter  = time.Hour // a day is judged so long after its end: its last half-hours are settled by then
	judgeLate   = 2 * aDay  // a day that a feed or files tell of is judged so much later
	judgeMost   = 31        // days that are judged at once after a long absence; older ones are not
	fillBack    = 35 * 24 * time.Hour
	fillHistory = 28 * 24 * time.Hour // what like days are taken from
	aDay        = 24 * time.Hour
)

// daily judges the settlement days that are over, and fills what is missing
// where the operator asks for it. It is called every hour and does its work
// once a day.
func (r *recorder) daily() {
	a := r.agent
	if !a.judges() || !r.judgeDays() || r.flush() != nil {
		return // what was judged waits with the rest
	}
	if err := a.opt.Store.SetMeta(metaJudged, strconv.AppendInt(nil, r.judged, 10)); err != nil {
		a.log.Debug("which days were judged cannot be kept", "error", err)
	}
}

// judges reports whether days can be judged at all.
func (a *Agent) judges() bool {
	return a.opt.Clock.Trusted() && a.opt.Config.Period == energy.Period
}

// judgeDays takes into the round what is found of the days that are over and
// were not judged, and what is filled; false where there is no such day.
func (r *recorder) judgeDays() bool {
	r.commit.Lock()
	defer r.commit.Unlock()
	a, j := r.agent, judgement{recorder: r}
	today, _ := energy.SettlementPeriod(a.Now().Add(-judgeAfter))
	next, until := r.firstUnjudged(today), today.Start(1)
	if !next.Before(until) {
		return false
	}
	for next.Before(until) {
		day, _ := energy.SettlementPeriod(next)
		for _, b := range a.buses {
			for _, m := range b.meters {
				for i := range m.registers {
					reg, of := &m.registers[i], day
					if !b.reads(reg) {
						of = lateDay(day.Start(1))
					}
					j.day(b, reg, of)
				}
			}
		}
		next = day.Start(day.Periods() + 1)
	}
	r.judged = until.Unix()
	if err := r.fill(a.Now(), until); err != nil {
		a.log.Warn("missing half-hours cannot be filled", "error", err)
	}
	return true
}

// firstUnjudged is the start of the first settlement day that was not judged.
func (r *recorder) firstUnjudged(today energy.Day) time.Time {
	if r.judged == 0 {
		b, err := r.agent.opt.Store.Meta(metaJudged)
		if err == nil && b != nil {
			r.judged, _ = strconv.ParseInt(string(b), 10, 64)
		}
	}
	yesterday, _ := energy.SettlementPeriod(today.Start(1).Add(-aDay / 2))
	next := time.Unix(r.judged, 0).UTC()
	if earliest := today.Start(1).Add(-judgeMost * aDay); r.judged == 0 || next.Before(earliest) {
		return yesterday.Start(1)
	}
	return next
}

// most is what a register can count in one period, base units; 0 where nothing
// is known. What rule V05 judges by is left out where only the ceiling of its
// power is known, and no value may be put in place that is beyond that.
func most(r *config.Register, period time.Duration) int64 {
	if r.MaxEnergy > 0 {
		return r.MaxEnergy
	}
	hi, lo := bits.Mul64(uint64(max(r.MaxPower, 0)), uint64(period))
	if hi >= uint64(time.Hour) { // more than can be written: no ceiling
		return 0
	}
	e, _ := bits.Div64(hi, lo, uint64(time.Hour))
	return int64(min(e, math.MaxInt64))
}

// fill puts values in place of missing half-hours, where a meter's operator
// asks for it and late actual values have had their time to come. The days
// before judged were judged without them.
func (r *recorder) fill(now, judged time.Time) error {
	c := r.agent.opt.Config
	news := touched{}
	for _, b := range r.agent.buses {
		for _, m := range b.meters {
			if len(m.cfg.Substitute) == 0 {
				continue
			}
			var methods []substitute.Method
			for _, name := range m.cfg.Substitute {
				method, err := substitute.ParseMethod(name)
				if err != nil {
					return err
				}
				methods = append(methods, method)
			}
			to := now.Add(-m.cfg.SubstituteAfter).Truncate(c.Period)
			from := to.Add(-fillBack)
			for i := range m.registers {
				reg := &m.registers[i]
				o := substitute.Options{
					Methods: methods, From: from, To: to, Now: now, Period: c.Period, Modulus: reg.cfg.Modulus, MaxEnergy: most(reg.cfg, c.Period),
				}
				if m.cfg.CheckMeter != "" {
					check := energy.Key{Meter: m.cfg.CheckMeter, Measure: reg.key.Measure}
					o.Check = func(start time.Time) (energy.HalfHour, bool) { return r.past.at(check, start) }
				}
				window := slices.Concat(r.window(reg.key, from.Add(-fillHistory), now)...)
				made := substitute.Plan(reg.key.Measure, window, o)
				for _, h := range made {
					k := keyedHalfHour(reg.key, h)
					r.past.settle(k)
					news.add(reg.key, h.Start, h.Start.Add(c.Period))
					r.round.HalfHours = append(r.round.HalfHours, k)
				}
				if len(made) > 0 {
					r.agent.log.Info("missing half-hours filled", "meter", m.cfg.ID, "measure", reg.key.Measure.String(), "half_hours", len(made))
				}
			}
		}
	}
	r.judgeAgain(news, judged)
	r.derive(news)
	return nil
}
