package emissions

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Value is one half-hour of one meter, as the calculation needs it.
type Value struct {
	Energy  int64 // Wh or litres; meaningless when Quality is Missing
	Quality energy.Quality
	Batch   uint64 // sequence of the batch that brought it
	Rule    energy.Rule
}

// derived is the scheme's term for how the value was derived; "" where it is exact.
func (v Value) derived() string {
	h := energy.HalfHour{Quality: v.Quality, Evidence: energy.Evidence{Rule: v.Rule}}
	_, derived := h.Origin()
	return derived
}

// MeterMonth is a meter's half-hours of a month, by their place in it. A
// half-hour that nobody sent is the zero Value: Missing.
type MeterMonth struct {
	Meter  string
	Values []Value
}

// Known is an amount that may be unknown.
type Known struct {
	Amount int64
	Known  bool
}

// Missing counts what keeps a month from having a figure.
type Missing struct {
	HalfHours int  // half-hours of meters that are absent or of unknown value
	Intensity int  // half-hours of the grid without a final intensity
	Factor    bool // the factor of the year
	Meters    bool // there is no meter of this kind
}

// Nothing reports whether nothing is missing.
func (m Missing) Nothing() bool { return m == Missing{} }

// String says what is missing, for logs and people.
func (m Missing) String() string {
	var s string
	add := func(format string, a ...any) {
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf(format, a...)
	}
	if m.Meters {
		add("no meter")
	}
	if m.HalfHours > 0 {
		add("%d half-hours of energy", m.HalfHours)
	}
	if m.Intensity > 0 {
		add("%d half-hours of grid intensity", m.Intensity)
	}
	if m.Factor {
		add("the factor of the year")
	}
	if s == "" {
		return "nothing"
	}
	return s
}

// Figure is what the calculation makes of a month.
type Figure struct {
	Mass      Mass // exact; meaningless unless Missing.Nothing()
	HalfHours int  // that went in, of all meters
	Qualities map[energy.Quality]int
	Derived   map[string]bool // the scheme's terms for how some of them were derived
	Missing   Missing
}

// CalculateElectricity sums, over the half-hours of a month and its meters,
// energy (Wh) times intensity (gCO2/kWh): Wh x g/kWh = mg, exactly. grid has
// one entry for each half-hour of the month.
func CalculateElectricity(m Month, meters []MeterMonth, grid []Known) (Figure, error) {
	if len(grid) != m.HalfHours() {
		return Figure{}, fmt.Errorf("emissions: %s has %d half-hours, the grid %d", m, m.HalfHours(), len(grid))
	}
	f, err := calculate(m, meters, func(i int) (int64, bool) { return grid[i].Amount * 1000, grid[i].Known }) // ug per Wh
	for _, g := range grid {
		if !g.Known {
			f.Missing.Intensity++
		}
	}
	return f, err
}

// CalculateGas sums the volume (litres) over the half-hours of a month and its
// meters, times the factor of the month's year in micrograms per litre, which
// is kgCO2e/m3 with six decimals: exact. known is false where the year has no
// factor.
func CalculateGas(m Month, meters []MeterMonth, factor int64, known bool) (Figure, error) {
	f, err := calculate(m, meters, func(int) (int64, bool) { return factor, known })
	f.Missing.Factor = !known
	return f, err
}

var errOverflow = errors.New("emissions: the month's sum is beyond 9 million tonnes: a meter's readings are wrong")

func calculate(m Month, meters []MeterMonth, rate func(i int) (int64, bool)) (Figure, error) {
	f := Figure{Qualities: map[energy.Quality]int{}, Derived: map[string]bool{}}
	f.Missing.Meters = len(meters) == 0
	var sum uint64
	for _, meter := range meters {
		if len(meter.Values) != m.HalfHours() {
			return f, fmt.Errorf("emissions: %s has %d half-hours, meter %q %d", m, m.HalfHours(), meter.Meter, len(meter.Values))
		}
		for i, v := range meter.Values {
			if v.Quality == energy.Missing {
				f.Missing.HalfHours++
				continue
			}
			f.HalfHours++
			f.Qualities[v.Quality]++
			if d := v.derived(); d != "" {
				f.Derived[d] = true
			}
			r, ok := rate(i)
			if !ok {
				continue
			}
			if v.Energy < 0 || r < 0 {
				return f, fmt.Errorf("emissions: %s, meter %q, half-hour %d: a negative amount", m, meter.Meter, i)
			}
			hi, product := bits.Mul64(uint64(v.Energy), uint64(r))
			next, carry := bits.Add64(sum, product, 0)
			if hi != 0 || carry != 0 || next > 1<<63-1 {
				return f, errOverflow
			}
			sum = next
		}
	}
	f.Mass = Mass(sum)
	return f, nil
}
