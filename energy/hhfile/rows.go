package hhfile

import (
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// identity gives the identifier of a row, or says why the row cannot be used.
func (b *builder) identity(h *heads, r row) (string, bool) {
	id := r.field(h.id)
	switch {
	case id == "":
		b.problem(r.line, "the row does not say which meter it is of: left out")
		return "", false
	case strings.ContainsAny(id, ".+") && strings.Trim(id, "0123456789.eE+") == "":
		b.problem(r.line, "the identifier %q was mangled by a spreadsheet (set the column to text and export again): row left out", id)
		return "", false
	case !h.idIsMPAN || h.gasPoint(r):
		return id, true
	}
	if err := energy.CheckMPAN(id); err != nil {
		b.problemOnce("mpan "+id, r.line, "%v (its values are kept under this identifier)", err)
	}
	return id, true
}

// measureOf reads the unit of a row: what it counts, and by which power of ten
// its numbers must be multiplied to be kWh, kvarh or m3.
func (b *builder) measureOf(h *heads, r row) (m energy.Measure, power int, ok bool) {
	unit, kind := strings.ToLower(r.field(h.unit)), strings.ToLower(r.field(h.kind))
	if unit == "" {
		if _, _, isUnit := unitOf(kind); isUnit { // some files have the unit under "Type"
			unit, kind = kind, ""
		}
	}
	if unit == "" {
		unit = h.unitName
	}
	if unit == "" {
		b.problemOnce("no unit", 0, "the file does not name its unit: kWh is taken")
		unit = "kwh"
	}
	m, power, ok = unitOf(unit)
	switch {
	case !ok:
		b.problemOnce("unit "+unit, r.line, "the unit %q is not taken (kWh, Wh, MWh, kvarh, varh, m3): its rows are left out", unit)
	case strings.HasPrefix(kind, "gas") && m != energy.Gas, h.gasPoint(r) && m != energy.Gas:
		b.problemOnce("gas", r.line, "this is gas in %s: gas is taken in m3 only, since kWh of gas depend on a calorific value that the file does not give; its rows are left out", unit)
		ok = false
	}
	return m, power, ok
}

// gasPoint reports whether the identifier is a gas meter point (MPRN, 6 to 11
// digits) under a heading that means either.
func (h *heads) gasPoint(r row) bool {
	id := r.field(h.id)
	return h.idIsMPAN && h.eitherPoint && len(id) >= 6 && len(id) <= 11 && strings.Trim(id, "0123456789") == ""
}

func unitOf(s string) (m energy.Measure, power int, ok bool) {
	switch s {
	case "kwh":
		return energy.Import, 0, true
	case "wh":
		return energy.Import, -3, true
	case "mwh":
		return energy.Import, 3, true
	case "kvarh":
		return energy.ReactiveImport, 0, true
	case "varh":
		return energy.ReactiveImport, -3, true
	case "m3", "m³":
		return energy.Gas, 0, true
	}
	return 0, 0, false
}
