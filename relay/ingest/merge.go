package ingest

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// mergeDays is how many day rows are read, changed and written together: in two
// statements, not in two for each day, since on a database over the network it
// is the round trips that cost.
const mergeDays = 256

// merge writes a batch's half-hours into the day rows. The caller holds the
// lock of the gateway's head.
func merge(ctx context.Context, tx *sql.Tx, b *batch.Batch, received time.Time) error {
	m := &merging{tx: tx, days: map[dayKey]*loaded{}, past: map[dayKey]bool{}, now: month.Of(received)}
	var err error
	if m.good, err = stated(ctx, tx, b); err != nil {
		return err
	}
	registers, err := registersOf(ctx, tx, b.Gateway)
	if err != nil {
		return err
	}
	ids := make(map[energy.Key]int64, len(registers))
	for id, k := range registers {
		ids[k] = id
	}
	for i := range b.Series {
		s := &b.Series[i]
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		id, ok := ids[k]
		if !ok {
			if id, err = registerID(ctx, tx, b.Gateway, k); err != nil {
				return err
			}
			ids[k] = id
		}
		if err := m.plan(ctx, part{id: id, series: s, slots: slots(b, s, received)}); err != nil {
			return err
		}
	}
	if err := m.flush(ctx); err != nil {
		return err
	}
	return m.notePast(ctx, received)
}

// part is the half-hours of a series from the n-th on.
type part struct {
	id     int64
	series *batch.Series
	slots  []slot
	from   int // the first of them that belongs to the part
	upTo   int // and the one after the last
}

type dayKey struct{ register, day int64 }

type loaded struct {
	*day
	changed bool
}

// merging is the work of a batch: parts that wait until enough days of them are
// together.
type merging struct {
	tx    *sql.Tx
	good  map[[2]int64]bool // stated months; see stated
	parts []part
	wants int // days of the parts
	days  map[dayKey]*loaded
	order []dayKey
	past  map[dayKey]bool // register and first day of months that were over and have changed
	now   month.Month
}

// day of the n-th half-hour of the part's series, and its place in it.
func (p part) day(n int) (int64, int) {
	at := p.series.First.Unix()/halfHour + int64(n)
	return at / perDay, int(at % perDay)
}

// plan takes in a series, cut so that no more than mergeDays wait at a time.
func (m *merging) plan(ctx context.Context, p part) error {
	for p.from < len(p.slots) {
		first, place := p.day(p.from)
		p.upTo = min(len(p.slots), p.from+perDay*(mergeDays-m.wants)-place)
		last, _ := p.day(p.upTo - 1)
		m.parts, m.wants = append(m.parts, p), m.wants+int(last-first)+1
		if p.from = p.upTo; m.wants >= mergeDays {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush reads the days of the parts that wait, puts their half-hours in, and
// writes what has changed.
func (m *merging) flush(ctx context.Context) error {
	if len(m.parts) == 0 {
		return nil
	}
	if err := m.load(ctx); err != nil {
		return err
	}
	for _, p := range m.parts {
		var d *loaded
		for n := p.from; n < p.upTo; n++ {
			v := p.slots[n]
			withdrawn := p.series.Values[n].Quality == energy.Missing && p.series.Values[n].Rule == energy.RuleWithdrawn
			if v.batch == 0 && !withdrawn {
				continue // missing does not undo what is known: the gateway may have lost its store since
			}
			number, at := p.day(n)
			if d == nil || d.number != number {
				d = m.at(dayKey{p.id, number})
			}
			if withdrawn {
				d.changed = d.drop(at) || d.changed
			} else {
				d.changed = d.put(at, v) || d.changed
			}
		}
	}
	if err := m.write(ctx); err != nil {
		return err
	}
	m.parts, m.wants, m.order = nil, 0, nil
	clear(m.days)
	return nil
}

// at gives a day, an empty one where none is stored.
func (m *merging) at(k dayKey) *loaded {
	d := m.days[k]
	if d == nil {
		d = &loaded{day: &day{number: k.day}}
		m.days[k], m.order = d, append(m.order, k)
	}
	return d
}

func (m *merging) load(ctx context.Context) error {
	var where strings.Builder
	args := make([]any, 0, 3*len(m.parts))
	for i, p := range m.parts {
		if i > 0 {
			where.WriteString(" OR ")
		}
		n := len(args)
		fmt.Fprintf(&where, "(register = $%d AND day >= $%d AND day <= $%d)", n+1, n+2, n+3)
		first, _ := p.day(p.from)
		last, _ := p.day(p.upTo - 1)
		args = append(args, p.id, first, last)
	}
	rows, err := m.tx.QueryContext(ctx, `SELECT register, day, data FROM day WHERE `+where.String(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var data sql.RawBytes // decodeDay keeps none of it
	for rows.Next() {
		var k dayKey
		if err := rows.Scan(&k.register, &k.day, &data); err != nil {
			return err
		}
		d, err := decodeDay(k.day, data)
		if err != nil {
			return fmt.Errorf("ingest: register %d, day %d: %w", k.register, k.day, err)
		}
		m.days[k], m.order = &loaded{day: d}, append(m.order, k)
	}
	return rows.Err()
}

func (m *merging) write(ctx context.Context) error {
	var args []any
	for _, k := range m.order {
		d := m.days[k]
		if !d.changed {
			continue
		}
		if first := monthOfDay(k.day); first.Start.Before(m.now.Start) {
			m.past[dayKey{k.register, first.Start.Unix() / daySeconds}] = true
		}
		if err := behind(ctx, m.tx, m.good, k.register, k.day); err != nil {
			return err
		}
		if d.have == 0 { // of one that became empty no row stays
			if _, err := m.tx.ExecContext(ctx, `DELETE FROM day WHERE register = $1 AND day = $2`, k.register, k.day); err != nil {
				return err
			}
			continue
		}
		args = append(args, k.register, k.day, d.encode())
	}
	if len(args) == 0 {
		return nil
	}
	_, err := m.tx.ExecContext(ctx, `INSERT INTO day (register, day, data) VALUES `+rowsOf3(len(args)/3)+
		` ON CONFLICT (register, day) DO UPDATE SET data = excluded.data`, args...)
	return err
}

// notePast notes the months that were over and have changed: see Changed.
func (m *merging) notePast(ctx context.Context, received time.Time) error {
	var args []any
	insert := func() error {
		if len(args) == 0 {
			return nil
		}
		_, err := m.tx.ExecContext(ctx, `INSERT INTO month_changed (register, month, changed) VALUES `+rowsOf3(len(args)/3)+
			` ON CONFLICT (register, month) DO UPDATE SET changed = excluded.changed`, args...)
		args = args[:0]
		return err
	}
	for k := range m.past {
		if args = append(args, k.register, k.day*daySeconds, received.Unix()); len(args) >= 3*mergeDays {
			if err := insert(); err != nil {
				return err
			}
		}
	}
	return insert()
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
