package emissions

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Factor is a government conversion factor for gas of one calendar year.
type Factor struct {
	Year      int    `yaml:"year"`
	Value     string `yaml:"value"`     // kgCO2e per cubic metre, a decimal
	Version   string `yaml:"version"`   // which edition of the year's set
	Published string `yaml:"published"` // date
	URL       string `yaml:"url"`       // where it was published

	micro int64 // micrograms per litre: Value with six decimals
}

// MicrogramsPerLitre is the factor as an exact integer.
func (f Factor) MicrogramsPerLitre() int64 { return f.micro }

// Factors are the gas factors by year.
type Factors struct {
	Name   string
	byYear map[int]Factor
}

// Year gives the factor for gas burnt in a calendar year. There is none for a
// year that the file does not have: a neighbour's is never used instead.
func (f Factors) Year(year int) (Factor, bool) {
	v, ok := f.byYear[year]
	return v, ok
}

// LoadFactors reads a factor file, such as configs.Factors'
// factors/desnz-natural-gas.yaml. Unknown keys, years twice and values that
// are not plausible decimals are errors.
func LoadFactors(files fs.FS, name string) (Factors, error) {
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return Factors{}, fmt.Errorf("gas factors: %w", err)
	}
	f, err := ParseFactors(raw)
	if err != nil {
		return Factors{}, fmt.Errorf("gas factors: %s: %w", name, err)
	}
	return f, nil
}

// ParseFactors reads the text of a factor file.
func ParseFactors(raw []byte) (Factors, error) {
	var file struct {
		Name    string   `yaml:"name"`
		Unit    string   `yaml:"unit"`
		License string   `yaml:"license"`
		Factors []Factor `yaml:"factors"`
	}
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		return Factors{}, err
	}
	if file.Unit != "kgCO2e/m3" {
		return Factors{}, fmt.Errorf("unit is %q: only kgCO2e/m3 is understood (factors per kWh are another number)", file.Unit)
	}
	out := Factors{Name: file.Name, byYear: map[int]Factor{}}
	for _, f := range file.Factors {
		if _, ok := out.byYear[f.Year]; ok {
			return Factors{}, fmt.Errorf("year %d is there twice", f.Year)
		}
		if f.Year < 2000 || f.Year > 2200 || f.Version == "" || f.Published == "" || f.URL == "" {
			return Factors{}, fmt.Errorf("year %d: needs year, value, version, published and url", f.Year)
		}
		var err error
		if f.micro, err = parseMicro(f.Value); err != nil {
			return Factors{}, fmt.Errorf("year %d: value: %w", f.Year, err)
		}
		// Burning a cubic metre of natural gas makes about 2 kg. A tenth of
		// that is the factor per kWh, put in the wrong place.
		if f.micro < 1_500_000 || f.micro > 2_500_000 {
			return Factors{}, fmt.Errorf("year %d: value %s is not kgCO2e per cubic metre of natural gas (about 2)", f.Year, f.Value)
		}
		out.byYear[f.Year] = f
	}
	return out, nil
}

// parseMicro reads a decimal with at most six decimals as an integer of
// millionths.
func parseMicro(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 6 || len(part) > 6 || strings.Trim(whole+part, "0123456789") != "" {
		return 0, errors.New("want a decimal with at most six decimals, in quotes, such as \"2.06672\"")
	}
	return strconv.ParseInt(whole+part+strings.Repeat("0", 6-len(part)), 10, 64)
}
