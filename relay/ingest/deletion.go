package ingest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// Reason is why something was deleted.
type Reason string

// The reasons.
const (
	Withdrawal Reason = "withdrawal" // no live permission covers it
	Retention  Reason = "retention"  // it was kept as long as it may be
	Expiry     Reason = "expiry"     // the permission that covered it ran out, see KeepExpired
	Renewal    Reason = "renewal"    // the permission that covered it was renewed for less
)

// Deletion is what one deletion did: it is kept for ever, as the proof that
// what had to go is gone. It says of when the half-hours were, not what they
// were.
type Deletion struct {
	ID        string
	Gateway   string
	Reason    Reason
	Started   time.Time
	Finished  time.Time // zero: it is under way, or was broken off and the next one closes it
	Collected time.Time // retention: what was collected before this instant went; else zero
	HalfHours int64
	Bodies    int64           // signed batches whose body went; their hashes stay
	First     time.Time       // start of the first half-hour that went; zero: none
	Last      time.Time       // and of the last
	Record    json.RawMessage // the relay's signed word for it, a provenance record; nil: not signed
}

func (d *Deletion) count(start time.Time) {
	d.HalfHours++
	if d.First.IsZero() || start.Before(d.First) {
		d.First = start
	}
	if start.After(d.Last) {
		d.Last = start
	}
}

func (d *Deletion) add(o Deletion) {
	d.HalfHours += o.HalfHours
	d.Bodies += o.Bodies
	if d.First.IsZero() || !o.First.IsZero() && o.First.Before(d.First) {
		d.First = o.First
	}
	if o.Last.After(d.Last) {
		d.Last = o.Last
	}
}

// note counts in, within the transaction that deletes.
func (d *deletion) note(ctx context.Context, tx *sql.Tx, gone Deletion) error {
	if d.ID == "" {
		d.ID, d.Started = rand.Text(), d.s.now().Truncate(time.Second)
	}
	sum := d.Deletion
	sum.add(gone)
	_, err := tx.ExecContext(ctx, `INSERT INTO deletion (id, gateway, reason, started, collected, half_hours, bodies, first, last)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET half_hours = excluded.half_hours, bodies = excluded.bodies, first = excluded.first, last = excluded.last`,
		sum.ID, sum.Gateway, string(sum.Reason), sum.Started.Unix(), unix(sum.Collected), sum.HalfHours, sum.Bodies, unix(sum.First), unix(sum.Last))
	return err
}

// finish closes the log's row, with the relay's signature where it gives one;
// and with it those of earlier deletions that were broken off: what they were
// about is gone now, and what went by them is proved too. Another process that
// is at work on one closes it once more, with what it has counted. A deletion
// that found nothing leaves no row.
func (d *deletion) finish(ctx context.Context) error {
	open, err := d.s.deletions(ctx, `gateway = $1 AND reason = $2 AND (finished = 0 OR id = $3)`, d.Gateway, string(d.Reason), d.ID)
	for _, o := range open {
		if err == nil {
			err = d.s.closed(ctx, o)
		}
	}
	return err
}

func (s *Service) closed(ctx context.Context, d Deletion) (err error) {
	d.Finished = s.now().Truncate(time.Second)
	if s.c.Attest != nil {
		if d.Record, err = s.c.Attest(d); err != nil {
			return fmt.Errorf("signing for the deletion: %w", err)
		}
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deletion SET finished = $1, record = $2 WHERE id = $3`, d.Finished.Unix(), string(d.Record), d.ID)
		return err
	})
	if err == nil {
		s.log.Info("ingest: deleted", "deletion", d.ID, "gateway", d.Gateway, "reason", string(d.Reason), "half_hours", d.HalfHours, "batches", d.Bodies)
	}
	return err
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// Deletions lists what was deleted, the oldest first; of one gateway, or of all
// where gateway is empty.
func (s *Service) Deletions(ctx context.Context, gateway string) ([]Deletion, error) {
	return s.deletions(ctx, `gateway = $1 OR $1 = ''`, gateway)
}

func (s *Service) deletions(ctx context.Context, where string, args ...any) ([]Deletion, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, gateway, reason, started, finished, collected, half_hours, bodies, first, last, record
		FROM deletion WHERE `+where+` ORDER BY started, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("ingest: deletions: %w", err)
	}
	defer rows.Close()
	var out []Deletion
	for rows.Next() {
		var d Deletion
		var reason, record string
		var started, finished, collected, first, last int64
		if err := rows.Scan(&d.ID, &d.Gateway, &reason, &started, &finished, &collected, &d.HalfHours, &d.Bodies, &first, &last, &record); err != nil {
			return nil, fmt.Errorf("ingest: deletions: %w", err)
		}
		d.Reason, d.Started, d.Finished, d.Collected = Reason(reason), fromUnix(started), fromUnix(finished), fromUnix(collected)
		d.First, d.Last = fromUnix(first), fromUnix(last)
		if record != "" {
			d.Record = json.RawMessage(record)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

func monthOfDay(number int64) month.Month { return month.Of(time.Unix(number*daySeconds, 0)) }

// closeStatements closes, in the statements of a register's month, every
// half-hour but those that are kept, for ever: the seeds that opened the others
// are forgotten with them, so that not even the relay could try guesses against
// the hashes that stay. Statements of half-hours that are not here any more are
// closed whole.
func closeStatements(ctx context.Context, tx *sql.Tx, register int64, m month.Month, kept map[int]bool) error {
	type row struct {
		batch                int64
		signed, proof, state string
	}
	rows, err := tx.QueryContext(ctx, `SELECT batch, signed, proof, state FROM month_statement WHERE register = $1 AND month = $2 AND proof <> ''`, register, m.Start.Unix())
	if err != nil {
		return err
	}
	var all []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.batch, &r.signed, &r.proof, &r.state); err != nil {
			rows.Close()
			return err
		}
		all = append(all, r)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, r := range all {
		text := ""
		if r.state == stateGood && len(kept) > 0 {
			_, st, proof, err := readStatement(r.signed, r.proof)
			if err != nil {
				return err
			}
			values, err := monthValues(ctx, tx, register, st)
			if err != nil {
				return err
			}
			b, err := json.Marshal(proof.Narrow(func(place int) bool { return kept[place] }, month.List(values)).Text())
			if err != nil {
				return err
			}
			text = string(b)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE month_statement SET proof = $1 WHERE register = $2 AND month = $3 AND batch = $4`, text, register, m.Start.Unix(), r.batch); err != nil {
			return err
		}
	}
	return nil
}
