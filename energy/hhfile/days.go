package hhfile

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// parseDays reads the layouts with a row per day.
func parseDays(h *heads, rows []row, o Options) (*File, error) {
	layout, label := LayoutDays, Start
	switch {
	case h.headless:
		layout = LayoutBare
	case h.numbered:
		layout = LayoutNumbers
	default:
		var err error
		if label, err = h.byTime(o.Label); err != nil {
			return nil, err
		}
	}
	b := newBuilder(o, layout, label)
	if h.id < 0 {
		return nil, fmt.Errorf("the headings name no meter: add a column MPAN, Meter Number or ID")
	}
	for _, r := range rows {
		if h.date >= len(r.fields) || len(r.fields) < 3 {
			b.problem(r.line, "this is no row of readings (%q): left out", r.field(0))
			continue
		}
		b.day(h, r)
	}
	return b.done(), nil
}

// byTime turns the times of the headings into slots of the day (0: the
// half-hour from 00:00): by the label that was asked for, else by the first
// column, which is 00:00 where times name starts and 00:30 where they name ends.
func (h *heads) byTime(asked Label) (Label, error) {
	label, first := asked, h.slots[0].slot
	for i := 1; i < len(h.slots); i++ {
		if at := &h.slots[i]; at.slot == 0 && h.slots[i-1].slot == 47 {
			at.slot = 48 // 00:00 in the last column is midnight at the day's end
		}
		if h.slots[i].slot != h.slots[i-1].slot+1 {
			return 0, fmt.Errorf("the columns named by time are not one half-hour after another (column %d)", h.slots[i].column+1)
		}
	}
	switch {
	case label != Auto:
	case first == 0:
		label = Start
	case first == 1:
		label = End
	default:
		return 0, fmt.Errorf("the first column named by time is neither 00:00 nor 00:30: say whether times name the start or the end of their half-hours (label start or end)")
	}
	if label == End {
		for i := range h.slots {
			h.slots[i].slot--
		}
	}
	return label, nil
}

// day takes one row.
func (b *builder) day(h *heads, r row) {
	date, err := parseDate(r.field(h.date))
	if err != nil {
		b.problem(r.line, "%v: row left out", err)
		return
	}
	id, ok := b.identity(h, r)
	if !ok {
		return
	}
	m, power, ok := b.measureOf(h, r)
	if !ok {
		return
	}
	if len(r.fields) <= h.slots[0].column+45 {
		b.problem(r.line, "the row ends after %d of its columns: what is not there is missing", len(r.fields))
	}
	b.columns(h, r, date, h.slots, energy.Key{Meter: id, Measure: m}, power)
	b.columns(h, r, date, h.reactive, energy.Key{Meter: id, Measure: energy.ReactiveImport}, 0)
}

// columns takes the values of one row and measure.
func (b *builder) columns(h *heads, r row, date civil, columns []slotColumn, k energy.Key, power int) {
	filled := map[int]bool{}
	last := 0
	for _, c := range columns {
		if c.column < len(r.fields) {
			last = c.slot
		}
		if r.field(c.column) != "" {
			filled[c.slot] = true
		}
	}
	if len(filled) == 0 {
		return
	}
	place := b.places(date, filled, h.numbered && last >= 48, r.line)
	for _, c := range columns {
		if !filled[c.slot] {
			continue
		}
		where := fmt.Sprintf("%s, column %d", k, c.column+1)
		a, ok := b.read(r.field(c.column), power, r.line, where)
		if !ok {
			continue
		}
		start, ok := place(c.slot)
		if !ok {
			b.problem(r.line, "%s: %s has no such half-hour: %s is left out", where, date.date(), r.field(c.column))
			continue
		}
		flag := r.field(h.mark)
		if col, has := h.marks[c.slot]; has {
			flag = r.field(col)
		}
		b.add(k, start, cell{amount: a, quality: b.mark(flag, r.line), line: r.line})
	}
}

// places says when the slots of a day's row start. On a day of 48 half-hours
// slot n is the n-th. Where the clocks change it depends on the file:
//
//   - columns for 50 periods are settlement periods, in order;
//   - 48 columns on a day of 46: in order where the last two are empty and those
//     of the skipped hour are not, else by the clock, where that hour is not;
//   - 48 columns on a day of 50: by the clock; the hour that comes twice is
//     taken as its first pass, and the second is not in the file.
func (b *builder) places(date civil, filled map[int]bool, settlement bool, line int) func(slot int) (time.Time, bool) {
	day := energy.DayIn(b.loc, date.year, date.month, date.day)
	n := day.Periods()
	inOrder := func(slot int) (time.Time, bool) {
		if slot < 0 || slot >= n {
			return time.Time{}, false
		}
		return day.Start(slot + 1), true
	}
	byClock := func(slot int) (time.Time, bool) { return b.onClock(date.plus(slot)) }
	if settlement {
		return inOrder
	}
	if n < 48 {
		ordered := false
		for slot := range 48 {
			if _, exists := byClock(slot); !exists && filled[slot] {
				ordered = true
			}
		}
		for slot := range filled {
			ordered = ordered && slot >= 0 && slot < n
		}
		if ordered {
			b.problem(line, "%s has %d half-hours and the row's last columns are empty: its values are taken in order", day, n)
			return inOrder
		}
		b.problem(line, "%s has %d half-hours and the row has columns for 48: taken by the clock, without the hour that was skipped", day, n)
	}
	if n > 48 {
		b.problem(line, "%s has %d half-hours and the row gives 48: the hour that came twice is taken as the first pass, the second is missing", day, n)
	}
	return byClock
}

// onClock gives when a civil half-hour starts: the first time where the clock
// shows it twice; ok is false where it never does.
func (b *builder) onClock(c civil) (time.Time, bool) {
	day := energy.DayIn(b.loc, c.year, c.month, c.day)
	if day.Periods() == 48 {
		return day.Start(c.slot + 1), true
	}
	for n := range day.Periods() {
		start := day.Start(n + 1)
		if l := start.In(b.loc); l.Hour()*2+l.Minute()/30 == c.slot && l.Minute()%30 == 0 {
			return start, true
		}
	}
	return time.Time{}, false
}
