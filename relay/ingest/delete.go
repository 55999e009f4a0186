package ingest

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// How much one transaction of a deletion touches: the gateway cannot deliver,
// and on SQLite nobody can write, until it is over.
const (
	daysAtOnce   = 31 // of one register; a calendar month
	bodiesAtOnce = 32 // each may take 1 MiB, and be unpacked to 8 MiB, one after the other
)

// DeleteUncovered deletes, after a withdrawal, every half-hour of a gateway
// that no live grant allows, and the body of every raw batch that holds such a
// half-hour: what must go, must go there too. Hashes and sequence numbers stay,
// so that the chain stays whole; the gateway keeps the batch's half-hours in
// its own store. It returns how many half-hours went.
//
// It works in many short transactions, each of which asks anew what the live
// grants are: what a permission given meanwhile covers stays. When it is broken
// off, what is left is deleted by the next call.
func (s *Service) DeleteUncovered(ctx context.Context, gateway string) (int64, error) {
	d := &deletion{s: s, Deletion: Deletion{Gateway: gateway, Reason: Withdrawal}}
	d.judge = func(ctx context.Context) (verdict, error) {
		now := s.now()
		live, err := s.c.Permits.LiveGrants(ctx, gateway, now)
		if err != nil {
			return verdict{}, fmt.Errorf("live permissions: %w", err)
		}
		return verdict{
			keep: func(k energy.Key, start time.Time, _ *slot) bool { return allowed(live, now, k, start) },
			keepBody: func(_ uint64, _ int64, raw func() (*batch.Signed, error)) (bool, error) {
				b, err := raw()
				if err != nil {
					return false, err
				}
				_, _, found := uncovered(&b.Batch, live, now)
				return !found, nil
			},
		}, nil
	}
	if err := d.run(ctx); err != nil {
		return d.HalfHours, fmt.Errorf("ingest: delete what no permission covers: %w", err)
	}
	return d.HalfHours, nil
}

// verdict says what stays.
type verdict struct {
	keep     func(k energy.Key, start time.Time, v *slot) bool
	keepBody func(sequence uint64, received int64, raw func() (*batch.Signed, error)) (bool, error)
	lastDay  int64 // days after it need not be looked at; 0: all are
	upTo     int64 // bodies of batches after it need not be looked at; 0: all are
}

// deletion is a deletion under way.
type deletion struct {
	Deletion
	s     *Service
	judge func(context.Context) (verdict, error)
}

func (d *deletion) run(ctx context.Context) error {
	registers := map[int64]energy.Key{}
	err := d.s.db.WriteTx(ctx, func(tx *database.Tx) error {
		clear(registers)
		// Under the lock: a batch that was let in before the withdrawal is stored by now.
		if err := d.s.lockHead(ctx, tx, d.Gateway); err != nil {
			return err
		}
		return tx.Together(registersOf(d.Gateway, func(id int64, k energy.Key) { registers[id] = k }))
	})
	if err != nil {
		return err
	}
	for id, key := range registers {
		for next, more := int64(0), true; more; {
			if next, more, err = d.days(ctx, id, key, next); err != nil {
				return err
			}
		}
	}
	for next, more := int64(0), true; more; {
		if next, more, err = d.bodies(ctx, next); err != nil {
			return err
		}
	}
	return d.finish(ctx)
}

// registersOf reads the registers of a gateway.
func registersOf(gateway string, each func(id int64, k energy.Key)) database.Statement {
	return database.Statement{SQL: `SELECT id, meter, measure FROM register WHERE gateway = $1`, Args: []any{gateway},
		Row: func(scan func(...any) error) error {
			var id, measure int64
			var k energy.Key
			if err := scan(&id, &k.Meter, &measure); err != nil {
				return err
			}
			k.Measure = energy.Measure(measure)
			each(id, k)
			return nil
		}}
}

// write runs one transaction of the deletion under the gateway's lock. f works
// on gone, which is counted in once the transaction holds.
func (d *deletion) write(ctx context.Context, f func(tx *sql.Tx, v verdict, gone *Deletion) error) error {
	var gone Deletion
	err := d.s.db.Write(ctx, func(tx *sql.Tx) error {
		gone = Deletion{}
		if err := d.s.lockHead(ctx, tx, d.Gateway); err != nil {
			return err
		}
		v, err := d.judge(ctx)
		if err != nil {
			return err
		}
		if err := f(tx, v, &gone); err != nil || gone.HalfHours+gone.Bodies == 0 {
			return err
		}
		return d.note(ctx, tx, gone)
	})
	if err == nil {
		d.add(gone)
	}
	return err
}

// days goes over the days of a register from next on to the end of a calendar
// month, and says where to go on.
func (d *deletion) days(ctx context.Context, id int64, key energy.Key, next int64) (then int64, more bool, err error) {
	err = d.write(ctx, func(tx *sql.Tx, v verdict, gone *Deletion) error {
		then, more = 0, false
		page, err := numbers(tx.QueryContext(ctx, `SELECT day FROM day WHERE register = $1 AND day >= $2 ORDER BY day LIMIT $3`, id, next, daysAtOnce))
		if err != nil || len(page) == 0 || v.lastDay > 0 && page[0] > v.lastDay {
			return err
		}
		first := monthOfDay(page[0])
		end := first.End().Unix() / daySeconds
		rows, err := newDayRows(ctx, tx)
		if err != nil {
			return err
		}
		defer rows.close()
		then, more = end, true
		var changed []*day
		kept := map[int]bool{} // places in the month
		for _, number := range page {
			if number >= end {
				break
			}
			one, err := rows.read(ctx, id, number)
			if err != nil {
				return err
			}
			before := gone.HalfHours
			for _, i := range one.present() {
				start := time.Unix(number*daySeconds+int64(i)*halfHour, 0).UTC()
				if v.keep(key, start, &one.slots[i]) {
					place, _ := first.Place(start)
					kept[place] = true
					continue
				}
				one.drop(i)
				gone.count(start)
			}
			if gone.HalfHours > before {
				changed = append(changed, one)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		// First what is stated of the month: it needs the values that go.
		if err := closeStatements(ctx, tx, id, first, kept); err != nil {
			return err
		}
		for _, one := range changed {
			if err := rows.write(ctx, id, one); err != nil {
				return err
			}
		}
		return nil
	})
	return then, more, err
}

// bodies drops the raw batches that must go, from a sequence number on.
func (d *deletion) bodies(ctx context.Context, next int64) (then int64, more bool, err error) {
	err = d.write(ctx, func(tx *sql.Tx, v verdict, gone *Deletion) error {
		then, more = 0, false
		rows, err := tx.QueryContext(ctx, `SELECT sequence, received FROM batch WHERE gateway = $1 AND sequence >= $2 AND body IS NOT NULL
			ORDER BY sequence LIMIT $3`, d.Gateway, next, bodiesAtOnce)
		page, err := pairs(rows, err)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			if v.upTo > 0 && p[0] > v.upTo {
				return nil
			}
			keep, err := v.keepBody(uint64(p[0]), p[1], func() (*batch.Signed, error) { return storedBatch(ctx, tx, d.Gateway, p[0]) })
			if err != nil {
				return err
			}
			if keep {
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE batch SET body = NULL WHERE gateway = $1 AND sequence = $2`, d.Gateway, p[0]); err != nil {
				return err
			}
			gone.Bodies++
		}
		then, more = page[len(page)-1][0]+1, true
		return nil
	})
	return then, more, err
}

func storedBatch(ctx context.Context, tx *sql.Tx, gateway string, sequence int64) (*batch.Signed, error) {
	var raw []byte
	if err := tx.QueryRowContext(ctx, `SELECT body FROM batch WHERE gateway = $1 AND sequence = $2`, gateway, sequence).Scan(&raw); err != nil {
		return nil, err
	}
	b, err := batch.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("stored batch %d: %w", sequence, err)
	}
	return b, nil
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

// pairs reads a result of two columns to its end.
func pairs(rows *sql.Rows, err error) ([][2]int64, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][2]int64
	for rows.Next() {
		var p [2]int64
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
