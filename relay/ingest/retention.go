package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// DefaultRetention is how long raw half-hours are kept after their collection
// where the configuration says nothing else. The scheme's limit is six months,
// of which the shortest have 181 days.
const DefaultRetention = 180 * 24 * time.Hour

// retentionEvery is how often Run looks for what has been kept long enough.
const retentionEvery = time.Hour

// Run deletes what has been kept long enough, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(retentionEvery)
	defer t.Stop()
	for {
		if _, err := s.DeleteExpired(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("ingest: what was kept long enough is not all deleted yet, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// DeleteExpired deletes every half-hour that was collected longer ago than the
// retention allows, and the bodies of the batches that brought them; hashes
// stay. Collected is when the batch came that brought the value first. It works
// gateway by gateway, in short transactions, and returns how many half-hours
// went. What fails for one gateway does not keep the others.
func (s *Service) DeleteExpired(ctx context.Context) (int64, error) {
	limit := s.now().Add(-s.c.Retention).Truncate(time.Second)
	gateways, err := s.expired(ctx, limit)
	if err != nil {
		return 0, fmt.Errorf("ingest: retention: %w", err)
	}
	var gone int64
	var failed []error
	for _, g := range gateways {
		d := &deletion{s: s, Deletion: Deletion{Gateway: g, Reason: Retention, Collected: limit}}
		d.judge = func(ctx context.Context) (verdict, error) { return s.outlived(ctx, g, limit) }
		if err := d.run(ctx); err != nil {
			failed = append(failed, fmt.Errorf("ingest: retention of %s: %w", g, err))
		}
		gone += d.HalfHours
		if ctx.Err() != nil {
			break
		}
	}
	return gone, errors.Join(failed...)
}

// expired lists the gateways with a batch body that was kept long enough. The
// half-hours go before the bodies: none of them is forgotten when a deletion
// is broken off.
func (s *Service) expired(ctx context.Context, limit time.Time) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT gateway FROM batch WHERE received < $1 AND body IS NOT NULL ORDER BY gateway`, limit.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var g string
		if err := rows.Scan(&g); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// outlived says what of a gateway was collected before limit.
func (s *Service) outlived(ctx context.Context, gateway string, limit time.Time) (verdict, error) {
	// Sequence numbers and times rise together, but for a clock that was set
	// back: then a few batches go with those before them, never too late.
	var last sql.NullInt64
	if err := s.db.QueryRowContext(ctx, `SELECT MAX(sequence) FROM batch WHERE gateway = $1 AND received < $2`, gateway, limit.Unix()).Scan(&last); err != nil {
		return verdict{}, err
	}
	return verdict{
		keep: func(_ energy.Key, _ time.Time, v *slot) bool { return v.batch > uint64(last.Int64) },
		keepBody: func(n uint64, _ int64, _ func() (*batch.Signed, error)) (bool, error) {
			return n > uint64(last.Int64), nil
		},
		lastDay: limit.Unix() / daySeconds, // nothing is collected before it is over
		upTo:    last.Int64,
	}, nil
}
