package ingest

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// pageDays is how many days are read at once: some 5 KiB of rows.
const pageDays = 32

// Readings yields the stored half-hours of a register that start in
// [from, to), in order. A half-hour that is not known is simply absent. It
// holds one page of days in memory, whatever the window, and no connection
// while the caller works. An error ends the sequence.
func (s *Service) Readings(ctx context.Context, gateway string, k energy.Key, from, to time.Time) iter.Seq2[Reading, error] {
	return func(yield func(Reading, error) bool) {
		lo, hi := ceilHalfHour(from), ceilHalfHour(to) // numbers of half-hours since 1970: [lo, hi)
		for next := floorDiv(lo, perDay); next*perDay < hi; {
			page, err := s.days(ctx, gateway, k, next, floorDiv(hi-1, perDay))
			if err != nil {
				yield(Reading{}, err)
				return
			}
			for _, d := range page {
				for _, i := range d.present() {
					at, v := d.number*perDay+int64(i), &d.slots[i]
					if at < lo || at >= hi {
						continue
					}
					r := Reading{
						Start: time.Unix(at*halfHour, 0).UTC(), Energy: v.energy, Cumulative: v.cumulative,
						Quality: v.quality, Rule: v.rule, Flags: v.flags, TakenAt: time.Unix(v.taken, 0).UTC(), Batch: v.batch,
					}
					if !yield(r, nil) {
						return
					}
				}
			}
			if len(page) < pageDays {
				return
			}
			next = page[len(page)-1].number + 1
		}
	}
}

// days reads up to pageDays stored days, from first to last inclusive.
func (s *Service) days(ctx context.Context, gateway string, k energy.Key, first, last int64) ([]*day, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT d.day, d.data FROM register r JOIN day d ON d.register = r.id
		WHERE r.gateway = $1 AND r.meter = $2 AND r.measure = $3 AND d.day >= $4 AND d.day <= $5 ORDER BY d.day LIMIT $6`,
		gateway, k.Meter, int64(k.Measure), first, last, pageDays)
	if err != nil {
		return nil, fmt.Errorf("ingest: readings of %s: %w", k, err)
	}
	defer rows.Close()
	var out []*day
	for rows.Next() {
		var number int64
		var data []byte
		if err := rows.Scan(&number, &data); err != nil {
			return nil, fmt.Errorf("ingest: readings of %s: %w", k, err)
		}
		d, err := decodeDay(number, data)
		if err != nil {
			return nil, fmt.Errorf("ingest: readings of %s, day %d: %w", k, number, err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ingest: readings of %s: %w", k, err)
	}
	return out, nil
}

// BatchHashes gives the hashes of stored batches of a gateway; a sequence
// number that was never stored is absent.
func (s *Service) BatchHashes(ctx context.Context, gateway string, sequences []uint64) (map[uint64]batch.Hash, error) {
	const most = 500 // numbers in one query
	out := make(map[uint64]batch.Hash, len(sequences))
	for len(sequences) > 0 {
		n := min(most, len(sequences))
		args, marks := []any{gateway}, make([]string, n)
		for i, q := range sequences[:n] {
			args, marks[i] = append(args, int64(q)), "$"+strconv.Itoa(i+2)
		}
		sequences = sequences[n:]
		rows, err := s.db.QueryContext(ctx, `SELECT sequence, hash FROM batch WHERE gateway = $1 AND sequence IN (`+strings.Join(marks, ", ")+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("ingest: batch hashes: %w", err)
		}
		for rows.Next() {
			var q int64
			var hash []byte
			if err := rows.Scan(&q, &hash); err != nil {
				rows.Close()
				return nil, fmt.Errorf("ingest: batch hashes: %w", err)
			}
			out[uint64(q)] = batch.Hash(hash)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("ingest: batch hashes: %w", err)
		}
		rows.Close()
	}
	return out, nil
}

// ceilHalfHour numbers the first half-hour that starts at or after t.
func ceilHalfHour(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return -floorDiv(-s, halfHour)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
