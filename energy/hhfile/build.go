package hhfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// maxProblems is how many problems are told one by one.
const maxProblems = 100

// builder collects what a layout finds, in whatever order the file has it.
type builder struct {
	opts     Options
	loc      *time.Location
	file     *File
	series   map[energy.Key]map[int64]cell // by start, Unix seconds
	once     map[string]bool               // problems that are told once
	dropped  int                           // problems beyond maxProblems
	unmarked bool                          // some value came without a mark of actual or estimated
}

// cell is one half-hour's value as the file gives it.
type cell struct {
	amount  amount
	quality energy.Quality
	line    int
	weak    bool // another line for the same half-hour is the better one
}

func newBuilder(o Options, layout string, label Label) *builder {
	b := &builder{
		opts: o, loc: o.Location, file: &File{Layout: layout, Label: label},
		series: map[energy.Key]map[int64]cell{}, once: map[string]bool{},
	}
	if b.loc == nil {
		b.loc = energy.London()
	}
	return b
}

func (b *builder) problem(line int, format string, args ...any) {
	if len(b.file.Problems) >= maxProblems {
		b.dropped++
		return
	}
	b.file.Problems = append(b.file.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

// problemOnce tells a problem the first time that key comes up.
func (b *builder) problemOnce(key string, line int, format string, args ...any) {
	if !b.once[key] {
		b.once[key] = true
		b.problem(line, format, args...)
	}
}

// read takes one value of the file. Empty is absent, never zero; what cannot
// be is a problem, and absent. power is that of measureOf. ok is false where
// there is no value.
func (b *builder) read(raw string, power, line int, where string) (a amount, ok bool) {
	raw = strings.TrimSpace(raw)
	if raw == "" || strings.EqualFold(raw, "null") {
		return 0, false
	}
	a, err := parseAmount(raw, power)
	switch {
	case err != nil:
		b.problem(line, "%s: %q %v: taken as missing", where, raw, err)
		return 0, false
	case a < 0:
		b.problem(line, "%s: %q is negative (import and export are never netted): taken as missing", where, raw)
		return 0, false
	}
	return a, true
}

// mark reads an actual/estimated flag: A, Actual, E, Estimated. No flag at all
// is told once per file.
func (b *builder) mark(flag string, line int) energy.Quality {
	switch f := strings.ToLower(strings.TrimSpace(flag)); {
	case f == "a" || f == "actual" || f == "measured":
		return energy.Measured
	case f == "e" || f == "estimated" || f == "estimate":
		return energy.Estimated
	case f == "":
		b.unmarked = true
		return energy.Measured
	default:
		b.problemOnce("mark "+f, line, "the mark %q is neither actual (A) nor estimated (E): taken as estimated", flag)
		return energy.Estimated
	}
}

// add puts a value in its place. Of two different values for one half-hour the
// later line wins, and it is told once per line.
func (b *builder) add(k energy.Key, start time.Time, c cell) {
	if end := start.Add(energy.Period); !b.opts.Now.IsZero() && end.After(b.opts.Now) {
		b.problemOnce(fmt.Sprint("future ", c.line), c.line, "%s: the half-hour from %s has not ended yet: left out", k, start.UTC().Format(time.RFC3339))
		return
	}
	m := b.series[k]
	if m == nil {
		m = map[int64]cell{}
		b.series[k] = m
	}
	old, had := m[start.Unix()]
	if had && (old.amount != c.amount || old.quality != c.quality) {
		if c.weak && !old.weak {
			return
		}
		b.problemOnce(fmt.Sprint("twice ", old.line, c.line), c.line, "%s: line %d gives another value or mark for the half-hour from %s (and perhaps for others): this line wins", k, old.line, start.UTC().Format(time.RFC3339))
	}
	m[start.Unix()] = c
}

// done gives the file: series in order of their keys, half-hours in order of time.
func (b *builder) done() *File {
	carried := false
	for _, k := range slices.SortedFunc(maps.Keys(b.series), func(x, y energy.Key) int {
		return cmp.Or(cmp.Compare(x.Meter, y.Meter), cmp.Compare(x.Measure, y.Measure))
	}) {
		cells := b.series[k]
		s := Series{ID: k.Meter, Measure: k.Measure, HalfHours: make([]energy.HalfHour, 0, len(cells))}
		var day time.Time // end of the settlement day that the carrier is for
		var c carrier
		for _, at := range slices.Sorted(maps.Keys(cells)) {
			start := time.Unix(at, 0).UTC()
			if !start.Before(day) {
				d, _ := energy.PeriodIn(b.loc, start)
				day, carried, c = d.Start(d.Periods()+1), carried || c.inUse, carrier{}
			}
			s.HalfHours = append(s.HalfHours, b.halfHour(start, cells[at], c.next(cells[at].amount)))
		}
		carried = carried || c.inUse
		b.file.Series = append(b.file.Series, s)
	}
	if carried {
		b.problem(0, "values have more than 3 decimals: each is rounded to a whole Wh (varh, litre) and the remainder is carried through the day, so that every day's total is right")
	}
	if b.unmarked {
		b.problem(0, "the file does not mark which values are estimated: all unmarked ones are taken as actual")
	}
	if len(b.file.Series) == 0 {
		b.problem(0, "there is not one usable value in the file")
	}
	slices.SortStableFunc(b.file.Problems, func(x, y Problem) int { return cmp.Compare(x.Line, y.Line) })
	if b.dropped > 0 {
		b.file.Problems = append(b.file.Problems, Problem{0, fmt.Sprintf("and %d more problems", b.dropped)})
	}
	return b.file
}

func (b *builder) halfHour(start time.Time, c cell, base int64) energy.HalfHour {
	end := start.Add(energy.Period)
	h := energy.HalfHour{
		Start: start, Energy: base, Cumulative: -1, TakenAt: b.opts.Now.UTC(), Quality: c.quality,
		// No register is known: the evidence is the file's word for the interval.
		Evidence: energy.Evidence{
			First: energy.Sample{At: start, Value: -1}, Last: energy.Sample{At: end, Value: -1},
			Rule: energy.RuleImported,
		},
	}
	if c.quality <= energy.Estimated {
		h.Evidence.Rule = energy.RuleImportedEst
	}
	if !h.TakenAt.After(end) {
		h.TakenAt = end.Add(time.Second)
	}
	return h
}
