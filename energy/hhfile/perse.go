package hhfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// quantities are the measures by their codes in the industry's data flows.
var quantities = map[string]energy.Measure{
	"AI": energy.Import, "AE": energy.Export, "RI": energy.ReactiveImport, "RE": energy.ReactiveExport,
}

// parsePerse reads what Perse's API answers: records of a settlement day with
// P1..P50 in kWh (kvarh) and UT1..UT50 (A actual, E estimated).
func parsePerse(s string, o Options) (*File, error) {
	var doc struct {
		Data []map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(s), &doc); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return nil, fmt.Errorf("this looks like JSON, but is broken or cut off at byte %d: %v; %s", syntax.Offset, err, accepted)
		}
		return nil, errors.New("this is JSON, but not Perse's (an object with \"data\", a list of records); " + accepted)
	}
	if len(doc.Data) == 0 || doc.Data[0]["P1"] == nil || doc.Data[0]["Date"] == nil {
		return nil, errors.New("this is JSON, but not Perse's: its \"data\" has no records with Date and P1 to P50; " + accepted)
	}
	b := newBuilder(o, LayoutPerse, Start)
	for i, record := range doc.Data {
		b.perse(record, i+1)
	}
	return b.done(), nil
}

func (b *builder) perse(record map[string]json.RawMessage, line int) {
	date, err := parseDate(plainText(record["Date"]))
	if err != nil {
		b.problem(line, "Date %v: record left out", err)
		return
	}
	quantity := plainText(record["MeasurementQuantity"])
	m, ok := quantities[quantity]
	if !ok {
		b.problem(line, "MeasurementQuantity %q is not AI, AE, RI or RE: record left out", quantity)
		return
	}
	id, ok := b.identity(&heads{idIsMPAN: true}, row{line, []string{plainText(record["MPAN"])}})
	if !ok {
		return
	}
	k := energy.Key{Meter: id, Measure: m}
	day := energy.DayIn(b.loc, date.year, date.month, date.day)
	for n := 1; n <= 50; n++ {
		a, ok := b.read(plainText(record["P"+strconv.Itoa(n)]), 0, line, fmt.Sprintf("%s P%d", k, n))
		if !ok {
			continue
		}
		if n > day.Periods() {
			b.problem(line, "%s P%d: %s has %d periods: left out", k, n, day, day.Periods())
			continue
		}
		q := b.mark(plainText(record["UT"+strconv.Itoa(n)]), line)
		b.add(k, day.Start(n), cell{amount: a, quality: q, line: line})
	}
}

// plainText gives a JSON string's or number's text as it stands; "" for null and absent.
func plainText(raw json.RawMessage) string {
	s := strings.TrimSpace(string(raw))
	if strings.HasPrefix(s, `"`) {
		var v string
		if json.Unmarshal(raw, &v) == nil {
			return v
		}
	}
	if s == "null" {
		return ""
	}
	return s
}
