package emissions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// arriving is how long a month waits for half-hours that a gateway has still
// to send, after its end or after the permission to send them was given (the
// scheme allows 48 hours).
const arriving = 48 * time.Hour

func complete(meters []MeterMonth) bool {
	return len(meters) > 0 && !slices.ContainsFunc(meters, MeterMonth.lacks)
}

// lacks reports whether a half-hour is absent or of unknown value.
func (x MeterMonth) lacks() bool {
	return slices.ContainsFunc(x.Values, func(v Value) bool { return v.Quality == energy.Missing })
}

// arrives reports whether the half-hours that a month lacks may be on their
// way. A gateway that was just permitted sends its history, each register
// oldest first: what is not there when something later is, it does not have.
func (s *Service) arrives(ctx context.Context, a Account, k Kind, m Month, meters []MeterMonth, now time.Time) (bool, error) {
	if now.Before(m.End().Add(arriving)) {
		return true, nil
	}
	if !now.Before(a.Granted.Add(arriving)) {
		return false, nil
	}
	for _, x := range meters {
		if !x.lacks() {
			continue
		}
		for r, err := range s.c.Readings(ctx, a.Gateway, energy.Key{Meter: x.Meter, Measure: k.Measure()}, m.End(), now) {
			if err != nil || !r.Start.Before(m.End()) {
				return false, err
			}
		}
	}
	return true, nil
}

// collect reads the half-hours of every meter, each at its place in the month.
func (s *Service) collect(ctx context.Context, a Account, k Kind, m Month) ([]MeterMonth, map[uint64]bool, error) {
	var out []MeterMonth
	batches := map[uint64]bool{}
	for _, meter := range a.Meters(k) {
		x := MeterMonth{meter, make([]Value, m.HalfHours())}
		for r, err := range s.c.Readings(ctx, a.Gateway, energy.Key{Meter: meter, Measure: k.Measure()}, m.Start(), m.End()) {
			if err != nil {
				return nil, nil, err
			}
			since := r.Start.Sub(m.Start())
			i := int(since / energy.Period)
			if since < 0 || since%energy.Period != 0 || i >= len(x.Values) {
				return nil, nil, fmt.Errorf("meter %q: a half-hour at %s, which is none of the month", meter, r.Start.UTC().Format(time.RFC3339))
			}
			if x.Values[i] != (Value{}) {
				return nil, nil, fmt.Errorf("meter %q: two half-hours at %s", meter, r.Start.UTC().Format(time.RFC3339))
			}
			x.Values[i] = Value{r.Energy, r.Quality, r.Batch, r.Rule}
			if r.Quality != energy.Missing {
				batches[r.Batch] = true
			}
		}
		out = append(out, x)
	}
	return out, batches, nil
}
