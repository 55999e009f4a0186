package emissions

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// settled is how long the half-hours of a finished month must have been left
// alone before its figure is worked out anew. Corrections come in runs: what a
// bank is shown is what all of a run comes to, not the steps between.
const settled = 24 * time.Hour

// leastChanged is how many half-hours of a month must have changed before it is
// restated: a day of one meter. The difference between two versions tells a bank
// by how much the changed half-hours changed, in sum; of fewer it would tell too
// much (law 5). A smaller correction is kept with the half-hours, and comes out
// when more of the month is corrected.
const leastChanged = 48

// restate looks at finished months whose half-hours have changed since, and
// gives those a new version whose figure has changed with them. The version
// before is kept. A month of which half-hours are no longer there (withdrawn,
// or kept long enough) stays as it is: it cannot be worked out any more.
func (s *Service) restate(ctx context.Context, a Account, k Kind, stored map[Month]*Result, from, to, now time.Time) error {
	if s.c.Changed == nil || len(stored) == 0 {
		return nil
	}
	var keys []energy.Key
	for _, meter := range a.Meters(k) {
		keys = append(keys, energy.Key{Meter: meter, Measure: k.Measure()})
	}
	changed, err := s.c.Changed(ctx, a.Gateway, keys, MonthOf(from).Start(), to)
	if err != nil {
		return err
	}
	months := slices.SortedFunc(maps.Keys(stored), func(a, b Month) int { return a.Start().Compare(b.Start()) })
	for _, m := range months {
		old, at := stored[m], changed[m.Start()]
		if at.IsZero() || now.Before(at.Add(settled)) || old.Computed.After(at) || old.looked.After(at) {
			continue
		}
		next, err := s.figure(ctx, a, k, m, now, false)
		if err != nil {
			return err
		}
		enough := false
		if next.Result != nil && next.Result.Mass != old.Mass {
			if enough, err = s.enough(ctx, a, keys, m, old); err != nil {
				return err
			}
		}
		if enough {
			next.Result.Version = old.Version + 1
			if err := s.replace(ctx, a, k, m, old, next.Result); err != nil {
				return err
			}
			s.c.Logger.Info("emissions: a month was restated", "gateway", a.Gateway, "kind", string(k), "month", m.String(), "version", next.Result.Version)
			continue
		}
		if err := s.c.DB.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE monthly_emissions SET looked = $1 WHERE subject = $2 AND kind = $3 AND month = $4`,
				now.Unix(), a.subject(k), string(k), m.Start().Unix())
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// enough reports whether as many half-hours as must have changed came in
// batches that the old figure knew nothing of.
func (s *Service) enough(ctx context.Context, a Account, keys []energy.Key, m Month, old *Result) (bool, error) {
	if old.Inputs.Batches == nil {
		return false, nil
	}
	n := 0
	for _, k := range keys {
		for r, err := range s.c.Readings(ctx, a.Gateway, k, m.Start(), m.End()) {
			if err != nil {
				return false, err
			}
			if r.Batch > old.Inputs.Batches.Last {
				n++
			}
		}
	}
	return n >= leastChanged, nil
}

// replace puts a new version in an old one's place, unless another process has
// done so: then what it stored stands. next becomes what stands.
func (s *Service) replace(ctx context.Context, a Account, k Kind, m Month, old, next *Result) error {
	inputs, err := json.Marshal(next.Inputs)
	if err != nil {
		return err
	}
	subject := a.subject(k)
	err = s.c.DB.Write(ctx, func(tx *sql.Tx) error {
		n, err := tx.ExecContext(ctx, `INSERT INTO monthly_emissions_replaced (subject, kind, month, version, micrograms, computed_at, permission, inputs, replaced_at)
			SELECT subject, kind, month, version, micrograms, computed_at, permission, inputs, CAST($5 AS BIGINT) FROM monthly_emissions
			WHERE subject = $1 AND kind = $2 AND month = $3 AND version = $4 ON CONFLICT DO NOTHING`,
			subject, string(k), m.Start().Unix(), old.Version, next.Computed.Unix())
		if err != nil {
			return err
		}
		if rows, err := n.RowsAffected(); err != nil || rows == 0 {
			return err // another process was faster
		}
		_, err = tx.ExecContext(ctx, `UPDATE monthly_emissions SET version = $1, micrograms = $2, computed_at = $3, permission = $4, inputs = $5, looked = 0
			WHERE subject = $6 AND kind = $7 AND month = $8 AND version = $9`,
			next.Version, int64(next.Mass), next.Computed.Unix(), a.Permission, string(inputs), subject, string(k), m.Start().Unix(), old.Version)
		return err
	})
	if err != nil {
		return err
	}
	kept, err := s.stored(ctx, subject, k, m.Start(), m.End())
	if err == nil && kept[m] != nil {
		*old = *kept[m]
	}
	return err
}
