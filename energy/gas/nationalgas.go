package gas

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// nationalGasHeader is the first line of a file of National Gas Transmission's
// data portal (data.nationalgas.com, "Find gas data", download as CSV), and of
// the data item explorer that it replaced.
var nationalGasHeader = []string{"Applicable At", "Applicable For", "Data Item", "Value", "Generated Time", "Quality Indicator"}

// What the file calls calorific values: "Calorific Value, LDZ(SE)" and, of the
// networks that stand alone, "Calorific Value, Oban".
const (
	itemPrefix = "Calorific Value, "
	itemLDZ    = itemPrefix + "LDZ("
)

// MaxFile bounds a file, in bytes: twenty years of all zones are less than half of it.
const MaxFile = 32 << 20

// publication is a line of the file.
type publication struct {
	zoneDay
	cv        CV
	generated time.Time
	line      int
}

// AddNationalGas adds the daily calorific values of a file of National Gas, of
// which the columns are, in this order: Applicable At, Applicable For (the gas
// day, day/month/year), Data Item, Value (MJ/m3), Generated Time, Quality
// Indicator. Where a day was published more than once, in this file, the one
// generated last holds; and what is added takes the place of what was there.
// source is put into the Basis, e.g. the file's name.
//
// It adds all or, where a line is not understood, nothing. Values of the
// networks that stand alone, some of which do not carry natural gas, are left
// out where they lie outside the range of natural gas.
func (t *Table) AddNationalGas(raw []byte, source string) (added int, err error) {
	if source == "" {
		return 0, errors.New("calorific values of National Gas: a source is needed, such as the file's name")
	}
	latest, err := parseNationalGas(raw)
	if err != nil {
		return 0, fmt.Errorf("calorific values of National Gas, %s: %w", source, err)
	}
	for k, p := range latest {
		t.daily[k] = value{p.cv, source}
	}
	return len(latest), nil
}

func parseNationalGas(raw []byte) (map[zoneDay]publication, error) {
	if len(raw) > MaxFile {
		return nil, fmt.Errorf("has %d bytes, more than %d: not a file of calorific values", len(raw), MaxFile)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	r.FieldsPerRecord = len(nationalGasHeader)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil || !slices.Equal(header, nationalGasHeader) {
		return nil, fmt.Errorf("line 1 is not %q: download calorific values as CSV from data.nationalgas.com", strings.Join(nationalGasHeader, ","))
	}
	latest := map[zoneDay]publication{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return latest, nil
		}
		if err != nil {
			return nil, err // csv says which line
		}
		line, _ := r.FieldPos(0)
		p, use, err := parsePublication(row)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if !use {
			continue
		}
		p.line = line
		old, ok := latest[p.zoneDay]
		switch {
		case ok && p.generated.Equal(old.generated) && p.cv != old.cv:
			return nil, fmt.Errorf("lines %d and %d: %s has %s and %s MJ/m3 on %s, both generated at the same time", old.line, line, p.zone, old.cv, p.cv, p.day)
		case !ok || p.generated.After(old.generated):
			latest[p.zoneDay] = p
		}
	}
}

// parsePublication reads a line; use is false where it is rightly left out.
func parsePublication(row []string) (p publication, use bool, err error) {
	item := row[2]
	name, ok := strings.CutPrefix(item, itemPrefix)
	if !ok {
		return p, false, fmt.Errorf("%q is not a calorific value: download those only", item)
	}
	inner, ldz := strings.CutPrefix(item, itemLDZ)
	if ldz {
		if name, ok = strings.CutSuffix(inner, ")"); !ok {
			return p, false, fmt.Errorf("%q is not closed", item)
		}
	}
	if p.zone, err = ParseZone(name); err != nil {
		return p, false, err
	}
	if ldz != (len(p.zone) == 2) {
		return p, false, fmt.Errorf("%q: a zone of two letters is written LDZ(..), a name is not", item)
	}
	day, err := time.Parse("02/01/2006", row[1])
	if err != nil {
		return p, false, fmt.Errorf("gas day %q: want day/month/year such as 30/07/2014", row[1])
	}
	p.day = dayOf(day.Date())
	if p.generated, err = time.Parse("02/01/2006 15:04:05", row[4]); err != nil {
		return p, false, fmt.Errorf("generated time %q: want 21/02/2018 10:32:01", row[4])
	}
	n, err := parseDecimal(row[3], 4)
	if err != nil {
		return p, false, fmt.Errorf("calorific value %q: %w", row[3], err)
	}
	if p.cv = CV(n); p.cv < minCV || p.cv > maxCV {
		if !ldz {
			return p, false, nil
		}
		return p, false, fmt.Errorf("calorific value %q: natural gas has %s to %s MJ/m3", row[3], minCV, maxCV)
	}
	return p, true, nil
}
