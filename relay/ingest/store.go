package ingest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// store stores a verified batch with all its half-hours and statements of
// months in one transaction, or nothing, and returns the highest stored
// sequence number, and the statements that are not of the half-hours stored.
//
// The head row is locked first. A withdrawal that was committed before is thus
// seen by LiveGrants, and one that comes later deletes what it must after us,
// because DeleteUncovered waits for the same lock.
func (s *Service) store(ctx context.Context, b *batch.Signed, statements []carried, received time.Time) (head uint64, refused []Refused, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		refused = nil
		sequence, hash, err := s.lockHead(ctx, tx, b.Gateway)
		if err != nil {
			return err
		}
		head = sequence
		own := b.Hash()
		if b.Sequence <= sequence { // sent again, or another one in its place
			var stored []byte
			err := tx.QueryRowContext(ctx, `SELECT hash FROM batch WHERE gateway = $1 AND sequence = $2`, b.Gateway, int64(b.Sequence)).Scan(&stored)
			if err != nil {
				return err
			}
			if bytes.Equal(stored, own[:]) {
				return nil
			}
		}
		if b.Sequence != sequence+1 || b.Previous != hash {
			return &refusal{
				status: http.StatusConflict, code: "out_of_sequence",
				description: fmt.Sprintf("batch %d does not follow the last one stored, %d: continue from there", b.Sequence, sequence),
				sequence:    sequence, hash: hex.EncodeToString(hash[:]),
			}
		}
		now := s.now()
		live, err := s.c.Permits.LiveGrants(ctx, b.Gateway, now)
		if err != nil {
			return fmt.Errorf("live permissions: %w", err)
		}
		if key, at, found := uncovered(&b.Batch, live, now); found {
			return refuse(http.StatusForbidden, "no_permission", "no live permission covers %s at %s: nothing was stored", key, at.UTC().Format(time.RFC3339))
		}
		if err := merge(ctx, tx, &b.Batch, received); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO batch (gateway, sequence, hash, received, body) VALUES ($1, $2, $3, $4, $5)`,
			b.Gateway, int64(b.Sequence), own[:], received.Unix(), b.Raw()); err != nil {
			return err
		}
		if refused, err = s.keepStatements(ctx, tx, b, statements, received); err != nil {
			return err
		}
		head = b.Sequence
		_, err = tx.ExecContext(ctx, `UPDATE head SET sequence = $1, hash = $2 WHERE gateway = $3`, int64(head), own[:], b.Gateway)
		return err
	})
	return head, refused, err
}

// lockHead locks a gateway's chain for the transaction and reads its end.
func (s *Service) lockHead(ctx context.Context, tx *sql.Tx, gateway string) (uint64, batch.Hash, error) {
	var sequence int64
	var stored []byte
	var hash batch.Hash
	err := tx.QueryRowContext(ctx, `SELECT sequence, hash FROM head WHERE gateway = $1`+s.db.ForUpdate(), gateway).Scan(&sequence, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, hash, ErrNotFound
	} else if err != nil {
		return 0, hash, err
	}
	if copy(hash[:], stored) != len(hash) || len(stored) != len(hash) {
		return 0, hash, fmt.Errorf("ingest: head of %s: its hash has %d bytes", gateway, len(stored))
	}
	return uint64(sequence), hash, nil
}

// registerID gives the number of a register, a new one when it has none yet.
func registerID(ctx context.Context, tx *sql.Tx, gateway string, k energy.Key) (int64, error) {
	for range 100 {
		var id int64
		err := tx.QueryRowContext(ctx, `SELECT id FROM register WHERE gateway = $1 AND meter = $2 AND measure = $3`,
			gateway, k.Meter, int64(k.Measure)).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
		// Another gateway may take the same number at this instant: then
		// nothing is inserted, and we try the next one.
		_, err = tx.ExecContext(ctx, `INSERT INTO register (id, gateway, meter, measure)
			SELECT COALESCE(MAX(id), 0) + 1, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM register WHERE TRUE
			ON CONFLICT DO NOTHING`, gateway, k.Meter, int64(k.Measure))
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("ingest: no number to be had for register %s", k)
}

// dayRows reads and writes day rows within a transaction.
type dayRows struct{ get, set, drop *sql.Stmt }

func newDayRows(ctx context.Context, tx *sql.Tx) (*dayRows, error) {
	get, err := tx.PrepareContext(ctx, `SELECT data FROM day WHERE register = $1 AND day = $2`)
	if err != nil {
		return nil, err
	}
	set, err := tx.PrepareContext(ctx, `INSERT INTO day (register, day, data) VALUES ($1, $2, $3)
		ON CONFLICT (register, day) DO UPDATE SET data = excluded.data`)
	if err != nil {
		get.Close()
		return nil, err
	}
	drop, err := tx.PrepareContext(ctx, `DELETE FROM day WHERE register = $1 AND day = $2`)
	if err != nil {
		get.Close()
		set.Close()
		return nil, err
	}
	return &dayRows{get, set, drop}, nil
}

func (r *dayRows) close() { r.get.Close(); r.set.Close(); r.drop.Close() }

// read gives a stored day, an empty one when there is none.
func (r *dayRows) read(ctx context.Context, register, number int64) (*day, error) {
	var data []byte
	err := r.get.QueryRowContext(ctx, register, number).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return &day{number: number}, nil
	} else if err != nil {
		return nil, err
	}
	d, err := decodeDay(number, data)
	if err != nil {
		return nil, fmt.Errorf("ingest: register %d, day %d: %w", register, number, err)
	}
	return d, nil
}

// write stores a day; of one that became empty no row stays.
func (r *dayRows) write(ctx context.Context, register int64, d *day) error {
	if d.have == 0 {
		_, err := r.drop.ExecContext(ctx, register, d.number)
		return err
	}
	_, err := r.set.ExecContext(ctx, register, d.number, d.encode())
	return err
}
