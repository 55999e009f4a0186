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
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// store stores a verified batch with all its half-hours and statements of
// months in one transaction, or nothing, and returns the highest stored
// sequence number, and the statements that are not of the half-hours stored.
//
// The head row is locked first. A withdrawal that was committed before is thus
// seen by LiveGrants, and one that comes later deletes what it must after us,
// because DeleteUncovered waits for the same lock.
//
// Where the database is over the network, round trips cost more than all else:
// what is read goes with the lock, in the order in which it stands here, and
// what is written goes together.
func (s *Service) store(ctx context.Context, b *batch.Signed, statements []carried, received time.Time) (head uint64, refused []Refused, err error) {
	chunks := cut(&b.Batch)
	err = s.db.WriteTx(ctx, func(tx *database.Tx) error {
		refused = nil
		m := newMerging(tx, &b.Batch, received)
		end := headOf{gateway: b.Gateway}
		reads := append([]database.Statement{end.lock(tx.Dialect)}, m.known()...)
		if len(chunks) > 0 {
			reads = append(reads, readDays(tx.Dialect, b.Gateway, chunks[0], m.took)...)
		}
		if err := tx.Together(reads...); err != nil {
			return err
		}
		sequence, hash, err := end.value()
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
		for i, parts := range chunks {
			if i > 0 {
				if err := m.flush(readDays(tx.Dialect, b.Gateway, parts, m.took)...); err != nil {
					return err
				}
			}
			if err := m.put(ctx, parts); err != nil {
				return err
			}
		}
		if len(statements) > 0 { // they are held against what is stored
			if err := m.flush(); err != nil {
				return err
			}
			if refused, err = s.keepStatements(ctx, tx, b, statements, received); err != nil {
				return err
			}
		}
		head = b.Sequence
		return m.finish(append(notePast(tx.Dialect, m.past, received), database.Statement{
			SQL:  `INSERT INTO batch (gateway, sequence, hash, received, body) VALUES ($1, $2, $3, $4, $5)`,
			Args: []any{b.Gateway, int64(b.Sequence), own[:], received.Unix(), b.Raw()},
		}, database.Statement{
			SQL: `UPDATE head SET sequence = $1, hash = $2 WHERE gateway = $3`, Args: []any{int64(head), own[:], b.Gateway},
		})...)
	})
	return head, refused, err
}

// headOf is the end of a gateway's chain.
type headOf struct {
	gateway  string
	found    bool
	sequence int64
	hash     []byte
}

// lock is the statement that locks the chain for the transaction and reads its
// end.
func (h *headOf) lock(on database.Dialect) database.Statement {
	return database.Statement{SQL: `SELECT sequence, hash FROM head WHERE gateway = $1` + on.ForUpdate(), Args: []any{h.gateway},
		Row: func(scan func(...any) error) error {
			h.found = true
			return scan(&h.sequence, &h.hash)
		}}
}

func (h *headOf) value() (uint64, batch.Hash, error) {
	var hash batch.Hash
	if !h.found {
		return 0, hash, ErrNotFound
	}
	if copy(hash[:], h.hash) != len(hash) || len(h.hash) != len(hash) {
		return 0, hash, fmt.Errorf("ingest: head of %s: its hash has %d bytes", h.gateway, len(h.hash))
	}
	return uint64(h.sequence), hash, nil
}

// lockHead locks a gateway's chain for the transaction.
func (s *Service) lockHead(ctx context.Context, tx database.Querier, gateway string) error {
	var sequence int64
	err := tx.QueryRowContext(ctx, `SELECT sequence FROM head WHERE gateway = $1`+s.db.ForUpdate(), gateway).Scan(&sequence)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// registerID gives the number of a register, a new one when it has none yet.
func registerID(ctx context.Context, tx database.Querier, gateway string, k energy.Key) (int64, error) {
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
