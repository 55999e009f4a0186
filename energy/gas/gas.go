// Package gas turns the volume that a gas meter counts into energy:
//
//	kWh = m3 x VCF x CV / 3.6
//
// VCF, the volume correction factor, brings the volume to standard pressure and
// temperature; CV, the calorific value, is the heat of a standard cubic metre
// in MJ, published for each gas day and each local distribution zone (feeds.md
// 3.3; Gas (Calculation of Thermal Energy) Regulations 1996, SI 1996/439).
//
// The volume stays the record; energy is derived from it, together with the
// Basis that it was derived by, so that anybody can redo the sum and do it
// again when a better calorific value is there. It is pure and exact: integers,
// rounded once.
package gas

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// VCF is a volume correction factor in millionths.
type VCF int64

// The factors that are known without the site's own.
const (
	DefaultVCF   VCF = 1_022_640 // 1.02264, for small sites; above 732 MWh a year a site has its own
	CorrectedVCF VCF = 1_000_000 // 1: the meter corrects by itself (a built-in converter)
)

// A factor outside these is a misprint: 0.9 lies below any site in Great
// Britain at the lowest pressure, 10 above a supply at 7 bar.
const (
	minVCF VCF = 900_000
	maxVCF VCF = 10_000_000
)

// CV is a calorific value in ten-thousandths of a MJ per cubic metre, gross.
type CV int64

// Natural gas of the grid lies between these (feeds.md 3.3).
const (
	minCV CV = 375_000
	maxCV CV = 430_000
)

// String gives the factor as a decimal, e.g. "1.02264".
func (v VCF) String() string { return decimal(int64(v), 6) }

// MarshalText writes the decimal.
func (v VCF) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a factor; see ParseVCF.
func (v *VCF) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVCF(string(b))
	return err
}

// String gives the value as a decimal, e.g. "39.5".
func (v CV) String() string { return decimal(int64(v), 4) }

// MarshalText writes the decimal.
func (v CV) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a value; see ParseCV.
func (v *CV) UnmarshalText(b []byte) (err error) {
	*v, err = ParseCV(string(b))
	return err
}

// ParseVCF reads a volume correction factor: a decimal from 0.9 to 10 with at
// most six decimals.
func ParseVCF(s string) (VCF, error) {
	n, err := parseDecimal(s, 6)
	if err != nil {
		return 0, fmt.Errorf("volume correction factor %q: %w", s, err)
	}
	if v := VCF(n); v >= minVCF && v <= maxVCF {
		return v, nil
	}
	return 0, fmt.Errorf("volume correction factor %q: not between %s and %s; without a factor of the site's own it is %s", s, minVCF, maxVCF, DefaultVCF)
}

// ParseCV reads a calorific value: a decimal from 37.5 to 43 MJ/m3 with at most
// four decimals.
func ParseCV(s string) (CV, error) {
	n, err := parseDecimal(s, 4)
	if err != nil {
		return 0, fmt.Errorf("calorific value %q: %w", s, err)
	}
	if v := CV(n); v >= minCV && v <= maxCV {
		return v, nil
	}
	return 0, fmt.Errorf("calorific value %q: natural gas has %s to %s MJ/m3", s, minCV, maxCV)
}

// Meter is what must be known of a gas meter.
type Meter struct {
	Zone      string // local distribution zone, e.g. "SE"; empty: not known
	Corrected bool   // it reports standard cubic metres: no factor is applied
	VCF       VCF    // the site's own; 0: DefaultVCF
}

// Factor is the volume correction factor that applies.
func (m Meter) Factor() (VCF, error) {
	switch {
	case m.Corrected && m.VCF != 0 && m.VCF != CorrectedVCF:
		return 0, fmt.Errorf("the meter corrects its volume, so a volume correction factor of %s would be applied twice: remove one of the two", m.VCF)
	case m.Corrected:
		return CorrectedVCF, nil
	case m.VCF == 0:
		return DefaultVCF, nil
	case m.VCF < minVCF || m.VCF > maxVCF:
		return 0, fmt.Errorf("volume correction factor %s: not between %s and %s", m.VCF, minVCF, maxVCF)
	}
	return m.VCF, nil
}

// Basis is what a volume was converted by.
type Basis struct {
	Day    Day    `json:"day"`            // the gas day of the volume
	Zone   string `json:"zone,omitempty"` // whose calorific value it is; empty: all of Great Britain
	VCF    VCF    `json:"vcf"`
	CV     CV     `json:"cv"`     // MJ/m3
	Daily  bool   `json:"daily"`  // published for this very day and zone; else a value that stands in for it
	Since  Day    `json:"since"`  // from which day on the value holds; equal to Day where Daily
	Source string `json:"source"` // where the calorific value comes from
}

// perWh is the denominator of the sum: litres x VCF (millionths) x CV
// (ten-thousandths) are Wh times this. 1 litre is 0.001 m3 and 1 kWh 1,000 Wh,
// which cancel; 3.6 MJ are a kWh.
const perWh = 36_000_000_000

var errVolume = errors.New("the volume is not one: it lies below 0, or its energy does not fit in 63 bits")

// Wh converts a volume in litres to Wh, rounded to the nearest.
func (b Basis) Wh(litres int64) (int64, error) {
	var s Series
	return s.Wh(litres, b)
}

// Series converts volumes one after the other and carries what rounding
// leaves, so that their energies sum to the energy of their sum, to the nearest
// Wh, whatever the calorific values in between. The zero Series is ready to
// use. An error leaves it as it was.
type Series struct {
	over int64 // what was not given out yet: -perWh/2 <= over < perWh/2, in Wh/perWh
}

// Wh converts the next volume, in litres.
func (s *Series) Wh(litres int64, b Basis) (int64, error) {
	if b.VCF < minVCF || b.VCF > maxVCF || b.CV < minCV || b.CV > maxCV {
		return 0, fmt.Errorf("gas cannot be converted by a volume correction factor of %s and a calorific value of %s MJ/m3", b.VCF, b.CV)
	}
	if litres < 0 {
		return 0, errVolume
	}
	hi, lo := bits.Mul64(uint64(litres), uint64(b.VCF)*uint64(b.CV))
	lo, carry := bits.Add64(lo, uint64(s.over+perWh/2), 0)
	hi += carry
	if hi >= perWh {
		return 0, errVolume
	}
	q, r := bits.Div64(hi, lo, perWh)
	if q > math.MaxInt64 {
		return 0, errVolume
	}
	s.over = int64(r) - perWh/2
	return int64(q), nil
}
