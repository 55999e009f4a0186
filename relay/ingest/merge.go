package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// mergeDays is how many day rows are read, changed and written together: not
// each by itself, since on a database over the network it is the round trips
// that cost. As many take 2 MiB of memory; the batch of a gateway that catches
// up has 1,240.
const mergeDays = 1024

// part is a piece of a series: the half-hours of Values[from:upTo].
type part struct {
	key        energy.Key
	series     *batch.Series
	from, upTo int
}

// day of the n-th half-hour of the part's series, and its place in it.
func (p part) day(n int) (int64, int) {
	at := p.series.First.Unix()/halfHour + int64(n)
	return at / perDay, int(at % perDay)
}

// days are the first and the last day of the part.
func (p part) days() (first, last int64) {
	first, _ = p.day(p.from)
	last, _ = p.day(p.upTo - 1)
	return first, last
}

// cut divides a batch's half-hours so that no more than mergeDays days are
// worked on at a time.
func cut(b *batch.Batch) (out [][]part) {
	var now []part
	wants := 0
	for i := range b.Series {
		s := &b.Series[i]
		p := part{key: energy.Key{Meter: s.Meter, Measure: s.Measure}, series: s}
		for p.from < len(s.Values) {
			first, place := p.day(p.from)
			p.upTo = min(len(s.Values), p.from+perDay*(mergeDays-wants)-place)
			last, _ := p.day(p.upTo - 1)
			now, wants = append(now, p), wants+int(last-first)+1
			if p.from = p.upTo; wants >= mergeDays {
				out, now, wants = append(out, now), nil, 0
			}
		}
	}
	if len(now) > 0 {
		out = append(out, now)
	}
	return out
}

type dayKey struct{ register, day int64 }

type loaded struct {
	*day
	stored  bool // there is a row
	changed bool
}

// merging is the work of putting a batch's half-hours into the day rows. The
// caller holds the lock of the gateway's head.
type merging struct {
	tx       *database.Tx
	batch    *batch.Batch
	received time.Time
	now      month.Month // that it was received in

	ids  map[energy.Key]int64 // registers of the gateway
	good map[[2]int64]bool    // stated months; see stated
	past map[dayKey]bool      // register and first day of months that were over and have changed

	days    map[dayKey]*loaded
	order   []dayKey
	waiting []database.Statement // written with the next that are sent
}

func newMerging(tx *database.Tx, b *batch.Batch, received time.Time) *merging {
	return &merging{tx: tx, batch: b, received: received, now: month.Of(received),
		ids: map[energy.Key]int64{}, good: map[[2]int64]bool{}, past: map[dayKey]bool{}, days: map[dayKey]*loaded{}}
}

// known are the statements that read what a batch's gateway has: its registers,
// and which of its months are stated.
func (m *merging) known() []database.Statement {
	return append(stated(m.batch, m.good), registersOf(m.batch.Gateway, func(id int64, k energy.Key) { m.ids[k] = id }))
}

// put puts the half-hours of parts, whose days were read, into these, and has
// what changed wait to be written.
func (m *merging) put(ctx context.Context, parts []part) error {
	for _, p := range parts {
		id, ok := m.ids[p.key]
		if !ok {
			var err error
			if id, err = registerID(ctx, m.tx, m.batch.Gateway, p.key); err != nil {
				return err
			}
			m.ids[p.key] = id
		}
		var d *loaded
		all := slots(m.batch, p.series, m.received)
		for n := p.from; n < p.upTo; n++ {
			v := p.series.Values[n]
			withdrawn := v.Quality == energy.Missing && v.Rule == energy.RuleWithdrawn
			if v.Quality == energy.Missing && !withdrawn {
				continue // missing does not undo what is known: the gateway may have lost its store since
			}
			number, at := p.day(n)
			if d == nil || d.number != number {
				d = m.at(dayKey{id, number})
			}
			if withdrawn {
				d.changed = d.drop(at) || d.changed
			} else {
				d.changed = d.put(at, all[n]) || d.changed
			}
		}
	}
	if err := m.write(ctx); err != nil {
		return err
	}
	m.order = m.order[:0]
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

// took takes in a stored day. Parts that meet in one read it twice.
func (m *merging) took(scan func(...any) error) error {
	var k dayKey
	var data []byte
	if err := scan(&k.register, &k.day, &data); err != nil || m.days[k] != nil {
		return err
	}
	d, err := decodeDay(k.day, data)
	if err != nil {
		return fmt.Errorf("ingest: register %d, day %d: %w", k.register, k.day, err)
	}
	m.days[k], m.order = &loaded{day: d, stored: true}, append(m.order, k)
	return nil
}

func (m *merging) write(ctx context.Context) error {
	var fresh, changed, empty dayList
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
		switch {
		case d.have == 0: // of one that became empty no row stays
			empty.add(k, nil)
		case d.stored:
			changed.add(k, d.encode())
		default:
			fresh.add(k, d.encode())
		}
	}
	m.waiting = append(m.waiting, writeDays(m.tx.Dialect, fresh, changed, empty)...)
	return nil
}

// flush writes what waits, and more in the same round trip.
func (m *merging) flush(more ...database.Statement) error {
	all := append(m.waiting, more...)
	m.waiting = nil
	return m.tx.Together(all...)
}

// finish writes what waits and the last of all, and commits.
func (m *merging) finish(last ...database.Statement) error {
	return m.tx.Finish(append(m.waiting, last...)...)
}
