package ingest

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// DeleteUncovered deletes, after a withdrawal, every half-hour of a gateway
// that none of the live grants allows, and the body of every raw batch that
// holds such a half-hour: what must go, must go there too. Hashes and sequence
// numbers stay, so that the chain stays whole; the gateway keeps the batch's
// half-hours in its own store. It returns how many half-hours went.
func (s *Service) DeleteUncovered(ctx context.Context, gateway string, live []grant.Grant) (int64, error) {
	var gone, bodies int64
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, _, err := s.lockHead(ctx, tx, gateway); err != nil {
			return err
		}
		now := s.now()
		registers, err := registersOf(ctx, tx, gateway)
		if err != nil {
			return err
		}
		for id, key := range registers {
			n, err := deleteDays(ctx, tx, id, func(start time.Time) bool { return allowed(live, now, key, start) })
			if err != nil {
				return err
			}
			gone += n
		}
		bodies, err = deleteBodies(ctx, tx, gateway, live, now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ingest: delete what no permission covers: %w", err)
	}
	if gone > 0 || bodies > 0 {
		s.log.Info("ingest: deleted what no permission covers", "gateway", gateway, "half_hours", gone, "batches", bodies)
	}
	return gone, nil
}

func registersOf(ctx context.Context, tx *sql.Tx, gateway string) (map[int64]energy.Key, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, meter, measure FROM register WHERE gateway = $1`, gateway)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]energy.Key{}
	for rows.Next() {
		var id, measure int64
		var k energy.Key
		if err := rows.Scan(&id, &k.Meter, &measure); err != nil {
			return nil, err
		}
		k.Measure = energy.Measure(measure)
		out[id] = k
	}
	return out, rows.Err()
}

// deleteDays removes the half-hours of a register that keep does not want, a
// page of days at a time.
func deleteDays(ctx context.Context, tx *sql.Tx, register int64, keep func(start time.Time) bool) (int64, error) {
	days, err := newDayRows(ctx, tx)
	if err != nil {
		return 0, err
	}
	defer days.close()
	var gone int64
	for next := int64(0); ; {
		page, err := dayNumbers(ctx, tx, register, next)
		if err != nil || len(page) == 0 {
			return gone, err
		}
		for _, number := range page {
			d, err := days.read(ctx, register, number)
			if err != nil {
				return 0, err
			}
			before := gone
			for _, i := range d.present() {
				if !keep(time.Unix(number*daySeconds+int64(i)*halfHour, 0).UTC()) {
					d.drop(i)
					gone++
				}
			}
			if gone == before {
				continue
			}
			if err := days.write(ctx, register, d); err != nil {
				return 0, err
			}
		}
		next = page[len(page)-1] + 1
	}
}

func dayNumbers(ctx context.Context, tx *sql.Tx, register, next int64) ([]int64, error) {
	return numbers(tx.QueryContext(ctx, `SELECT day FROM day WHERE register = $1 AND day >= $2 ORDER BY day LIMIT 256`, register, next))
}

// deleteBodies drops the raw batches in which anything is not covered, one at
// a time: each may take 1 MiB.
func deleteBodies(ctx context.Context, tx *sql.Tx, gateway string, live []grant.Grant, now time.Time) (int64, error) {
	var gone int64
	for next := int64(0); ; {
		page, err := numbers(tx.QueryContext(ctx, `SELECT sequence FROM batch WHERE gateway = $1 AND sequence >= $2 AND body IS NOT NULL
			ORDER BY sequence LIMIT 256`, gateway, next))
		if err != nil || len(page) == 0 {
			return gone, err
		}
		for _, q := range page {
			var raw []byte
			if err := tx.QueryRowContext(ctx, `SELECT body FROM batch WHERE gateway = $1 AND sequence = $2`, gateway, q).Scan(&raw); err != nil {
				return 0, err
			}
			b, err := batch.Decode(raw)
			if err != nil {
				return 0, fmt.Errorf("stored batch %d: %w", q, err)
			}
			if _, _, found := uncovered(&b.Batch, live, now); !found {
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE batch SET body = NULL WHERE gateway = $1 AND sequence = $2`, gateway, q); err != nil {
				return 0, err
			}
			gone++
		}
		next = page[len(page)-1] + 1
	}
}

// numbers reads a result of one column to its end.
func numbers(rows *sql.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
