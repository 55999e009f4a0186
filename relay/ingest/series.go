package ingest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// clockAhead is how far a gateway's clock may run ahead of ours.
const clockAhead = 5 * time.Minute

// checkTimes refuses what cannot be known yet: a batch made, or a half-hour that
// ends, in the future. All else about its form batch.Decode has checked.
func checkTimes(b *batch.Batch, received time.Time) error {
	if b.Made.After(received.Add(clockAhead)) {
		return fmt.Errorf("the batch was made at %s, which is in the future: set the gateway's clock", b.Made.UTC().Format(time.RFC3339))
	}
	for _, s := range b.Series {
		if end := s.End(); end.After(b.Made) && end.After(received) {
			return fmt.Errorf("%s/%s: the half-hour to %s is not over yet: set the gateway's clock", s.Meter, s.Measure, end.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// uncovered finds the first half-hour or statement of baseline of a batch that
// no grant allows at the instant now. A half-hour reported as missing needs a
// permission too.
func uncovered(b *batch.Batch, live []grant.Grant, now time.Time) (energy.Key, time.Time, bool) {
	for _, s := range b.Series {
		key := energy.Key{Meter: s.Meter, Measure: s.Measure}
		last := s.First.Add(time.Duration(len(s.Values)-1) * energy.Period)
		if slices.ContainsFunc(live, func(g grant.Grant) bool { return g.Allows(now, key, s.First) && g.Allows(now, key, last) }) {
			continue // what a grant allows of a register is one stretch of time
		}
		for n := range s.Values {
			start := s.First.Add(time.Duration(n) * energy.Period)
			if !allowed(live, now, key, start) {
				return key, start, true
			}
		}
	}
	for _, s := range b.Baseline {
		key := energy.Key{Meter: s.Meter, Measure: s.Measure}
		if !allowed(live, now, key, s.At) {
			return key, s.At, true
		}
	}
	return energy.Key{}, time.Time{}, false
}

func allowed(live []grant.Grant, now time.Time, key energy.Key, start time.Time) bool {
	for _, g := range live {
		if g.Allows(now, key, start) {
			return true
		}
	}
	return false
}

// slots makes the stored half-hours of a series, in order; the i-th has no
// batch when it is missing and is then not stored.
//
// The instant at which a value was taken is when the batch was made, and when
// that is not after the half-hour's end (a clock that runs behind), when it was
// received.
func slots(b *batch.Batch, s *batch.Series, received time.Time) []slot {
	out := make([]slot, len(s.Values))
	registers := cumulative(s)
	for i, v := range s.Values {
		if v.Quality == energy.Missing {
			continue
		}
		end := s.First.Unix() + int64(i+1)*halfHour
		taken := b.Made.Unix()
		if taken <= end {
			taken = max(received.Unix(), end+1)
		}
		out[i] = slot{
			energy: v.Energy, cumulative: registers[i], quality: v.Quality, rule: v.Rule, flags: v.Flags,
			batch: b.Sequence, taken: taken,
		}
	}
	return out
}

// cumulative works out the register at the end of each half-hour from the
// register at both ends of the series: forward from the opening up to the
// first missing half-hour, backward from the closing down to the last one.
// Where both ends are known but do not agree, the register wrapped or was set
// back in between: then only the closing itself is known.
func cumulative(s *batch.Series) []int64 {
	out := make([]int64, len(s.Values))
	for i := range out {
		out[i] = -1
	}
	if len(out) == 0 {
		return out
	}
	forward := 0 // out[:forward] are known from the opening
	for at := s.Opening; at >= 0 && forward < len(out); forward++ {
		v := s.Values[forward]
		if v.Quality == energy.Missing || at > math.MaxInt64-v.Energy {
			break
		}
		at += v.Energy
		out[forward] = at
	}
	if s.Closing < 0 {
		return out
	}
	last := len(out) - 1
	agree := forward == 0 || out[forward-1] == s.Closing // all the way, or nothing to compare
	if forward <= last && forward > 0 {
		agree = out[forward-1] <= s.Closing // a register only rises over a gap
	}
	if !agree {
		for i := range out {
			out[i] = -1
		}
	}
	out[last] = s.Closing
	for i := last; agree && i > forward; i-- { // out[i-1] = out[i] - energy of i
		v := s.Values[i]
		if v.Quality == energy.Missing || v.Energy > out[i] || forward > 0 && out[i]-v.Energy < out[forward-1] {
			break
		}
		out[i-1] = out[i] - v.Energy
	}
	return out
}
