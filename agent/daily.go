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
	if !a.opt.Clock.Trusted() || a.opt.Config.Period != energy.Period {
		return
	}
	today, _ := energy.SettlementPeriod(a.Now().Add(-judgeAfter))
	next := r.firstUnjudged(today)
	if !next.Before(today.Start(1)) {
		return
	}
	r.judgeDays(next, today)
	r.judged = today.Start(1).Unix()
	if r.flush() != nil {
		return // the judgement waits with the rest
	}
	if err := a.opt.Store.SetMeta(metaJudged, strconv.AppendInt(nil, r.judged, 10)); err != nil {
		a.log.Debug("which days were judged cannot be kept", "error", err)
	}
}

// judgeDays takes into the round what is found of the days from next to
// yesterday, and what is filled.
func (r *recorder) judgeDays(next time.Time, today energy.Day) {
	r.commit.Lock()
	defer r.commit.Unlock()
	a := r.agent
	for next.Before(today.Start(1)) {
		day, _ := energy.SettlementPeriod(next)
		for _, b := range a.buses {
			for _, m := range b.meters {
				for i := range m.registers {
					r.round.Findings = append(r.round.Findings, r.judgeDay(b, &m.registers[i], day)...)
				}
			}
		}
		next = day.Start(day.Periods() + 1)
	}
	if err := r.fill(a.Now()); err != nil {
		a.log.Warn("missing half-hours cannot be filled", "error", err)
	}
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

// judgeDay has the validation look at one day of one register, now that day is
// over: at that one, or, where the register itself is not read, at an earlier
// one, since what a feed tells of a day comes when it is over. A day on which
// there is nothing at all, before the first or in an outage, says nothing new.
func (r *recorder) judgeDay(b *bus, reg *register, day energy.Day) []energy.KeyedFinding {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, read := reg.counter.Base(); !read {
		day, _ = energy.SettlementPeriod(day.Start(1).Add(aDay/2 - judgeLate))
	}
	var hh []energy.HalfHour
	from, to := day.Start(1), day.Start(day.Periods()+1)
	for h, err := range r.agent.opt.Store.HalfHours(reg.key, from, to) {
		if err != nil {
			return nil
		}
		hh = append(hh, h)
	}
	if len(hh) == 0 {
		return nil
	}
	found := reg.check.Day(day, hh)
	for _, f := range found {
		r.agent.log.Debug("validation", "finding", f.String())
	}
	return keyedFindings(found)
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
// asks for it and late actual values have had their time to come.
func (r *recorder) fill(now time.Time) error {
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
	r.derive(news)
	return nil
}
