package energy

import (
	"fmt"
	"strconv"
	"strings"
)

// Measure says what a register counts. Import and export are separate
// registers and are never netted (feeds.md 3.1, rule 7).
type Measure uint8

// The measures. The numbers are part of the wire and store formats: they are
// never reused.
const (
	Import         Measure = 1 // active energy taken from the grid, Wh
	Export         Measure = 2 // active energy delivered to the grid, Wh
	ReactiveImport Measure = 3 // reactive energy imported, varh
	ReactiveExport Measure = 4 // reactive energy exported, varh
	Gas            Measure = 5 // gas volume at the meter, litres
	Generation     Measure = 6 // active energy made on the site (an inverter's output), Wh: some of it is used there, so that it is not Export
	Heat           Measure = 7 // thermal energy taken for heating, Wh
	Cooling        Measure = 8 // thermal energy given off for cooling, Wh
	Water          Measure = 9 // water volume, litres
)

var measureNames = [...]string{
	Import: "import", Export: "export",
	ReactiveImport: "reactive-import", ReactiveExport: "reactive-export", Gas: "gas",
	Generation: "generation", Heat: "heat", Cooling: "cooling", Water: "water",
}

// Measures lists every measure, in the order of their numbers.
func Measures() []Measure {
	return []Measure{Import, Export, ReactiveImport, ReactiveExport, Gas, Generation, Heat, Cooling, Water}
}

// Valid reports whether m is one of the measures above.
func (m Measure) Valid() bool { return m >= Import && m <= Water }

// Carried reports whether the uplink takes the measure to the relay. The
// scheme knows electricity and gas; generation, heat, cooling and water have no
// place in its API and stay on the gateway.
func (m Measure) Carried() bool { return m >= Import && m <= Gas }

// Kind is what a meter of the measure is of: "electricity", "gas", "heat" or
// "water". A meter is of one kind; the first two are the scheme's types.
func (m Measure) Kind() string {
	switch m {
	case Gas:
		return "gas"
	case Heat, Cooling:
		return "heat"
	case Water:
		return "water"
	default:
		return "electricity"
	}
}

// String gives the name used in configuration files and APIs, e.g. "import".
func (m Measure) String() string {
	if m.Valid() {
		return measureNames[m]
	}
	return fmt.Sprintf("measure(%d)", uint8(m))
}

// BaseUnit is the unit of every integer amount of this measure: "Wh", "varh" or "L".
func (m Measure) BaseUnit() string {
	switch m {
	case ReactiveImport, ReactiveExport:
		return "varh"
	case Gas, Water:
		return "L"
	default:
		return "Wh"
	}
}

// UnitCode is the UN/CEFACT Recommendation 20 code of the unit in which
// Present shows amounts of this measure: WHR (watt hour), K3 (kilovar hour) or
// MTQ (cubic metre).
func (m Measure) UnitCode() string {
	switch m {
	case ReactiveImport, ReactiveExport:
		return "K3"
	case Gas, Water:
		return "MTQ"
	default:
		return "WHR"
	}
}

// Present writes an amount in base units as an exact decimal in the unit of
// UnitCode: "1234" for Wh, "1.234" for varh (in kvarh) and litres (in m3).
func (m Measure) Present(base int64) string {
	if m.UnitCode() == "WHR" {
		return strconv.FormatInt(base, 10)
	}
	sign := ""
	if base < 0 {
		sign, base = "-", -base
	}
	return fmt.Sprintf("%s%d.%03d", sign, base/1000, base%1000)
}

// ParseMeasure reads the name of a measure; the error lists the valid names.
func ParseMeasure(s string) (Measure, error) {
	for _, m := range Measures() {
		if measureNames[m] == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown measure %q: use one of %s", s, strings.Join(measureNames[Import:], ", "))
}

// MarshalText writes the measure's name.
func (m Measure) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the measure's name.
func (m *Measure) UnmarshalText(b []byte) error {
	v, err := ParseMeasure(string(b))
	if err == nil {
		*m = v
	}
	return err
}
