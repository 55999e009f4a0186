package emissions

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stored reads the finished months of a subject that begin in [from, to).
func (s *Service) stored(ctx context.Context, subject string, k Kind, from, to time.Time) (map[Month]*Result, error) {
	fail := func(err error) (map[Month]*Result, error) {
		return nil, fmt.Errorf("emissions: reading finished months: %w", err)
	}
	rows, err := s.c.DB.QueryContext(ctx, `SELECT month, micrograms, computed_at, inputs, version, looked FROM monthly_emissions
		WHERE subject = $1 AND kind = $2 AND month >= $3 AND month < $4`, subject, string(k), from.Unix(), to.Unix())
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	out := map[Month]*Result{}
	for rows.Next() {
		var month, mass, computed, version, looked int64
		var inputs string
		if err := rows.Scan(&month, &mass, &computed, &inputs, &version, &looked); err != nil {
			return fail(err)
		}
		r := &Result{Mass: Mass(mass), Computed: time.Unix(computed, 0).UTC(), Version: int(version), looked: time.Unix(looked, 0).UTC()}
		if err := json.Unmarshal([]byte(inputs), &r.Inputs); err != nil {
			return fail(err)
		}
		out[MonthOf(time.Unix(month, 0))] = r
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return out, nil
}

// keep stores a finished month, once: when another process was faster, its
// result stands and is returned.
func (s *Service) keep(ctx context.Context, a Account, k Kind, m Month, r *Result) (*Result, error) {
	inputs, err := json.Marshal(r.Inputs)
	if err != nil {
		return nil, err
	}
	subject := a.subject(k)
	err = s.c.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO monthly_emissions (subject, kind, month, micrograms, computed_at, permission, inputs)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			subject, string(k), m.Start().Unix(), int64(r.Mass), r.Computed.Unix(), a.Permission, string(inputs))
		return err
	})
	if err != nil {
		return nil, err
	}
	kept, err := s.stored(ctx, subject, k, m.Start(), m.End())
	if err != nil {
		return nil, err
	}
	if kept[m] == nil {
		return nil, fmt.Errorf("the month was stored and is not there")
	}
	return kept[m], nil
}

// digest ties a month to the gateway's signed batches: with the batches at
// hand anyone can make the same hash.
func (s *Service) digest(ctx context.Context, gateway string, used map[uint64]bool) (*Batches, error) {
	sequences := slices.Sorted(maps.Keys(used))
	if len(sequences) == 0 {
		return nil, nil
	}
	hashes, err := s.c.Hashes(ctx, gateway, sequences)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, n := range sequences {
		sum, ok := hashes[n]
		if !ok {
			return nil, fmt.Errorf("the hash of batch %d is not there", n)
		}
		fmt.Fprintf(h, "%d %x\n", n, sum)
	}
	return &Batches{sequences[0], sequences[len(sequences)-1], len(sequences), hex.EncodeToString(h.Sum(nil))}, nil
}
