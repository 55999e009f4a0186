package hhfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// The layouts, as File.Layout names them.
const (
	LayoutPlain    = "id,measure,start,kWh,quality"
	LayoutExport   = "perseus-agent readings as CSV"
	LayoutReadings = "a row per reading"
	LayoutDays     = "a row per day, columns named by time"
	LayoutNumbers  = "a row per day, columns named by period number"
	LayoutBare     = "a row per day, without headings"
	LayoutPerse    = "Perse JSON"
	LayoutFlow     = "data flow D0379"
)

// headingRows is how many rows may come before the row of headings.
const headingRows = 40

// row is one line of a CSV file that is not empty.
type row struct {
	line   int // from 1
	fields []string
}

// field gives a field without the blanks around it; "" where the row has no such field.
func (r row) field(i int) string {
	if i < 0 || i >= len(r.fields) {
		return ""
	}
	return strings.TrimSpace(r.fields[i])
}

// Parse reads a half-hourly file. The error says what the data looks like and
// what is accepted, or which option must be given. What is wrong with single
// rows or values is told in File.Problems, and they are left out: a value that
// is not in a HalfHour is unknown, never zero.
//
// Line numbers of JSON files count the records of "data", from 1.
func Parse(data []byte, o Options) (*File, error) {
	if o.Label > End {
		return nil, fmt.Errorf("label %d is not Auto, Start or End", o.Label)
	}
	s, err := text(data)
	if err != nil {
		return nil, err
	}
	if c := strings.TrimSpace(s)[0]; c == '{' || c == '[' {
		return parsePerse(s, o)
	}
	if isFlow(s) {
		return parseFlow(s, o)
	}
	rows, broken := split(s)
	f, err := parseRows(rows, o)
	if err != nil {
		return nil, err
	}
	for _, line := range broken {
		if len(f.Problems) <= maxProblems {
			f.Problems = append(f.Problems, Problem{line, "the quotes of this line are not closed: left out"})
		}
	}
	return f, nil
}

// parseRows finds the headings and hands the rows below them to their layout.
func parseRows(rows []row, o Options) (*File, error) {
	for i, r := range rows[:min(len(rows), headingRows)] {
		h := headings(r)
		body := rows[i+1:]
		switch {
		case h.plain():
			return parsePlain(h, body, o)
		case len(h.slots) > 0 && h.date >= 0:
			return parseDays(h, body, o)
		case h.when >= 0 && h.value >= 0:
			return parseReadings(h, body, o)
		}
	}
	for _, r := range rows[:min(len(rows), headingRows)] {
		if h, ok := bare(r); ok {
			return parseDays(h, rows, o)
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no line in it that could be read; " + accepted)
	}
	first := strings.Join(rows[0].fields, ",")
	if len(first) > 80 {
		first = strings.ToValidUTF8(first[:80], "") + "..."
	}
	return nil, fmt.Errorf("no line looks like the headings or rows of a half-hourly file (line %d reads %q); %s", rows[0].line, first, accepted)
}

// split makes rows of the text. Lines whose quotes are broken are given by number.
func split(s string) (rows []row, broken []int) {
	comma := ','
	for i, line := range lines(s) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			continue
		case len(rows) == 0 && isSep(trimmed):
			if c := strings.TrimSpace(trimmed[len("sep="):]); len(c) == 1 && c != `"` {
				comma = rune(c[0])
			} else if strings.HasSuffix(line, "\t") {
				comma = '\t'
			}
			continue
		case len(rows) == 0 && !strings.ContainsRune(line, comma):
			comma = otherComma(line, comma)
		}
		if !strings.ContainsRune(line, '"') {
			rows = append(rows, row{i + 1, strings.Split(line, string(comma))})
			continue
		}
		r := csv.NewReader(strings.NewReader(line))
		r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = comma, -1, comma != '\t'
		fields, err := r.Read()
		if err != nil {
			broken = append(broken, i+1)
			continue
		}
		rows = append(rows, row{i + 1, fields})
	}
	return rows, broken
}

// otherComma finds the separator of a line that has not got the expected one.
func otherComma(line string, comma rune) rune {
	for _, c := range []rune{';', '\t', '|'} {
		if strings.Count(line, string(c)) >= 3 {
			return c
		}
	}
	return comma
}
