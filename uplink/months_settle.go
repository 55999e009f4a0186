package uplink

import (
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// settleMonths notes what a batch, which the relay has stored, means for the
// statements: months with half-hours in it must be stated anew, those that it
// carries the statement of are stated.
func (c *Client) settleMonths(b *batch.Signed) error {
	touched := map[energy.Key]map[string]string{}
	note := func(k energy.Key, m, what string) {
		if touched[k] == nil {
			touched[k] = map[string]string{}
		}
		touched[k][m] = what
	}
	for _, s := range b.Series {
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		for m := month.Of(s.First); m.Start.Before(s.End()); m = m.Next() {
			note(k, m.String(), "")
		}
	}
	for _, s := range b.Baseline {
		signed, _, ok, err := month.ReadCarried(s.Body)
		if !ok || err != nil {
			continue
		}
		if st, err := signed.Read(); err == nil {
			note(energy.Key{Meter: s.Meter, Measure: s.Measure}, st.Month.String(), signed.Framework+" "+signed.Time)
		}
	}
	for k, ms := range touched {
		if err := c.noteStated(k, func(known map[string]string) (changed bool) {
			for m, what := range ms {
				if known[m] == what {
					continue
				}
				if changed = true; what == "" {
					delete(known, m)
				} else {
					known[m] = what
				}
			}
			return changed
		}); err != nil {
			return err
		}
	}
	return nil
}

// refusedStatement is what the relay says of a statement that is not of the
// half-hours it has.
type refusedStatement struct {
	Meter   string         `json:"meter"`
	Measure energy.Measure `json:"measure"`
	Month   string         `json:"month"`
}

// restate sends the half-hours of a month again whose statement the relay has
// refused, once while this program runs: it has others, for whatever reason.
// The statement follows them.
func (c *Client) restate(all []refusedStatement) error {
	live, now := c.live()
	for _, r := range all {
		k := energy.Key{Meter: r.Meter, Measure: r.Measure}
		m, err := month.Parse(r.Month)
		if err != nil {
			continue
		}
		if c.months.refused[k] == nil {
			if c.months.refused == nil {
				c.months.refused = map[energy.Key]map[month.Month]int{}
			}
			c.months.refused[k] = map[month.Month]int{}
		}
		if c.months.refused[k][m]++; c.months.refused[k][m] > 1 {
			c.log.Warn("the relay still has other half-hours than were stated", "register", k, "month", m)
			continue
		}
		c.log.Info("the relay has other half-hours than were stated: they are sent again", "register", k, "month", m)
		var spans []energy.Span
		for _, w := range windows(live, now, k) {
			if from, to := latest(w.from, m.Start), earliest(w.to, m.End()); from.Before(to) {
				spans = append(spans, energy.Span{Key: k, From: from, To: to})
			}
		}
		if err := c.out.Reopen(spans); err != nil {
			return err
		}
		if err := c.noteStated(k, func(known map[string]string) bool { delete(known, m.String()); return true }); err != nil {
			return err
		}
	}
	return nil
}
