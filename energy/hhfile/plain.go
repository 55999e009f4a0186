package hhfile

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// parsePlain reads our own layout:
//
//	id,measure,start,kWh,quality
//	2000000000006,import,2024-03-31T00:00:00Z,17.9,measured
//
// start is the half-hour's start, RFC 3339 with a zone, on the half-hour.
// measure is one of energy.Measures; the number is kWh for import, export,
// generation, heat and cooling,
// kvarh for reactive-import and reactive-export, m3 for gas and water. quality is one of
// energy.Quality's names; an empty number or the quality missing is absent.
// There is no local time in it, hence nothing to guess.
//
// It also reads what perseus-agent readings prints as CSV, where from and to
// take the place of start, and unit has the UN/CEFACT code of the number.
func parsePlain(h *heads, rows []row, o Options) (*File, error) {
	b := newBuilder(o, LayoutPlain, Start)
	if h.end >= 0 { // mutate: where there is one it is the fourth column
		b.file.Layout = LayoutExport
	}
	for _, r := range rows {
		id := r.field(h.id)
		m, err := energy.ParseMeasure(r.field(h.measure))
		if err != nil || id == "" {
			b.problem(r.line, "row without an id or with an unknown measure (%q): left out", r.field(h.measure))
			continue
		}
		start, err := time.Parse(time.RFC3339, r.field(h.start))
		if err != nil || !start.Equal(energy.HalfHourStart(start)) || start.Year() < 2000 || start.Year() > 2100 {
			b.problem(r.line, "%q is not the start of a half-hour as RFC 3339, for example 2024-03-31T00:30:00Z: row left out", r.field(h.start))
			continue
		}
		q, err := energy.ParseQuality(r.field(h.quality))
		if err != nil {
			b.problem(r.line, "%v: row left out", err)
			continue
		}
		power := 0
		if h.end >= 0 { // mutate: where there is one it is the fourth column
			if end, err := time.Parse(time.RFC3339, r.field(h.end)); err != nil || !end.Equal(start.Add(energy.Period)) {
				b.problem(r.line, "from %s to %q is not a half-hour: row left out", r.field(h.start), r.field(h.end))
				continue
			}
			if q == energy.Missing {
				continue
			}
			if code := r.field(h.unit); code != m.UnitCode() {
				b.problem(r.line, "unit %q: %s is in %s here: row left out", code, m, m.UnitCode())
				continue
			}
			if m.UnitCode() == energy.Import.UnitCode() {
				power = -3
			}
		}
		k := energy.Key{Meter: id, Measure: m}
		a, ok := b.read(r.field(h.value), power, r.line, k.String())
		if !ok || q == energy.Missing {
			continue
		}
		b.add(k, start.UTC(), cell{amount: a, quality: q, line: r.line})
	}
	return b.done(), nil
}
