package mqtt

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/bacnet"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// point is a Point, checked and made ready, with what was heard of it last.
type point struct {
	measure  energy.Measure
	power    bool
	unit     string   // configured; "" where the source must say it
	scale    *big.Rat // of the value
	factor   *big.Rat // unit times scale; nil where the source must say the unit
	said     string   // the source's unit for which heard is the factor
	heard    *big.Rat
	interval time.Duration
	recent   [remembered]dated
	next     int
	wrong    bool // what was delivered last was no value
}

// dated is a value that was delivered, by its source's time.
type dated struct {
	at    time.Time
	value int64
}

// remembered is how many values of a point are known again when they come a
// second time. A broker repeats what was under way when a connection broke:
// twenty or so messages, of all points together.
const remembered = 32

// Check says what is wrong with a point, or nil. What its format needs of it
// is New's to check.
func (p Point) Check() error { _, err := p.compile(); return err }

func (p Point) compile() (point, error) {
	c := point{measure: p.Measure, power: p.Power, unit: p.UnitName, interval: p.Interval, scale: big.NewRat(1, 1)}
	if !p.Measure.Valid() {
		return c, fmt.Errorf("measure %v is none that meters have", p.Measure)
	}
	if p.Interval < 0 || p.Interval > 24*time.Hour || p.Interval > 0 && p.Power {
		return c, fmt.Errorf("interval %s: use how long each total is of, such as 30m; a power has none", p.Interval)
	}
	if p.Scale != "" {
		s, err := scale(p.Scale)
		if err != nil || s.Sign() == 0 || s.Sign() < 0 && !p.Power {
			return c, fmt.Errorf("scale %q: use a decimal number such as 0.01, above 0 (for a power also below 0, where the source counts export as positive)", p.Scale)
		}
		c.scale = s
	}
	if p.UnitName == "" {
		return c, nil
	}
	u, ok := unit.Named(p.UnitName)
	if !ok || !u.Measures(p.Measure) {
		return c, fmt.Errorf("unit %q: use one of %s", p.UnitName, strings.Join(unit.For(p.Measure), " "))
	}
	if u.Power() != p.Power {
		return c, fmt.Errorf("unit %s: it is %s of power, and the point is %s", p.UnitName, yes(u.Power(), "one", "not one"), yes(p.Power, "a power", "a total"))
	}
	c.factor = u.Factor().Mul(u.Factor(), c.scale)
	return c, nil
}

func yes(b bool, then, otherwise string) string {
	if b {
		return then
	}
	return otherwise
}

// scale reads a decimal factor, or a power of ten.
func scale(s string) (*big.Rat, error) {
	if strings.HasPrefix(s, "10^") {
		return bacnet.Scale(s)
	}
	return unit.Decimal(s)
}

// factorOf is what one of the value is in base units, given the unit that the
// source names. V02 says that it is another than the one configured, which is
// gone by all the same: the value is shown, not counted.
func (p *point) factorOf(said string) (*big.Rat, energy.Flags, error) {
	if said == "" && p.unit == "" {
		return nil, 0, value.Refused(drivers.Protocol, "read unit", "the source does not say it: give unit in the configuration")
	}
	if said == "" || said == p.unit {
		return p.factor, 0, nil
	}
	name, known := bacnet.Unit(said)
	if p.unit != "" {
		if !known || name != p.unit {
			return p.factor, energy.Flags(0).With(2), nil
		}
		return p.factor, 0, nil
	}
	if p.heard != nil && p.said == said {
		return p.heard, 0, nil
	}
	u, ok := unit.Named(name)
	if !known || !ok || !u.Measures(p.measure) || u.Power() != p.power {
		return nil, 0, value.Refused(drivers.Protocol, "read unit", "the source says %.40q, which does not measure %s here: is it the right point?", said, p.measure)
	}
	p.said, p.heard = said, u.Factor().Mul(u.Factor(), p.scale)
	return p.heard, 0, nil
}

// The bounds of a value: 2^60 Wh is more than the world uses in a decade, a
// terawatt more than a site does, so that anything above is a misread.
const (
	maxBase  = 1 << 60
	maxPower = 1 << 40
)

// base rounds to whole base units, to the nearest, halves away from 0: sources
// compute in binary fractions, so that 6613.405 kWh may come as 6613.404999.
// Rounding the register, never a difference, keeps any sum of differences exact.
func (p *point) base(v, factor *big.Rat) (int64, error) {
	const op = "read value"
	r := new(big.Rat).Mul(v, factor)
	if r.Sign() < 0 && !p.power {
		return 0, value.Refused(drivers.Range, op, "a total is below 0")
	}
	n := new(big.Int).Lsh(r.Num(), 1)
	if r.Sign() < 0 {
		n.Sub(n, r.Denom())
	} else {
		n.Add(n, r.Denom())
	}
	n.Quo(n, new(big.Int).Lsh(r.Denom(), 1))
	most := int64(maxBase)
	if p.power {
		most = maxPower
	}
	if !n.IsInt64() || n.Int64() > most || n.Int64() < -most {
		return 0, value.Refused(drivers.Range, op, "impossibly large: wrong unit?")
	}
	return n.Int64(), nil
}

// earliest is before any meter spoke MQTT: times before it are those of a
// device that has none.
var earliest = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// reading turns a value into a reading. keep is false for what was delivered
// before.
func (p *point) reading(v value.Value, m *message, stale time.Duration) (r drivers.Reading, keep bool) {
	r.Interval, r.Flags, r.Err = p.interval, v.Flags, v.Err
	r.DeviceAt = v.At
	old := m.retained || m.again // it need not be as new as its arrival
	switch {
	case v.At.Before(earliest): // or none
		r.Sample.At = m.arrived
		if p.interval > 0 || v.Historical {
			r.Err = first(r.Err, value.Refused(drivers.Protocol, "read time", "the source gives none that can be: without it the value belongs nowhere"))
		} else if old {
			r.Flags = r.Flags.With(13)
		}
	case v.At.After(m.arrived):
		// Nothing is read in the future: its clock is ahead of ours.
		r.Sample.At = m.arrived
		if p.interval > 0 {
			r.Sample.At = v.At // the agent refuses what is not over yet
		} else if old && v.At.Sub(m.arrived) > stale {
			r.Flags = r.Flags.With(13)
		}
	default:
		r.Sample.At = v.At
		if m.retained && !v.Historical && p.interval == 0 && m.arrived.Sub(v.At) > stale {
			r.Flags = r.Flags.With(13)
		}
	}
	r.Sample.At = r.Sample.At.UTC()
	if r.Err != nil {
		return r, true
	}
	factor, flags, err := p.factorOf(v.Unit)
	if r.Flags |= flags; flags.Has(2) {
		r.Unit = v.Unit
	}
	if err == nil {
		r.Sample.Value, err = p.base(v.Number, factor)
	}
	if r.Err = err; err != nil {
		return r, true
	}
	return r, v.At.Before(earliest) || p.fresh(dated{v.At, r.Sample.Value}) // also the zero time
}

// told is reading; where that has nothing new to say after something that was
// no value, it says that this is over.
func (p *point) told(v value.Value, m *message, stale time.Duration) (r drivers.Reading, keep bool) {
	if r, keep = p.reading(v, m, stale); !keep && p.wrong && !m.retained && !m.again {
		r, keep = drivers.Reading{Again: true}, true
	}
	if keep {
		p.wrong = r.Err != nil
	}
	return r, keep
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fresh remembers a value, and reports whether it was not there yet.
func (p *point) fresh(d dated) bool {
	same := func(o dated) bool { return o.value == d.value && o.at.Equal(d.at) }
	if slices.ContainsFunc(p.recent[:], same) {
		return false
	}
	p.recent[p.next] = d
	p.next = (p.next + 1) % remembered
	return true
}
