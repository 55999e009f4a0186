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

// Run deletes what has been kept long enough, and what belongs to permissions
// that ran out, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(retentionEvery)
	defer t.Stop()
	for ended := 0; ; ended++ {
		if _, err := s.DeleteExpired(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("ingest: what was kept long enough is not all deleted yet, will try again", "error", err)
		}
		if ended%int(endedEvery/retentionEvery) == 0 {
			if _, err := s.DeleteEnded(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("ingest: the data of permissions that ran out is not all deleted yet, will try again", "error", err)
				ended-- // with the next hour
			}
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
		n, err := s.expire(ctx, g, limit)
		if gone += n; err != nil {
			failed = append(failed, fmt.Errorf("ingest: retention of %s: %w", g, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return gone, errors.Join(failed...)
}

// expired lists the gateways of which a batch has been kept long enough since
// the last time. Sequence numbers have no gap: the next one tells.
func (s *Service) expired(ctx context.Context, limit time.Time) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT h.gateway FROM head h JOIN batch b ON b.gateway = h.gateway AND b.sequence = h.expired + 1
		WHERE b.received < $1 ORDER BY h.gateway`, limit.Unix())
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

// expire deletes what of a gateway was collected before limit, and notes how
// far it went once all of it is gone.
func (s *Service) expire(ctx context.Context, gateway string, limit time.Time) (int64, error) {
	// Sequence numbers and times rise together, but for a clock that was set
	// back: then a few batches go with those before them, never too late.
	var last int64
	if err := s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(sequence), 0) FROM batch WHERE gateway = $1 AND received < $2`, gateway, limit.Unix()).Scan(&last); err != nil {
		return 0, err
	}
	d := &deletion{s: s, Deletion: Deletion{Gateway: gateway, Reason: Retention, Collected: limit}}
	d.judge = func(context.Context) (verdict, error) {
		return verdict{
			keep:     func(_ energy.Key, _ time.Time, v *slot) bool { return v.batch > uint64(last) },
			keepBody: func(n uint64, _ int64, _ func() (*batch.Signed, error)) (bool, error) { return n > uint64(last), nil },
			lastDay:  limit.Unix() / daySeconds, // nothing is collected before it is over
			upTo:     last,
		}, nil
	}
	if err := d.run(ctx); err != nil {
		return d.HalfHours, err
	}
	return d.HalfHours, s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE head SET expired = $1 WHERE gateway = $2 AND expired < $1`, last, gateway)
		return err
	})
}
