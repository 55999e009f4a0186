package hhfile

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// heads says which column holds what; -1 where there is none.
type heads struct {
	id, date, clock, when, value, unit, kind, mark, measure, start, end, quality int

	idIsMPAN    bool
	eitherPoint bool   // the identifier's heading means a gas meter point as well
	numbered    bool   // slots come from period numbers, not from times
	headless    bool   // there were no headings at all
	unitName    string // the unit that the headings themselves name, lower case
	slots       []slotColumn
	reactive    []slotColumn // kVArh_1 ...
	marks       map[int]int  // column of the mark (UT1 ...) by slot
}

// slotColumn is a column that holds one half-hour of the day.
type slotColumn struct {
	column int
	slot   int // from 0
}

// idNames are headings of identifiers, the best first.
var idNames = []string{
	"mpan", "mpancore", "mpxn", "mpr", "mprn", "m1code1",
	"meternumber", "meterid", "meterserialnumber", "meterserial", "meter", "id", "siteid", "channel",
}

var numberedHeading = regexp.MustCompile(`^([a-z]*)[ _]?0*([1-9][0-9]?)$`)

// headings reads a row as headings.
func headings(r row) *heads {
	h := &heads{id: -1, date: -1, clock: -1, when: -1, value: -1, unit: -1, kind: -1, mark: -1, measure: -1, start: -1, end: -1, quality: -1, marks: map[int]int{}}
	rank := len(idNames)
	for i := range r.fields {
		raw := strings.ToLower(r.field(i))
		if slot, ok := columnSlot(raw); ok {
			if !h.numbered {
				h.slots = append(h.slots, slotColumn{i, slot})
			}
			continue
		}
		name := letters(raw)
		for j, n := range idNames[:rank] {
			if n == name {
				h.id, rank, h.idIsMPAN = i, j, j < 6
				h.eitherPoint = n == "mpxn" || n == "mpr" || n == "mprn"
			}
		}
		switch name {
		case "date", "readingdate", "consumptiondate", "readdate", "settlementdate":
			h.date = i
		case "time", "readtime", "readingtime":
			h.clock = i
		case "readdatetime", "readingdatetime", "datetime", "timestamp":
			h.when = i
		case "kwh", "kwhusage", "consumptionkwh", "usagekwh":
			h.value, h.unitName = i, "kwh"
		case "kvarh":
			h.value, h.unitName = i, "kvarh"
		case "units", "unit", "uom":
			h.unit = i
		case "type", "utility", "fuel":
			h.kind = i
		case "readtype", "est", "estimated", "flag", "readingtype":
			h.mark = i
		case "measure":
			h.measure = i
		case "start":
			h.start = i
		case "quality":
			h.quality = i
		}
		if m := numberedHeading.FindStringSubmatch(raw); m != nil {
			h.number(m[1], m[2], i)
		}
	}
	if h.when < 0 && h.clock >= 0 {
		h.when = h.date
	}
	h.export(r)
	if n := len(h.slots); n < 46 || n > 50 {
		h.slots = nil
	}
	return h
}

// exportNames are the first headings of what perseus-agent readings prints as CSV.
var exportNames = []string{"meter", "measure", "from", "to", "taken_at", "energy", "unit", "cumulative", "quality"}

// export recognises our own export of readings: it can be taken in elsewhere,
// say by the gateway that takes this one's place.
func (h *heads) export(r row) {
	for i, name := range exportNames {
		if strings.ToLower(r.field(i)) != name {
			return
		}
	}
	h.start, h.end, h.value = 2, 3, 5
}

// number notes a column that is named by a period number.
func (h *heads) number(prefix, digits string, column int) {
	n, _ := strconv.Atoi(digits)
	c := slotColumn{column, n - 1}
	switch prefix {
	case "kwh", "hh", "sp", "p", "period":
		if prefix == "kwh" {
			h.unitName = "kwh"
		}
		if len(h.slots) == 0 {
			h.numbered = true
		}
		if h.numbered && n == len(h.slots)+1 {
			h.slots = append(h.slots, c)
		}
	case "kvarh":
		if n == len(h.reactive)+1 && n <= 50 {
			h.reactive = append(h.reactive, c)
		}
	case "ut":
		h.marks[n-1] = column
	}
}

// plain reports whether the headings are those of our own layout.
func (h *heads) plain() bool {
	return h.id >= 0 && h.measure >= 0 && h.start >= 0 && h.value >= 0 && h.quality >= 0
}

// letters leaves the letters and digits of a heading.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// bare recognises a row without headings: identifiers, a date, then 46 to 50 values.
func bare(r row) (*heads, bool) {
	for date := range min(6, len(r.fields)) {
		if _, err := parseDate(r.field(date)); err != nil {
			continue
		}
		n := len(r.fields) - date - 1
		if date == 0 || n < 46 || n > 50 {
			return nil, false
		}
		for i := range n {
			v := r.field(date + 1 + i)
			if _, err := parseAmount(v, 0); err != nil && v != "" {
				return nil, false
			}
		}
		h := headings(row{})
		h.date, h.headless, h.numbered = date, true, true
		h.id = date - 1 // the meter stands next to the date, unless an MPAN is there
		for i := range date {
			if energy.CheckMPAN(r.field(i)) == nil {
				h.id, h.idIsMPAN = i, true
				break
			}
		}
		for i := range 50 {
			h.slots = append(h.slots, slotColumn{date + 1 + i, i})
		}
		return h, true
	}
	return nil, false
}
