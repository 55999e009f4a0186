package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// DefaultKeepExpired is for how long the half-hours of a permission that ran out
// are kept where the configuration says nothing else. Nobody may ask for them
// any more; the business may renew late, and its last month be restated.
const DefaultKeepExpired = 30 * 24 * time.Hour

// endedEvery is how often Run looks for what ran out.
const endedEvery = 24 * time.Hour

// DeleteEnded deletes every half-hour that no permission covers which is live,
// or was until it ran out less than KeepExpired ago, and the bodies of the batches
// that hold such a one; hashes stay. What was withdrawn goes at once by
// DeleteUncovered, what is kept long enough by DeleteExpired, whatever covers
// it. It returns how many half-hours went. What fails for one gateway does not
// keep the others.
func (s *Service) DeleteEnded(ctx context.Context) (int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT gateway FROM register ORDER BY gateway`)
	if err != nil {
		return 0, fmt.Errorf("ingest: permissions that ran out: %w", err)
	}
	var gateways []string
	for rows.Next() {
		var g string
		if err := rows.Scan(&g); err != nil {
			rows.Close()
			return 0, fmt.Errorf("ingest: permissions that ran out: %w", err)
		}
		gateways = append(gateways, g)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("ingest: permissions that ran out: %w", err)
	}
	var gone int64
	var failed []error
	for _, g := range gateways {
		n, err := s.deleteBeyond(ctx, g, Expiry)
		if gone += n; err != nil {
			failed = append(failed, fmt.Errorf("ingest: permissions of %s that ran out: %w", g, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return gone, errors.Join(failed...)
}

// DeleteDropped deletes, after a permission of a gateway was renewed for less
// than before, what nothing covers any more, as DeleteEnded does. It returns how
// many half-hours went.
func (s *Service) DeleteDropped(ctx context.Context, gateway string) (int64, error) {
	n, err := s.deleteBeyond(ctx, gateway, Renewal)
	if err != nil {
		err = fmt.Errorf("ingest: delete what a renewal dropped: %w", err)
	}
	return n, err
}

// deleteBeyond deletes what of a gateway is beyond what kept gives. The reason
// is for the log.
func (s *Service) deleteBeyond(ctx context.Context, gateway string, why Reason) (int64, error) {
	if c, err := s.kept(ctx, gateway); err != nil {
		return 0, err
	} else if all, err := s.allWithin(ctx, gateway, c); err != nil {
		return 0, err
	} else if all {
		// Of one that was broken off the half-hours may be gone and bodies left.
		var open int
		err := s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM deletion WHERE gateway = $1 AND reason = $2 AND finished = 0`, gateway, string(why)).Scan(&open)
		if err != nil || open == 0 {
			return 0, err
		}
	}
	d := &deletion{s: s, Deletion: Deletion{Gateway: gateway, Reason: why}}
	d.judge = func(ctx context.Context) (verdict, error) {
		c, err := s.kept(ctx, gateway) // under the lock: a renewal that was committed counts
		if err != nil {
			return verdict{}, err
		}
		return verdict{
			keep: func(k energy.Key, start time.Time, _ *slot) bool { return c.covers(k, start, start) },
			keepBody: func(_ uint64, _ int64, raw func() (*batch.Signed, error)) (bool, error) {
				b, err := raw()
				return err == nil && c.coversBatch(&b.Batch), err
			},
		}, nil
	}
	return d.HalfHours, d.run(ctx)
}

// coverage is what permissions allow, each at an instant at which it was live.
type coverage []struct {
	grant grant.Grant
	at    time.Time
}

// kept is what covers a gateway's half-hours now, and what did a while ago and
// was not withdrawn since.
func (s *Service) kept(ctx context.Context, gateway string) (coverage, error) {
	var out coverage
	for _, at := range []time.Time{s.now(), s.now().Add(-s.c.KeepExpired)} {
		live, err := s.c.Permits.LiveGrants(ctx, gateway, at)
		if err != nil {
			return nil, fmt.Errorf("live permissions: %w", err)
		}
		for _, g := range live {
			out = append(out, struct {
				grant grant.Grant
				at    time.Time
			}{g, at})
		}
	}
	return out, nil
}

// covers reports whether one permission allows the half-hours from the one that
// starts at first to the one that starts at last: what it allows of a register
// is one stretch of time.
func (c coverage) covers(k energy.Key, first, last time.Time) bool {
	for _, one := range c {
		if one.grant.Allows(one.at, k, first) && one.grant.Allows(one.at, k, last) {
			return true
		}
	}
	return false
}

func (c coverage) coversBatch(b *batch.Batch) bool {
	for _, s := range b.Series {
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		if c.covers(k, s.First, s.End().Add(-energy.Period)) {
			continue
		}
		for n := range s.Values {
			if at := s.First.Add(time.Duration(n) * energy.Period); !c.covers(k, at, at) {
				return false
			}
		}
	}
	return !slices.ContainsFunc(b.Baseline, func(s batch.Statement) bool {
		return !c.covers(energy.Key{Meter: s.Meter, Measure: s.Measure}, s.At, s.At)
	})
}

// allWithin reports whether of each register one permission covers the first day
// stored, the last, and so all between: of nearly all gateways that is so, and
// their days need not be gone over.
func (s *Service) allWithin(ctx context.Context, gateway string, c coverage) (bool, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT meter, measure, first, last FROM (SELECT meter, measure,
		(SELECT MIN(day) FROM day WHERE register = r.id) AS first, (SELECT MAX(day) FROM day WHERE register = r.id) AS last
		FROM register r WHERE gateway = $1) AS f WHERE first IS NOT NULL`, gateway)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	all := true
	for rows.Next() {
		var k energy.Key
		var measure, first, last int64
		if err := rows.Scan(&k.Meter, &measure, &first, &last); err != nil {
			return false, err
		}
		k.Measure = energy.Measure(measure)
		all = all && c.covers(k, time.Unix(first*daySeconds, 0), time.Unix((last+1)*daySeconds-halfHour, 0))
	}
	return all, rows.Err()
}
