package hhfile

import (
	"errors"
	"slices"
	"time"

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
	if n == 48 {
		for _, r := range rs {
			b.readingAt(k, day, r, day.Start(r.at.slot+1))
		}
		return
	}
	if rs[len(rs)-1].at.before(rs[0].at) {
		slices.Reverse(rs)
	}
	names := b.namesOf(day, rs)
	rows := map[civil]int{}
	for _, r := range rs {
		rows[r.label]++
	}
	ordered := len(rs) == n
	for label, times := range rows {
		ordered = ordered && times <= max(1, len(names[label]))
	}
	if !ordered {
		b.problem(rs[0].cell.line, "%s: %s has %d half-hours and the file gives %d: taken by the clock, an hour that came twice in the order of its rows, or as its first pass", k, day, n, len(rs))
	}
	clear(rows)
	for i, r := range rs {
		starts := names[r.label]
		pass := rows[r.label]
		rows[r.label]++
		switch {
		case ordered:
			b.readingAt(k, day, r, day.Start(i+1))
		case len(starts) > 0:
			b.readingAt(k, day, r, starts[pass%len(starts)])
		default:
			b.readingAt(k, day, r, time.Time{})
		}
	}
}

// readingAt puts a reading in its place; zero: the clock never showed its time.
func (b *builder) readingAt(k energy.Key, day energy.Day, r reading, start time.Time) {
	if !r.ok {
		return
	}
	c := r.cell
	if start.IsZero() && b.file.Label == End {
		// Where the clocks go forward, 02:00 can stand for the end of the half-hour from 00:30.
		if next, ok := b.onClock(r.label); ok {
			start, c.weak = next.Add(-energy.Period), true
		}
	}
	if start.IsZero() {
		b.problem(c.line, "%s: the clock skipped this half-hour of %s: left out", k, day)
		return
	}
	b.add(k, start, c)
}

// namesOf gives the half-hours that each label of a day can mean. Where the clocks
// go back, the end of a half-hour is called as the clock shows it then, or half an
// hour after the start was called: a label that comes twice tells which.
func (b *builder) namesOf(day energy.Day, rs []reading) map[civil][]time.Time {
	first, second := map[civil][]time.Time{}, map[civil][]time.Time{}
	for n := range day.Periods() {
		start := day.Start(n + 1)
		name, end := b.civilOf(start), b.civilOf(start.Add(energy.Period))
		if b.file.Label == End {
			name = name.plus(1)
		} else {
			end = name
		}
		first[name] = append(first[name], start)
		second[end] = append(second[end], start)
	}
	rows := map[civil]int{}
	for i := range rs {
		rs[i].label = rs[i].label.plus(0)
		rows[rs[i].label]++
	}
	for label, times := range rows {
		if times > 1 && len(first[label]) < 2 && len(second[label]) > 1 {
			return second
		}
	}
	return first
}

// civilOf is what the clock shows.
func (b *builder) civilOf(t time.Time) civil {
	l := t.In(b.loc)
	c := civil{slot: l.Hour()*2 + l.Minute()/30}
	c.year, c.month, c.day = l.Date()
	return c
}
