package gas

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Zones are the areas for which calorific values are published: the 13 local
// distribution zones, and the networks of Scotland that stand alone.
func Zones() []string {
	return []string{
		"EA", "EM", "NE", "NO", "NT", "NW", "SC", "SE", "SO", "SW", "WM", "WN", "WS",
		"Campbeltown", "Oban", "Stornoway", "Stranraer", "Thurso", "Wick",
	}
}

// notNatural is the network that carries another gas (its published value is
// about 93 MJ/m3): no value of natural gas stands in for it.
const notNatural = "Stornoway"

// ParseZone reads the name of a zone in any case; the error lists the names.
func ParseZone(s string) (string, error) {
	for _, z := range Zones() {
		if strings.EqualFold(z, s) {
			return z, nil
		}
	}
	return "", fmt.Errorf("unknown gas zone %q: use one of %s", s, strings.Join(Zones(), ", "))
}

// Table holds dated calorific values. Values of a day and zone come from
// AddNationalGas; for days and zones without one, the file that the table was
// read from has values that stand in.
//
// A Table may be used by several goroutines while nothing is added to it.
type Table struct {
	Name  string
	daily map[zoneDay]value
	eras  []era // by Since, the latest first
}

type zoneDay struct {
	zone string
	day  Day
}

type value struct {
	cv     CV
	source string
}

// era is a value that stands in from a day on, until a later one.
type era struct {
	value
	zone  string // empty: everywhere
	since Day
}

// entry is a value of the file.
type entry struct {
	From   string `yaml:"from"`
	Zone   string `yaml:"zone"`
	Value  string `yaml:"value"`
	Source string `yaml:"source"`
	URL    string `yaml:"url"`
}

// LoadTable reads a file of calorific values, such as configs.Factors'
// factors/gas-calorific-values.yaml.
func LoadTable(files fs.FS, name string) (*Table, error) {
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("calorific values: %w", err)
	}
	t, err := ParseTable(raw)
	if err != nil {
		return nil, fmt.Errorf("calorific values: %s: %w", name, err)
	}
	return t, nil
}

// ParseTable reads the text of a file of calorific values. Unknown keys, an
// entry twice and values that natural gas does not have are errors.
func ParseTable(raw []byte) (*Table, error) {
	var file struct {
		Name   string  `yaml:"name"`
		Unit   string  `yaml:"unit"`
		Values []entry `yaml:"values"`
	}
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		return nil, err
	}
	if file.Unit != "MJ/m3" {
		return nil, fmt.Errorf("unit is %q: only MJ/m3 (gross) is understood", file.Unit)
	}
	t := &Table{Name: file.Name, daily: map[zoneDay]value{}}
	for i, e := range file.Values {
		v, err := e.era()
		if err != nil {
			return nil, fmt.Errorf("value %d: %w", i+1, err)
		}
		if slices.ContainsFunc(t.eras, func(o era) bool { return o.zone == v.zone && o.since == v.since }) {
			return nil, fmt.Errorf("value %d: there is another one from %s for the same zone", i+1, v.since)
		}
		t.eras = append(t.eras, v)
	}
	slices.SortStableFunc(t.eras, func(a, b era) int { return int(b.since) - int(a.since) })
	return t, nil
}

func (e entry) era() (era, error) {
	since, err := ParseDay(e.From)
	if err != nil {
		return era{}, fmt.Errorf("from: %w", err)
	}
	zone := ""
	if e.Zone != "" {
		if zone, err = ParseZone(e.Zone); err != nil {
			return era{}, fmt.Errorf("zone: %w", err)
		}
	}
	cv, err := ParseCV(e.Value)
	if err != nil {
		return era{}, err
	}
	if e.Source == "" {
		return era{}, errors.New("says nothing of its source")
	}
	source := e.Source
	if e.URL != "" {
		source += " (" + e.URL + ")"
	}
	return era{value{cv, source}, zone, since}, nil
}

// Basis says what a volume of a gas day is converted by: the value published
// for the day and the meter's zone; else the latest value in the file that
// stands in for the zone; else the latest one that does for all zones (but
// the one whose gas is not natural). An error
// means that the meter cannot be converted as it is set, or that the day lies
// before every value: then its energy is not known.
func (t *Table) Basis(day Day, m Meter) (Basis, error) {
	vcf, err := m.Factor()
	if err != nil {
		return Basis{}, err
	}
	zone := ""
	if m.Zone != "" {
		if zone, err = ParseZone(m.Zone); err != nil {
			return Basis{}, err
		}
		if v, ok := t.daily[zoneDay{zone, day}]; ok {
			return Basis{Day: day, Zone: zone, VCF: vcf, CV: v.cv, Daily: true, Since: day, Source: v.source}, nil
		}
	}
	standIns := []string{zone, ""}
	if zone == notNatural {
		standIns = standIns[:1]
	}
	for _, z := range standIns {
		for _, e := range t.eras {
			if e.zone == z && e.since <= day {
				return Basis{Day: day, Zone: z, VCF: vcf, CV: e.cv, Since: e.since, Source: e.source}, nil
			}
		}
	}
	if zone == notNatural {
		return Basis{}, fmt.Errorf("the network of %s carries no natural gas, and its energy is not worked out here", zone)
	}
	return Basis{}, fmt.Errorf("there is no calorific value for the gas day %s: add one that stands in from then on, or import the published ones", day)
}

// Convert gives the energy of a volume of one gas day, in Wh rounded to the
// nearest, and what it was converted by. For many volumes one after the other
// use Basis and a Series, which loses nothing by rounding.
func (t *Table) Convert(litres int64, day Day, m Meter) (wh int64, b Basis, err error) {
	if b, err = t.Basis(day, m); err != nil {
		return 0, Basis{}, err
	}
	if wh, err = b.Wh(litres); err != nil {
		return 0, Basis{}, err
	}
	return wh, b, nil
}

// Last is the last gas day for which a zone's value was published; false where
// there is none.
func (t *Table) Last(zone string) (last Day, ok bool) {
	for k := range t.daily {
		if strings.EqualFold(k.zone, zone) && (!ok || k.day > last) { // mutate: a zone has one value a day
			last, ok = k.day, true
		}
	}
	return last, ok
}
