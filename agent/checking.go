package agent

import (
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// checksOf lists the meters that each check meter checks.
func checksOf(c *config.Config) map[string][]string {
	of := map[string][]string{}
	for i := range c.Meters {
		if m := &c.Meters[i]; m.CheckMeter != "" {
			of[m.CheckMeter] = append(of[m.CheckMeter], m.ID)
		}
	}
	return of
}

// checked has half-hours judged against those of their check meter that have
// come after them: on another bus, from a feed a day later, or as a virtual
// meter, whatever made it. news are the registers with a half-hour that such a
// check has flagged. The recorder's lock is held.
func (r *recorder) checked() (news touched) {
	period := r.agent.opt.Config.Period
	first, n := r.checkedTo, len(r.round.HalfHours)
	r.checkedTo = n
	for i := first; i < n && len(r.checks) > 0; i++ {
		by := r.round.HalfHours[i].Key
		start := r.round.HalfHours[i].HalfHour.Start
		for _, id := range r.checks[by.Meter] {
			k := energy.Key{Meter: id, Measure: by.Measure}
			b, reg := r.agent.registerOf(k)
			h, ok := r.past.at(k, start)
			if reg == nil || !ok {
				continue
			}
			before := h.Flags
			b.mu.Lock()
			b.found(reg, reg.check.Checked(&h, b.words[:0]))
			r.round.Findings = append(r.round.Findings, b.findings...)
			b.findings = nil
			b.mu.Unlock()
			if h.Flags != before {
				k := keyedHalfHour(k, h)
				r.past.settle(k)
				r.round.HalfHours = append(r.round.HalfHours, k)
				if news == nil {
					news = touched{}
				}
				news.add(k.Key, start, start.Add(period))
			}
		}
	}
	return news
}

// importChecked does the same for a file of a check meter.
func importChecked(s ImportStore, c *config.Config, by energy.Key, from, to time.Time) error {
	for _, id := range checksOf(c)[by.Meter] {
		m, _ := c.Meter(id)
		k, p := energy.Key{Meter: id, Measure: by.Measure}, newPast(s)
		check := validate.New(k, options(c, p, &m, k.Measure))
		var round store.Round
		for h, err := range s.HalfHours(k, from, to) {
			if err != nil {
				return err
			}
			before := h.Flags
			round.Findings = append(round.Findings, keyedFindings(check.Checked(&h, nil))...)
			if h.Flags != before {
				round.HalfHours = append(round.HalfHours, keyedHalfHour(k, h))
			}
		}
		for part := range slices.Chunk(round.HalfHours, maxWaiting/4) {
			if err := s.Commit(store.Round{HalfHours: part, Findings: round.Findings}); err != nil {
				return err
			}
			round.Findings = nil
		}
	}
	return nil
}

// keyedFindings are findings as they are stored.
func keyedFindings(fs []validate.Finding) (out []energy.KeyedFinding) {
	for _, f := range fs {
		if k, err := f.Keyed(); err == nil {
			out = append(out, k)
		}
	}
	return out
}

// instead is a past in which one half-hour is what it was before the round.
type instead struct {
	validate.Past
	measure energy.Measure
	was     energy.HalfHour
}

// At is that of validate.Past.
func (p instead) At(m energy.Measure, start time.Time) (energy.HalfHour, bool) {
	if m == p.measure && start.Equal(p.was.Start) {
		return p.was, true
	}
	return p.Past.At(m, start)
}
