package hhfile

import (
	"errors"

	"github.com/perseus-edge/perseus-edge/energy"
)

// reading is a row of the layout with a row per reading.
type reading struct {
	at    civil
	label civil // as the file has it
	cell  cell
	ok    bool // the row has a value
}

// parseReadings reads the layout with a row per reading.
func parseReadings(h *heads, rows []row, o Options) (*File, error) {
	b := newBuilder(o, LayoutReadings, o.Label)
	if h.id < 0 {
		return nil, errors.New("the headings name no meter: add a column MPAN, MPR or ID")
	}
	var order []energy.Key
	byKey := map[energy.Key][]reading{}
	for _, r := range rows {
		k, x, ok := b.reading(h, r)
		if !ok {
			continue
		}
		if _, known := byKey[k]; !known {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], x)
	}
	if b.file.Label == Auto && len(order) > 0 {
		label, sure := labelOf(byKey)
		if label == Auto {
			return nil, errors.New("the file does not tell whether its times name the start or the end of their half-hours (no meter's readings run from 00:00 to 23:30, or from 00:30 to 00:00): say so with the label option, start or end")
		}
		if !sure {
			b.problem(0, "times are taken to name the end of their half-hours: the readings begin at 00:30, but no full day proves it")
		}
		b.file.Label = label
	}
	for _, k := range order {
		b.readings(k, byKey[k])
	}
	return b.done(), nil
}

// reading takes one row.
func (b *builder) reading(h *heads, r row) (k energy.Key, x reading, ok bool) {
	if len(r.fields) <= max(h.when, h.value) {
		b.problem(r.line, "this is no row of readings (%q): left out", r.field(0))
		return k, x, false
	}
	when := r.field(h.when)
	if h.clock >= 0 && h.clock != h.when && h.when == h.date {
		when += " " + r.field(h.clock)
	}
	at, err := parseCivil(when)
	if err != nil {
		b.problem(r.line, "%v: row left out", err)
		return k, x, false
	}
	id, ok := b.identity(h, r)
	if !ok {
		return k, x, false
	}
	m, power, ok := b.measureOf(h, r)
	if !ok {
		return k, x, false
	}
	k = energy.Key{Meter: id, Measure: m}
	x = reading{at: at.plus(0), label: at}
	if a, has := b.read(r.field(h.value), power, r.line, k.String()); has {
		x.ok, x.cell = true, cell{amount: a, quality: b.mark(r.field(h.mark), r.line), line: r.line}
	}
	return k, x, true
}

// labelOf finds out what the times of a file name. A meter whose readings run
// from 00:00 to 23:30 has times of starts; one from 00:30 to 00:00 times of
// ends. sure is false where a meter only begins at 00:30 and nothing speaks
// against ends, which most senders use. Auto: the file does not tell.
func labelOf(byKey map[energy.Key][]reading) (l Label, sure bool) {
	var starts, ends, perhapsStarts, perhapsEnds int
	for _, rs := range byKey {
		first, last := rs[0].at, rs[0].at
		for _, r := range rs {
			if r.at.before(first) {
				first = r.at
			}
			if last.before(r.at) {
				last = r.at
			}
		}
		if first == last {
			continue // a single reading fits either
		}
		switch {
		case first.slot == 0 && last.slot == 47:
			starts++
		case first.slot == 1 && last.slot == 0:
			ends++
		case first.slot == 0 || last.slot == 47:
			perhapsStarts++
		case first.slot == 1 || last.slot == 0:
			perhapsEnds++
		}
	}
	switch {
	case starts > 0 && ends == 0:
		return Start, true
	case ends > 0 && starts == 0:
		return End, true
	case starts == 0 && perhapsEnds > 0 && perhapsStarts == 0:
		return End, false
	}
	return Auto, false
}

// readings puts the readings of one register in their places, day by day.
func (b *builder) readings(k energy.Key, rs []reading) {
	days := map[string][]reading{}
	var order []string
	for _, r := range rs {
		if b.file.Label == End {
			r.at = r.at.plus(-1)
		}
		d := r.at.date()
		if _, known := days[d]; !known {
			order = append(order, d)
		}
		days[d] = append(days[d], r)
	}
	for _, d := range order {
		b.readingsOfDay(k, days[d])
	}
}

// readingsOfDay places the readings of one day: by the clock, or in the order
// of the file where the clocks change and there are just as many as half-hours.
func (b *builder) readingsOfDay(k energy.Key, rs []reading) {
	at := rs[0].at
	day := energy.DayIn(b.loc, at.year, at.month, at.day)
	n := day.Periods()
	if n != 48 && len(rs) == n {
		if rs[n-1].at.before(rs[0].at) {
			for i, j := 0, n-1; i < j; i, j = i+1, j-1 {
				rs[i], rs[j] = rs[j], rs[i]
			}
		}
		for i, r := range rs {
			if r.ok {
				b.add(k, day.Start(i+1), r.cell)
			}
		}
		return
	}
	if n != 48 {
		b.problem(rs[0].cell.line, "%s: %s has %d half-hours and the file gives %d: taken by the clock, an hour that came twice as its first pass", k, day, n, len(rs))
	}
	for _, r := range rs {
		if !r.ok {
			continue
		}
		start, ok := b.onClock(r.at)
		c := r.cell
		if !ok && b.file.Label == End {
			// Where the clocks go forward, 02:00 can stand for the end of the half-hour from 00:30.
			if start, ok = b.onClock(r.label); ok {
				start, c.weak = start.Add(-energy.Period), true
			}
		}
		if !ok {
			b.problem(c.line, "%s: the clock skipped this half-hour of %s: left out", k, day)
			continue
		}
		b.add(k, start, c)
	}
}
