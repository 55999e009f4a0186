package ingest

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// maxStatements is how many statements of months are taken from one batch: each
// costs a reading of the month and some milliseconds under the gateway's lock.
const maxStatements = 64

// The states of a statement; see the migration.
const (
	stateGood     = "good"
	stateBehind   = "behind"
	stateReplaced = "replaced"
	stateRefused  = "refused"
)

// Refused is a statement of a month that is not of the half-hours stored.
type Refused struct {
	Meter   string         `json:"meter"`
	Measure energy.Measure `json:"measure"`
	Month   string         `json:"month"`
}

// carried is a statement of a month as it came in a batch.
type carried struct {
	key       energy.Key
	signed    month.Signed
	statement month.Statement
	seed      month.Seed
}

// statementsOf reads the statements of months that a verified batch carries.
// They must be signed with the batch's own key, of its gateway and register,
// and not later than the batch. What is not so is passed over with a word in
// the log: half-hours are worth more than what is stated of them.
func (s *Service) statementsOf(b *batch.Signed, pub *ecdsa.PublicKey) []carried {
	var out []carried
	for _, c := range b.Baseline {
		signed, seed, ok, err := month.ReadCarried(c.Body)
		if !ok {
			continue // a statement of baseline
		}
		key := energy.Key{Meter: c.Meter, Measure: c.Measure}
		var st month.Statement
		var at time.Time
		if err == nil {
			st, at, err = signed.Verify(pub)
		}
		switch {
		case err != nil:
		case st.Gateway != b.Gateway || st.Measure != c.Measure:
			err = fmt.Errorf("it is of %s of %s", st.Measure, st.Gateway)
		case signed.Serial != new(big.Int).SetBytes(b.Serial).String() || at.After(b.Made):
			err = errors.New("it is signed with another certificate than the batch, or later")
		case s.c.TrustFramework != "" && signed.Framework != s.c.TrustFramework:
			err = fmt.Errorf("it is of the trust framework %s", signed.Framework)
		case len(out) == maxStatements:
			err = fmt.Errorf("more than %d in one batch", maxStatements)
		}
		if err != nil {
			s.log.Warn("ingest: a statement of a month was passed over", "gateway", b.Gateway, "register", key, "batch", b.Sequence, "error", err)
			continue
		}
		out = append(out, carried{key, signed, st, seed})
	}
	return out
}

// keepStatements stores the statements of a batch whose half-hours are stored
// already, in the same transaction. It returns those that are of other
// half-hours than are here, where the gateway should send them again.
func (s *Service) keepStatements(ctx context.Context, tx database.Querier, b *batch.Signed, all []carried, received time.Time) (refused []Refused, err error) {
	for _, c := range all {
		id, err := registerID(ctx, tx, b.Gateway, c.key)
		if err != nil {
			return nil, err
		}
		values, err := monthValues(ctx, tx, id, c.statement)
		if err != nil {
			return nil, err
		}
		state, proof := stateGood, month.Whole(c.seed)
		if month.Root(c.seed, month.List(values)) != c.statement.Root {
			state = stateRefused
			// Of a month that the retention has reached the gateway has more than
			// may be here: it must not send that again.
			if c.statement.Month.Start.After(received.Add(-s.c.Retention)) {
				refused = append(refused, Refused{c.key.Meter, c.key.Measure, c.statement.Month.String()})
			}
			s.log.Warn("ingest: a gateway's statement is not of the half-hours stored", "gateway", b.Gateway, "register", c.key, "month", c.statement.Month, "sent_again", len(refused) > 0)
		}
		text, err := json.Marshal(proof.Text())
		if err != nil {
			return nil, err
		}
		if state == stateRefused {
			text = nil
		}
		signed, err := json.Marshal(c.signed)
		if err != nil {
			return nil, err
		}
		start := c.statement.Month.Start.Unix()
		if state == stateGood {
			if _, err := tx.ExecContext(ctx, `UPDATE month_statement SET state = $1 WHERE register = $2 AND month = $3 AND state <> $4`, stateReplaced, id, start, stateRefused); err != nil {
				return nil, err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO month_statement (register, month, batch, signed, proof, state, received) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (register, month, batch) DO NOTHING`, id, start, int64(b.Sequence), string(signed), string(text), state, received.Unix()); err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// monthValues reads a register's month as a statement speaks of it.
func monthValues(ctx context.Context, q database.Querier, register int64, st month.Statement) ([]month.Value, error) {
	m := st.Month
	out := make([]month.Value, m.HalfHours())
	first := m.Start.Unix() / daySeconds
	rows, err := q.QueryContext(ctx, `SELECT day, data FROM day WHERE register = $1 AND day >= $2 AND day < $3 ORDER BY day`,
		register, first, m.End().Unix()/daySeconds)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var data []byte
		if err := rows.Scan(&number, &data); err != nil {
			return nil, err
		}
		d, err := decodeDay(number, data)
		if err != nil {
			return nil, fmt.Errorf("ingest: register %d, day %d: %w", register, number, err)
		}
		for _, i := range d.present() {
			place := int(number-first)*perDay + i
			if v := &d.slots[i]; st.Within(m.At(place)) {
				out[place] = month.Value{Present: true, Energy: v.energy, Cumulative: v.cumulative, Quality: v.quality, Rule: v.rule}
			}
		}
	}
	return out, rows.Err()
}

// stated reads which months of a gateway's registers, among those that a batch
// touches, there is a good statement of.
func stated(b *batch.Batch, into map[[2]int64]bool) []database.Statement {
	if len(b.Series) == 0 {
		return nil
	}
	from, to := b.Series[0].First, b.Series[0].End()
	for _, s := range b.Series {
		if s.First.Before(from) {
			from = s.First
		}
		if s.End().After(to) {
			to = s.End()
		}
	}
	return []database.Statement{{SQL: `SELECT s.register, s.month FROM register r JOIN month_statement s ON s.register = r.id
		WHERE r.gateway = $1 AND s.month >= $2 AND s.month < $3 AND s.state = $4`,
		Args: []any{b.Gateway, month.Of(from).Start.Unix(), to.Unix(), stateGood},
		Row: func(scan func(...any) error) error {
			var k [2]int64
			if err := scan(&k[0], &k[1]); err != nil {
				return err
			}
			into[k] = true
			return nil
		}}}
}

// behind notes that a half-hour of a stated month has changed.
func behind(ctx context.Context, tx database.Querier, good map[[2]int64]bool, register, day int64) error {
	k := [2]int64{register, month.Of(time.Unix(day*daySeconds, 0)).Start.Unix()}
	if !good[k] {
		return nil
	}
	delete(good, k)
	_, err := tx.ExecContext(ctx, `UPDATE month_statement SET state = $1 WHERE register = $2 AND month = $3 AND state = $4`, stateBehind, k[0], k[1], stateGood)
	return err
}
