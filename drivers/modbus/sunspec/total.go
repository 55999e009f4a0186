package sunspec

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/perseus-edge/perseus-edge/energy"
)

// form is how a total is written.
type form uint8

const (
	acc32 form = iota
	uint64s
	float32s
)

func (f form) words() uint16 {
	if f == uint64s {
		return 4
	}
	return 2
}

// layout is where a model has its totals of energy: offsets from its ID.
type layout struct {
	kind   Kind
	form   form
	rank   int                       // of several models of a part the least is read first
	totals map[energy.Measure]uint16 // Wh
	scale  uint16                    // the scale factor of all of them; 0: they need none
}

// layouts are the models that count energy. SunSpec's meters count as seen from
// the grid. Not all have a scale factor: the floats are in Wh.
var layouts = map[uint16]layout{}

func init() {
	for id := uint16(101); id <= 103; id++ { // inverters: one phase, split phase, three phases
		layouts[id] = layout{Inverter, acc32, 1, map[energy.Measure]uint16{energy.Generation: 24}, 26}
		layouts[id+10] = layout{Inverter, float32s, 2, map[energy.Measure]uint16{energy.Generation: 32}, 0}
	}
	for id := uint16(201); id <= 204; id++ { // meters: one phase, split phase, wye, delta
		layouts[id] = layout{Meter, acc32, 1, map[energy.Measure]uint16{energy.Export: 38, energy.Import: 46}, 54}
		layouts[id+10] = layout{Meter, float32s, 2, map[energy.Measure]uint16{energy.Export: 60, energy.Import: 68}, 0}
	}
	layouts[701] = layout{Inverter, uint64s, 0, map[energy.Measure]uint16{energy.Generation: 19}, 120} // DER AC measurement: injected
}

// Measures lists what parts of a kind count.
func Measures(k Kind) []energy.Measure {
	if k == Inverter {
		return []energy.Measure{energy.Generation}
	}
	return []energy.Measure{energy.Import, energy.Export}
}

// words is how many registers, from the ID on, hold all totals and their scale.
func (l layout) words() uint16 {
	n := uint16(0)
	for _, at := range l.totals {
		n = max(n, at+l.form.words())
	}
	if l.scale > 0 {
		n = max(n, l.scale+1)
	}
	return n
}

// Block gives how many registers of a model to read, from its ID on, so that
// its totals come with their scale and with the ID that says what they are. At
// most 121, which fits into one question.
func Block(m Model) uint16 { return layouts[m.ID].words() }

// Core gives the smallest stretch of a model, as an offset from its ID and a
// length, that holds its totals and their scale: for devices that do not read
// the whole Block at once.
func Core(m Model) (offset, words uint16) {
	l := layouts[m.ID]
	first := l.words()
	for _, at := range l.totals {
		first = min(first, at)
	}
	return first, l.words() - first
}

// Is reports whether a model's registers, from its ID on, are still where they
// were found.
func Is(m Model, words []uint16) bool {
	return len(words) >= 2 && words[0] == m.ID && words[1] == m.Length
}

// What is wrong with a total.
var (
	ErrNoTotal  = errors.New("this model has no such total")
	ErrNoValue  = errors.New("the device says that it has no value there")
	ErrNoScale  = errors.New("the device does not say by what to multiply its total (its scale factor is not implemented)")
	ErrScale    = errors.New("the scale factor is none: SunSpec has -10 to 10")
	ErrNegative = errors.New("the total is negative")
	ErrLarge    = errors.New("the total is impossibly large")
)

// Total is one total as it was read, with its scale.
type Total struct {
	Raw   uint64 // the registers' bits
	Exp   int    // Raw x 10^Exp is in Wh; 0 for a float
	Wh    int64  // rounded down (a float: to the nearest)
	Step  int64  // Wh, rounded up: what one count is
	Wrap  int64  // Wh, rounded up, at which the register starts again at 0; 0: never
	float bool
}

// maxWh is more than the world uses in a decade.
const maxWh = 1 << 60

// Decode reads a total out of a model's registers, from its ID on.
func Decode(m Model, block []uint16, what energy.Measure) (t Total, err error) {
	l, ok := layouts[m.ID]
	at, has := l.totals[what]
	if !ok || !has || len(block) < int(l.words()) {
		return t, ErrNoTotal
	}
	for _, w := range block[at : at+l.form.words()] {
		t.Raw = t.Raw<<16 | uint64(w)
	}
	if l.form == float32s {
		return t, t.fromFloat()
	}
	width := uint(l.form.words()) * 16
	if t.Raw == math.MaxUint64>>(64-width) || t.Raw == 1<<(width-1) { // an accumulator has no such values; devices give them all the same
		return t, ErrNoValue
	}
	if l.scale > 0 {
		switch sf := int16(block[l.scale]); {
		case sf == math.MinInt16:
			return t, ErrNoScale
		case sf < -10 || sf > 10:
			return t, fmt.Errorf("%w, and this is %d", ErrScale, sf)
		default:
			t.Exp = int(sf)
		}
	}
	return t, t.scale(width)
}

func (t *Total) scale(width uint) error {
	p := power10(max(t.Exp, -t.Exp))
	if t.Exp < 0 {
		t.Wh, t.Step = int64(min(t.Raw/p, maxWh+1)), 1
		if width < 64 {
			t.Wrap = int64((1<<width + p - 1) / p)
		} else if q, r := bits.Div64(1, 0, p); q < maxWh { // p is 10 at least
			if t.Wrap = int64(q); r > 0 {
				t.Wrap++
			}
		}
	} else {
		hi, lo := bits.Mul64(t.Raw, p)
		if t.Wh, t.Step = int64(min(lo, maxWh+1)), int64(p); hi > 0 {
			t.Wh = maxWh + 1
		}
		if width < 64 && p <= maxWh>>width {
			t.Wrap = int64(p << width)
		}
	}
	if t.Wh > maxWh {
		return ErrLarge
	}
	return nil
}

func (t *Total) fromFloat() error {
	t.float = true
	v := math.Float32frombits(uint32(t.Raw))
	f := float64(v)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return ErrNoValue
	case f < 0:
		return ErrNegative
	case f > maxWh:
		return ErrLarge
	}
	t.Wh = int64(math.RoundToEven(f))
	t.Step = max(1, int64(math.Ceil(float64(math.Nextafter32(v, math.MaxFloat32))-f)))
	return nil
}

func power10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
