package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// dayList is rows of days in columns, as PostgreSQL takes them: one statement
// of a text that never changes, whatever their number.
type dayList struct {
	registers, days []int64
	data            [][]byte
}

func (l *dayList) add(k dayKey, data []byte) {
	l.registers, l.days, l.data = append(l.registers, k.register), append(l.days, k.day), append(l.data, data)
}

// args are the rows one after the other, as SQLite takes them.
func (l *dayList) args() []any {
	out := make([]any, 0, 3*len(l.days))
	for i := range l.days {
		out = append(out, l.registers[i], l.days[i], l.data[i])
	}
	return out
}

// readDays are the statements that read the stored days of parts, a day once or
// more.
func readDays(on database.Dialect, gateway string, parts []part, row func(scan func(...any) error) error) []database.Statement {
	if on != database.PostgreSQL {
		out := make([]database.Statement, len(parts))
		for i, p := range parts {
			first, last := p.days()
			out[i] = database.Statement{SQL: `SELECT d.register, d.day, d.data FROM register r JOIN day d ON d.register = r.id
				WHERE r.gateway = $1 AND r.meter = $2 AND r.measure = $3 AND d.day >= $4 AND d.day <= $5`,
				Args: []any{gateway, p.key.Meter, int64(p.key.Measure), first, last}, Row: row}
		}
		return out
	}
	var meters []string
	var measures, firsts, lasts []int64
	for _, p := range parts {
		first, last := p.days()
		meters, measures = append(meters, p.key.Meter), append(measures, int64(p.key.Measure))
		firsts, lasts = append(firsts, first), append(lasts, last)
	}
	return []database.Statement{{SQL: `SELECT d.register, d.day, d.data FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS p (meter, measure, first, last)
		JOIN register r ON r.gateway = $1 AND r.meter = p.meter AND r.measure = p.measure
		JOIN day d ON d.register = r.id AND d.day >= p.first AND d.day <= p.last`,
		Args: []any{gateway, meters, measures, firsts, lasts}, Row: row}}
}

// writeDays are the statements that store days of which there was no row, days
// of which there was one, and those of which none stays.
func writeDays(on database.Dialect, fresh, changed, empty dayList) (out []database.Statement) {
	for i := range empty.days {
		out = append(out, database.Statement{SQL: `DELETE FROM day WHERE register = $1 AND day = $2`, Args: []any{empty.registers[i], empty.days[i]}})
	}
	if on != database.PostgreSQL {
		for _, l := range []dayList{fresh, changed} {
			if n := len(l.days); n > 0 {
				out = append(out, database.Statement{SQL: `INSERT INTO day (register, day, data) VALUES ` + rowsOf3(n) +
					` ON CONFLICT (register, day) DO UPDATE SET data = excluded.data`, Args: l.args()})
			}
		}
		return out
	}
	if len(fresh.days) > 0 { // under the lock nobody else makes them: no conflict has to be looked for
		out = append(out, database.Statement{SQL: `INSERT INTO day (register, day, data) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])`,
			Args: []any{fresh.registers, fresh.days, fresh.data}})
	}
	if len(changed.days) > 0 {
		out = append(out, database.Statement{SQL: `UPDATE day SET data = n.data FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS n (register, day, data)
			WHERE day.register = n.register AND day.day = n.day`, Args: []any{changed.registers, changed.days, changed.data}})
	}
	return out
}

// notePast are the statements that note the months that were over and have
// changed, by register and first day: see Changed.
func notePast(on database.Dialect, past map[dayKey]bool, received time.Time) (out []database.Statement) {
	var l dayList
	var args []any
	for k := range past {
		l.add(dayKey{k.register, k.day * daySeconds}, nil)
		args = append(args, k.register, k.day*daySeconds, received.Unix())
	}
	const then = ` ON CONFLICT (register, month) DO UPDATE SET changed = excluded.changed`
	if on == database.PostgreSQL && len(past) > 0 {
		return []database.Statement{{SQL: `INSERT INTO month_changed (register, month, changed) SELECT r, m, $3::bigint FROM unnest($1::bigint[], $2::bigint[]) AS p (r, m)` + then,
			Args: []any{l.registers, l.days, received.Unix()}}}
	}
	for some := range slices.Chunk(args, 3*mergeDays) {
		out = append(out, database.Statement{SQL: `INSERT INTO month_changed (register, month, changed) VALUES ` + rowsOf3(len(some)/3) + then, Args: some})
	}
	return out
}

// rowsOf3 is "($1, $2, $3), ($4, $5, $6)" for n rows.
func rowsOf3(n int) string {
	b := make([]byte, 0, n*20)
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		for j := range 3 {
			if j == 0 {
				b = append(b, "($"...)
			} else {
				b = append(b, ", $"...)
			}
			b = strconv.AppendInt(b, int64(3*i+j+1), 10)
		}
		b = append(b, ')')
	}
	return string(b)
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
