package emissions

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
)

// Settled is how long after its end a half-hour's intensity may still change.
// A value that was fetched earlier is fetched once more, then frozen.
const Settled = 24 * time.Hour

// GivenUp is how long after its end a month waits for an intensity that the
// grid's operator does not have. It goes on asking once a day; but the month
// no longer counts as on its way.
const GivenUp = 14 * 24 * time.Hour

// Fetcher asks the grid's operator; *neso.Client is one.
type Fetcher interface {
	Intensity(ctx context.Context, outcode string, from, to time.Time) ([]neso.Period, error)
}

// Grid keeps the grid's carbon intensity by outcode and half-hour in the
// tables intensity and intensity_superseded.
type Grid struct {
	db    *database.DB
	fetch Fetcher
	now   func() time.Time
	log   *slog.Logger
}

// NewGrid makes a Grid over a database that has the relay's migrations. now
// and log may be nil.
func NewGrid(db *database.DB, fetch Fetcher, now func() time.Time, log *slog.Logger) *Grid {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.Default()
	}
	return &Grid{db, fetch, now, log}
}

// GridMonth is what is known of a month at an outcode.
type GridMonth struct {
	Values      []Known   // by half-hour; known means final
	Unasked     int       // half-hours that the operator has still to be asked for
	First, Last time.Time // fetch times of the final values
	Hash        string    // SHA-256 of the final values and their fetch times
}

// Month reads a month from the cache; it asks nobody.
func (g *Grid) Month(ctx context.Context, outcode string, m Month) (GridMonth, error) {
	rows, err := g.rows(ctx, outcode, m.Start(), m.End())
	if err != nil {
		return GridMonth{}, err
	}
	out := GridMonth{Values: make([]Known, m.HalfHours())}
	h := sha256.New()
	for i := range out.Values {
		at := m.Start().Add(time.Duration(i) * energy.Period)
		r, ok := rows[at.Unix()]
		if !ok || !r.frozen {
			if !ok || r.value.Valid {
				out.Unasked++
			}
			continue
		}
		out.Values[i] = Known{r.value.Int64, true}
		t := time.Unix(r.fetched, 0).UTC()
		if out.First.IsZero() || t.Before(out.First) {
			out.First = t
		}
		if t.After(out.Last) {
			out.Last = t
		}
		fmt.Fprintf(h, "%s %d %s\n", at.Format(time.RFC3339), r.value.Int64, t.Format(time.RFC3339))
	}
	out.Hash = hex.EncodeToString(h.Sum(nil))
	return out, nil
}

// Fill asks the operator for what is missing or due of [from, to), and stores
// it. What lies in the future is left alone.
func (g *Grid) Fill(ctx context.Context, outcode string, from, to time.Time) error {
	rows, err := g.rows(ctx, outcode, from, to)
	if err != nil {
		return err
	}
	now := g.now()
	for _, s := range due(rows, from, to, now) {
		periods, err := g.fetch.Intensity(ctx, outcode, s.from, s.to)
		if neso.UnknownOutcode(err) {
			g.log.Warn("no carbon intensity: the grid operator knows no such outcode", "outcode", outcode)
			periods, err = nil, nil
		}
		if err != nil {
			return err
		}
		if err := g.store(ctx, outcode, s, periods, rows, now); err != nil {
			return fmt.Errorf("carbon intensity of %s: %w", outcode, err)
		}
	}
	return nil
}

type gridRow struct {
	value   sql.NullInt64
	fetched int64
	frozen  bool
}

func (g *Grid) rows(ctx context.Context, outcode string, from, to time.Time) (map[int64]gridRow, error) {
	fail := func(err error) (map[int64]gridRow, error) {
		return nil, fmt.Errorf("carbon intensity of %s: %w", outcode, err)
	}
	rows, err := g.db.QueryContext(ctx, `SELECT start, gco2, fetched_at, frozen FROM intensity WHERE outcode = $1 AND start >= $2 AND start < $3`,
		outcode, from.Unix(), to.Unix())
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	out := map[int64]gridRow{}
	for rows.Next() {
		var at int64
		var r gridRow
		if err := rows.Scan(&at, &r.value, &r.fetched, &r.frozen); err != nil {
			return fail(err)
		}
		out[at] = r
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return out, nil
}

type span struct{ from, to time.Time }

// due lists the spans of [from, to) to ask for: half-hours that have ended and
// were never asked for, are provisional and a day old, or had no value when
// asked more than a day ago. Spans that lie close together are joined: one
// request costs the operator less than two.
func due(rows map[int64]gridRow, from, to, now time.Time) []span {
	const join = 24 * time.Hour
	var out []span
	for at := from.Truncate(energy.Period); at.Before(to); at = at.Add(energy.Period) {
		end := at.Add(energy.Period)
		if end.After(now) {
			break
		}
		r, ok := rows[at.Unix()]
		settled := !now.Before(end.Add(Settled))
		switch fetched := time.Unix(r.fetched, 0); {
		case !ok:
		case r.frozen:
			continue
		case r.value.Valid && !settled:
			continue
		case !r.value.Valid && now.Before(fetched.Add(Settled)):
			continue
		}
		if n := len(out); n > 0 && at.Sub(out[n-1].to) <= join {
			out[n-1].to = end
		} else {
			out = append(out, span{at, end})
		}
	}
	return out
}

// store writes what an answer says of a span. A frozen row never changes.
func (g *Grid) store(ctx context.Context, outcode string, s span, periods []neso.Period, rows map[int64]gridRow, now time.Time) error {
	got := map[int64]int64{}
	for _, p := range periods {
		got[p.Start.Unix()] = p.GCO2
	}
	return g.db.Write(ctx, func(tx *sql.Tx) error {
		put, err := tx.PrepareContext(ctx, `INSERT INTO intensity (outcode, start, gco2, fetched_at, frozen) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (outcode, start) DO UPDATE SET gco2 = excluded.gco2, fetched_at = excluded.fetched_at, frozen = excluded.frozen
			WHERE NOT intensity.frozen`)
		if err != nil {
			return err
		}
		defer put.Close()
		for at := s.from; at.Before(s.to); at = at.Add(energy.Period) {
			old, had := rows[at.Unix()]
			if had && old.frozen {
				continue
			}
			next := gridRow{fetched: now.Unix()}
			next.value.Int64, next.value.Valid = got[at.Unix()], false
			_, next.value.Valid = got[at.Unix()]
			if had && old.value.Valid && !next.value.Valid {
				next = old // the operator had a value and lost it: keep the one it gave
			}
			next.frozen = next.value.Valid && !now.Before(at.Add(energy.Period+Settled))
			if _, err := put.ExecContext(ctx, outcode, at.Unix(), next.value, next.fetched, next.frozen); err != nil {
				return err
			}
			if had && old.value.Valid && old.value != next.value {
				_, err := tx.ExecContext(ctx, `INSERT INTO intensity_superseded (outcode, start, gco2, fetched_at) VALUES ($1, $2, $3, $4)
					ON CONFLICT DO NOTHING`, outcode, at.Unix(), old.value, old.fetched)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}
