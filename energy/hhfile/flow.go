package hhfile

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// flowDay is one settlement day of one register in a data flow: a 26B record
// and the 66L records below it.
type flowDay struct {
	line     int
	date     string
	mpan     string
	quantity string
	values   []row
}

// flowHalfHours is how many 66L records a day has. D0379 ("Half Hourly Advances
// UTC", Elexon CP1536) goes by UTC days, which all have 48, the first of which
// ends at 00:30.
const flowHalfHours = 48

// isFlow reports whether a text is a flat file of the Data Transfer Catalogue.
func isFlow(s string) bool {
	first := strings.TrimSpace(lines(strings.TrimSpace(s))[0])
	return strings.HasPrefix(first, "ZHV|") || strings.HasPrefix(first, "25B|")
}

// parseFlow reads a D0379:
//
//	ZHV|file|D0379001|X|sender|C|UDMS|20201128113000||||OPER|
//	25B|2000000000006|AI|supplier|
//	26B|20201020|
//	66L|A|0.240|      48 times: A actual or E estimated, kWh or kvarh
//	ZPT|file|50||1|20201128113000|
//
// The trailer (ZPT) says that the file is whole: without it nothing is taken.
func parseFlow(s string, o Options) (*File, error) {
	b := newBuilder(o, LayoutFlow, End)
	var mpan, quantity, name string
	var day *flowDay
	records, groups := 0, 0
	var trailer *row
	finish := func() {
		if day != nil {
			b.flowDay(*day)
		}
		day = nil
	}
	for i, line := range lines(s) {
		r := row{i + 1, strings.Split(strings.TrimSpace(line), "|")}
		tag := r.field(0)
		if tag == "" {
			continue
		}
		if trailer != nil {
			return nil, fmt.Errorf("line %d comes after the trailer (ZPT) in line %d: these are several files in one, cut it up", r.line, trailer.line)
		}
		switch tag {
		case "ZHV":
			name = r.field(1)
			if flow := r.field(2); !strings.HasPrefix(flow, "D0379") {
				return nil, fmt.Errorf("this is data flow %q, not D0379 (half-hourly advances UTC), the only one that is taken; %s", flow, accepted)
			}
			continue
		case "ZPT":
			trailer = &r
			continue
		case "25B":
			finish()
			mpan, quantity = r.field(1), r.field(2)
			groups++
		case "26B":
			finish()
			day = &flowDay{line: r.line, date: r.field(1), mpan: mpan, quantity: quantity}
		case "66L":
			if day == nil {
				b.problem(r.line, "a value (66L) without a date (26B) above it: left out")
			} else if day.values = append(day.values, r); len(day.values) > flowHalfHours {
				day.values = day.values[:flowHalfHours+1] // too many: the day is left out
			}
		default:
			b.problemOnce("record "+tag, r.line, "records of type %q are not known: left out", tag)
		}
		records++
	}
	finish()
	if trailer == nil {
		return nil, fmt.Errorf("the file ends without its trailer (a line that begins with ZPT|): it was cut off on the way, send it again")
	}
	b.flowCounts(*trailer, name, records, groups)
	return b.done(), nil
}

// flowCounts compares the trailer with what was read.
func (b *builder) flowCounts(t row, name string, records, groups int) {
	if name != "" && t.field(1) != name {
		b.problem(t.line, "the trailer is of file %q, the header of %q", t.field(1), name)
	}
	for _, c := range []struct {
		what  string
		field int
		got   int
	}{{"records", 2, records}, {"meters", 4, groups}} {
		if want, err := strconv.Atoi(t.field(c.field)); err == nil && want != c.got {
			b.problem(t.line, "the trailer counts %d %s, and the file has %d", want, c.what, c.got)
		}
	}
}

// flowDay takes one day. Its values carry no times: where some are missing
// nobody knows which, and none is taken.
func (b *builder) flowDay(d flowDay) {
	m, ok := quantities[d.quantity]
	if !ok {
		b.problem(d.line, "measurement quantity %q is not AI, AE, RI or RE: day left out", d.quantity)
		return
	}
	t, err := time.Parse("20060102", d.date)
	if err != nil || t.Year() < 2000 || t.Year() > 2100 {
		b.problem(d.line, "%q is not a date such as 20240331: day left out", d.date)
		return
	}
	id, ok := b.identity(&heads{idIsMPAN: true}, row{d.line, []string{d.mpan}})
	if !ok {
		return
	}
	k := energy.Key{Meter: id, Measure: m}
	if len(d.values) != flowHalfHours {
		count := strconv.Itoa(len(d.values))
		if len(d.values) > flowHalfHours { // mutate: they are not equal here
			count = "more"
		}
		b.problem(d.line, "%s: %s has %s values, not %d, and they carry no times: day left out", k, t.Format(time.DateOnly), count, flowHalfHours)
		return
	}
	for i, r := range d.values {
		if a, ok := b.read(r.field(2), 0, r.line, k.String()); ok {
			b.add(k, t.Add(time.Duration(i)*energy.Period), cell{amount: a, quality: b.mark(r.field(1), r.line), line: r.line})
		}
	}
}
