package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	seriesMost = 62 * 48   // half-hours of a register in a batch: 62 days
	batchMost  = 64 << 10  // half-hours in a batch
	batchBytes = 256 << 10 // bytes of a batch
	batchLeast = 48        // half-hours below which a batch is not made smaller
)

// draft is what the next batch will carry.
type draft struct {
	series []batch.Series
	spans  []energy.Span
	grants []string
}

// collect takes the oldest pending half-hours that the live grants cover, at
// most so many, register by register, in runs without holes. Half-hours that
// the format cannot carry are left where they are and counted.
func collect(out Outbox, live []grant.Grant, now time.Time, most int) (d draft, unfit int, err error) {
	keys, err := sortedKeys(out)
	if err != nil {
		return d, 0, err
	}
	relied := map[string]bool{}
	for _, k := range keys {
		room := min(most, seriesMost)
		for _, w := range windows(live, now, k) {
			if room <= 0 {
				break
			}
			hh, err := out.Pending(k, w.from, w.to, room)
			if err != nil {
				return d, unfit, fmt.Errorf("reading what is pending of %s: %w", k, err)
			}
			room, most = room-len(hh), most-len(hh)
			for _, run := range runs(hh, &unfit) {
				for _, piece := range whole(run) {
					s := series(k, piece)
					d.series = append(d.series, s)
					d.spans = append(d.spans, energy.Span{Key: k, From: s.First, To: s.End()})
					rely(relied, live, now, k, s)
				}
			}
		}
		if most <= 0 || len(d.series) > batch.MaxSeries/2 {
			break
		}
	}
	for id := range relied {
		d.grants = append(d.grants, id)
	}
	slices.Sort(d.grants)
	return d, unfit, nil
}

func sortedKeys(out Outbox) ([]energy.Key, error) {
	keys, err := out.PendingKeys()
	if err != nil {
		return nil, fmt.Errorf("reading what is pending: %w", err)
	}
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b energy.Key) int {
		return cmp.Or(cmp.Compare(a.Meter, b.Meter), cmp.Compare(a.Measure, b.Measure))
	})
	return keys, nil
}

// runs splits half-hours at holes, and where the register does not go on from
// one to the next: a series says its register at both ends only, and all in
// between must follow from that.
func runs(hh []energy.HalfHour, unfit *int) (out [][]energy.HalfHour) {
	from, last := 0, -1 // last: the last one of the run that is not missing
	for i, h := range hh {
		if !fits(h) {
			*unfit++
			if i > from {
				out = append(out, hh[from:i])
			}
			from, last = i+1, -1
			continue
		}
		if i > from && !h.Start.Equal(hh[i-1].Start.Add(energy.Period)) || last >= from && !goesOn(hh[last], h, i-last) {
			out = append(out, hh[from:i])
			from, last = i, -1
		}
		if h.Quality != energy.Missing {
			last = i
		}
	}
	if from < len(hh) {
		out = append(out, hh[from:])
	}
	return out
}

// whole splits a run from which the relay could not work out every register
// that is known here: it is told those at both ends, and goes forward from the
// one and backward from the other as far as the first missing half-hour.
func whole(run []energy.HalfHour) [][]energy.HalfHour {
	known := func(h energy.HalfHour) bool { return h.Quality != energy.Missing && carriedRegister(h) >= 0 }
	wrapped := known(run[0]) && run[0].Cumulative < run[0].Energy
	forward, backward := 0, len(run)
	for forward < len(run) && run[forward].Quality != energy.Missing && !wrapped {
		forward++
	}
	for backward > 0 && run[backward-1].Quality != energy.Missing {
		backward--
	}
	if backward <= forward || !slices.ContainsFunc(run[forward:backward], known) {
		return [][]energy.HalfHour{run}
	}
	// Each piece begins with what is there and ends with what is missing.
	var out [][]energy.HalfHour
	from := 0
	for i := 1; i < len(run); i++ {
		here, before := run[i].Quality != energy.Missing, run[i-1].Quality != energy.Missing
		if here && !before || !here && before && known(run[from]) && run[from].Cumulative < run[from].Energy {
			out = append(out, run[from:i])
			from = i
		}
	}
	return append(out, run[from:])
}

// goesOn reports whether the register of h follows from that of p, which is so
// many half-hours before it with only missing ones in between.
func goesOn(p, h energy.HalfHour, apart int) bool {
	switch {
	case h.Quality == energy.Missing:
		return true
	case p.Cumulative < 0 || h.Cumulative < 0:
		return (p.Cumulative < 0) == (h.Cumulative < 0)
	case apart == 1:
		return h.Cumulative-h.Energy == p.Cumulative
	default:
		return h.Cumulative-h.Energy >= p.Cumulative
	}
}

// fits reports whether a batch can carry the half-hour.
func fits(h energy.HalfHour) bool {
	return h.Quality.Valid() && h.Start.Equal(h.Start.Truncate(energy.Period)) && h.Start.Unix() >= 0 &&
		(h.Quality == energy.Missing || h.Energy >= 0 && h.Energy <= batch.MaxEnergy)
}

// series makes a run of half-hours into what travels.
func series(k energy.Key, hh []energy.HalfHour) batch.Series {
	first, last := hh[0], hh[len(hh)-1]
	s := batch.Series{Meter: k.Meter, Measure: k.Measure, First: first.Start.UTC(), Opening: -1, Closing: -1,
		Values: make([]batch.Value, len(hh))}
	for i, h := range hh {
		s.Values[i] = batch.Value{Energy: h.Energy, Quality: h.Quality, Rule: h.Evidence.Rule, Flags: h.Flags}
		if h.Quality == energy.Missing {
			s.Values[i].Energy = 0
		}
	}
	if first.Quality != energy.Missing && first.Cumulative >= first.Energy && first.Cumulative <= batch.MaxRegister {
		s.Opening = first.Cumulative - first.Energy
	} // else not known, or the register wrapped within the first half-hour
	if last.Quality != energy.Missing && last.Cumulative >= 0 && last.Cumulative <= batch.MaxRegister {
		s.Closing = last.Cumulative
	}
	return s
}

// rely notes the grants that allow part of a series.
func rely(relied map[string]bool, live []grant.Grant, now time.Time, k energy.Key, s batch.Series) {
	for _, g := range live {
		if relied[g.ID] {
			continue
		}
		for _, w := range windows([]grant.Grant{g}, now, k) {
			if w.from.Before(s.End()) && s.First.Before(w.to) {
				relied[g.ID] = true
			}
		}
	}
}

// sealNext builds the next batch and seals it; idle when there is
// nothing that may leave.
func (c *Client) sealNext() (outcome, error) {
	live, now := c.live()
	if len(live) == 0 {
		return idle, nil
	}
	s, err := c.folder.signer()
	if err != nil {
		return idle, err
	}
	sequence, previous, err := c.out.Chain()
	if err != nil {
		return idle, fmt.Errorf("reading the chain: %w", err)
	}
	st, err := c.statements(live, now)
	if err != nil {
		return idle, err
	}
	for most := c.mostValues(); ; most /= 2 {
		d, unfit, err := collect(c.out, live, now, most)
		if err != nil {
			return idle, err
		}
		c.noteUnfit(unfit)
		stated, err := c.monthStatements(live, now, d, s)
		if err != nil {
			return idle, err
		}
		if len(d.series)+len(stated) == 0 {
			return idle, nil
		}
		raw, err := batch.Encode(batch.Batch{
			Gateway: c.folder.Gateway, Serial: s.chain[0].SerialNumber.Bytes(),
			Sequence: sequence + 1, Previous: previous, Made: c.now(),
			Grants: d.grants, Series: d.series, Baseline: append(st.carry[:len(st.carry):len(st.carry)], stated...),
		}, s.key)
		if most > batchLeast && (errors.Is(err, batch.ErrTooLarge) || len(raw) > batchBytes) {
			continue
		}
		if err != nil {
			return idle, err
		}
		if err := c.out.Seal(sequence+1, batch.Sum(raw), raw, d.spans, st.taken); err != nil {
			return idle, fmt.Errorf("keeping the batch before it is sent: %w", err)
		}
		return moved, nil
	}
}

// pending counts the half-hours that a live grant covers and that are not in a
// sealed batch.
func (c *Client) pending() (n int, err error) {
	live, now := c.live()
	keys, err := sortedKeys(c.out)
	for _, k := range keys {
		for _, w := range windows(live, now, k) {
			for err == nil {
				var hh []energy.HalfHour
				if hh, err = c.out.Pending(k, w.from, w.to, seriesMost); len(hh) == 0 {
					break
				}
				n += len(hh)
				w.from = hh[len(hh)-1].Start.Add(energy.Period)
			}
		}
	}
	return n, err
}
