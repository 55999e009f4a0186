package agent

import (
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// judgement is what is found of settlement days in one go; what was found of
// one before is not found again.
type judgement struct {
	recorder *recorder
	said     map[dayFinding]bool // nil: not looked up yet
}

// dayFinding is what makes two findings of whole days the same.
type dayFinding struct {
	key      energy.Key
	rule     int
	from, to int64
}

func dayFindingOf(f validate.Finding) dayFinding {
	return dayFinding{f.Key, f.Rule, f.From.Unix(), f.To.Unix()}
}

// judgeNews judges again the days that the news of a round are of, where a
// register is read here: what a feed tells of old days may come in parts.
func (r *recorder) judgeNews(news touched) {
	if len(news) == 0 || !r.agent.judges() {
		return
	}
	today, _ := energy.SettlementPeriod(r.agent.Now().Add(-judgeAfter))
	until, own := r.firstUnjudged(today), touched{}
	for k, s := range news {
		if !s.from.Before(until) {
			continue
		}
		if b, reg := r.agent.register(k); reg != nil && b.reads(reg) {
			own[k] = s
		}
	}
	r.judgeAgain(own, until)
}

// judgeAgain judges the days before until, which were judged, once more where
// there is news of them: the meter is back after a silence over midnight, or
// what was missing was filled. The recorder's lock is held.
func (r *recorder) judgeAgain(news touched, until time.Time) {
	j := judgement{recorder: r}
	for _, k := range news.keys() {
		if !news[k].from.Before(until) {
			continue
		}
		b, reg := r.agent.register(k)
		if reg == nil {
			continue
		}
		over := until
		if !b.reads(reg) {
			over = lateDay(until).Start(1)
		}
		for at := news[k].from; at.Before(news[k].to) && at.Before(over); {
			day, _ := energy.SettlementPeriod(at)
			j.day(b, reg, day)
			at = day.Start(day.Periods() + 1)
		}
	}
}

// reads reports whether a register is read here: what a feed tells of a day
// comes when it is over.
func (b *bus) reads(reg *register) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, read := reg.counter.Base()
	return read
}

// lateDay is the day of a register that is not read which is judged when the
// one that begins at an instant is.
func lateDay(start time.Time) energy.Day {
	day, _ := energy.SettlementPeriod(start.Add(aDay/2 - judgeLate))
	return day
}

// register is one that is on a bus, and its bus; nil where there is none.
func (a *Agent) register(k energy.Key) (*bus, *register) {
	for _, b := range a.buses {
		if reg := b.register(k); reg != nil {
			return b, reg
		}
	}
	return nil, nil
}

// day has the validation look at one day of one register. One on which there is
// nothing at all, before the first or in an outage, says nothing new; nor does
// one in whose last half-hour a meter is silent: it is judged when that is back.
func (j *judgement) day(b *bus, reg *register, day energy.Day) {
	r := j.recorder
	b.mu.Lock()
	defer b.mu.Unlock()
	from, to := day.Start(1), day.Start(day.Periods()+1)
	hh := slices.Concat(r.window(reg.key, from, to)...)
	if len(hh) == 0 {
		return
	}
	if _, read := reg.counter.Base(); read && hh[len(hh)-1].Start.Add(energy.Period).Before(to) {
		return
	}
	var found []validate.Finding
	for _, f := range reg.check.Day(day, hh) {
		if !j.before(f) {
			r.agent.log.Debug("validation", "finding", f.String())
			found = append(found, f)
		}
	}
	r.round.Findings = append(r.round.Findings, keyedFindings(found)...)
}

// before reports whether a finding of a whole day was made already, and notes
// that it is now.
func (j *judgement) before(f validate.Finding) bool {
	if j.said == nil {
		j.said = map[dayFinding]bool{}
		for k, err := range j.recorder.agent.opt.Store.Findings(time.Time{}, j.recorder.agent.Now()) {
			if err == nil { // else it is said twice rather than not at all
				j.note(k)
			}
		}
		for _, k := range j.recorder.round.Findings {
			j.note(k)
		}
	}
	is := j.said[dayFindingOf(f)]
	j.said[dayFindingOf(f)] = true
	return is
}

func (j *judgement) note(k energy.KeyedFinding) {
	switch k.Rule {
	case 8, 14, 19:
		if f, err := validate.ParseFinding(k.Body); err == nil {
			j.said[dayFindingOf(f)] = true
		}
	}
}
