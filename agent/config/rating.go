package config

import (
	"math/big"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// Rating is what is known of a meter's size, from the file or from its
// template; 0 for what is not. Every register's MaxPower and MaxEnergy come
// from it.
type Rating struct {
	Amps   int64 // the largest current per phase, on the primary side
	Volts  int64 // between phases, of a single phase to neutral; 400 and 230 where nothing is said, or the primary side of the VT
	Phases int   // 1 or 3; 3 where nothing is said
	VA     int64 // agreed supply capacity, volt-amperes
	QMax   int64 // largest flow of a gas or water meter, litres an hour
	KW     int64 // largest thermal power of a heat meter, W
}

// Unrated is the ceiling of a register of which nothing is known, in base
// units per hour: 10 MW, 10 Mvar or 10,000 m3/h. Few businesses have a
// connection like that, so that a misread register (a swapped word, a stray
// sentinel) does not become a half-hour.
const Unrated = 10_000_000

// The margins. A supply may be 10 % above its nominal voltage (BS EN 50160),
// and meters run above their rating for a while; a ceiling must never refuse
// what is true. An agreed capacity is a price and not a fuse: only rule V05
// goes by it closely. The factors of V05 are those of feeds.md 3.4.
var (
	ceilingMargin  = big.NewRat(132, 100) // 10 % voltage, a fifth for overload
	capacityMargin = big.NewRat(2, 1)
	gasCeiling     = big.NewRat(12, 10)
	v05Margin      = big.NewRat(12, 10)
	v05Gas         = big.NewRat(11, 10)
)

// root3 is the square root of 3, rounded up.
var root3 = big.NewRat(1_732_051, 1_000_000)

// Known reports whether a ceiling for a measure can be worked out from it.
func (r Rating) Known(m energy.Measure) bool {
	switch m.Kind() {
	case "gas", "water":
		return r.QMax > 0
	case "heat":
		return r.KW > 0
	}
	return r.Amps > 0 || r.VA > 0
}

// apparent is what the connection carries at its nominal voltage, in VA:
// the square root of 3 x volts between phases x amperes; nil where it is not known.
func (r Rating) apparent() *big.Rat {
	if r.Amps == 0 {
		return nil
	}
	if r.Phases == 1 {
		return big.NewRat(max(r.Volts, 0)*r.Amps, 1)
	}
	return new(big.Rat).Mul(root3, big.NewRat(r.Volts*r.Amps, 1))
}

// withDefaults fills in what a rating leaves open: amperes from the current
// transformers, volts from the voltage transformers or the public supply.
func (r Rating) withDefaults(ct, vt string) Rating {
	if r.Amps == 0 {
		r.Amps = primary(ct)
	}
	if r.Volts == 0 {
		r.Volts = primary(vt)
	}
	if r.Phases == 0 {
		r.Phases = 3 // the larger ceiling: it must never refuse what is true
	}
	if r.Volts == 0 && r.Phases == 1 {
		r.Volts = 230
	} else if r.Volts == 0 {
		r.Volts = 400
	}
	return r
}

// primary is the primary side of a transformer, rounded up; 0 for none.
func primary(ratio string) int64 {
	first, _, _ := strings.Cut(ratio, "/")
	r, err := unit.Decimal(first)
	if err != nil {
		return 0
	}
	return whole(r, true)
}

// whole rounds a fraction down, or up, to an integer.
func whole(r *big.Rat, up bool) int64 {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if up && m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

// maxPower is the ceiling of a register of a measure, base units per hour.
func (r Rating) maxPower(m energy.Measure) int64 {
	switch s := r.apparent(); {
	case !r.Known(m):
		return Unrated
	case m.BaseUnit() == "L":
		return whole(new(big.Rat).Mul(big.NewRat(r.QMax, 1), gasCeiling), false)
	case m.Kind() == "heat":
		return whole(new(big.Rat).Mul(big.NewRat(r.KW, 1), capacityMargin), false)
	case s != nil:
		return whole(s.Mul(s, ceilingMargin), false)
	}
	return whole(new(big.Rat).Mul(big.NewRat(r.VA, 1), capacityMargin), false)
}

// maxEnergy is the most that rule V05 lets pass in a period, base units; 0
// where nothing is known: period x root 3 x V x A x 1.2, or the agreed
// capacity x 1.2 where that is less; gas: the largest flow x 1.1.
func (r Rating) maxEnergy(m energy.Measure, period time.Duration) int64 {
	hours := big.NewRat(int64(period), int64(time.Hour))
	switch m.Kind() {
	case "gas", "water":
		return whole(hours.Mul(hours, new(big.Rat).Mul(big.NewRat(r.QMax, 1), v05Gas)), false)
	case "heat":
		return whole(hours.Mul(hours, new(big.Rat).Mul(big.NewRat(r.KW, 1), v05Margin)), false)
	}
	s := r.apparent()
	if va := big.NewRat(r.VA, 1); r.VA > 0 && (s == nil || va.Cmp(s) < 0) {
		s = va
	}
	if s == nil {
		return 0
	}
	return whole(hours.Mul(hours, s.Mul(s, v05Margin)), false)
}

// rating reads what the file says of a meter's size.
func (p *parse) rating(n ast.Node, name string) (r Rating) {
	if n == nil {
		return r
	}
	name += ": rating"
	o := p.object(n, name, ratingLevel)
	r.Amps, _ = p.whole(o["amps"], name+": amps", 1, 100_000)
	r.Volts, _ = p.whole(o["volts"], name+": volts", 50, 500_000)
	phases, ok := p.whole(o["phases"], name+": phases", 1, 3)
	if r.Phases = int(phases); ok && phases == 2 {
		p.at(o["phases"], "%s: phases: 1 or 3", name)
	}
	r.VA, _ = p.decimal(o["kva"], name+": kva", 1000, "0.1", "1000000")
	r.QMax, _ = p.decimal(o["qmax"], name+": qmax", 1000, "0.1", "1000000")
	r.KW, _ = p.decimal(o["kw"], name+": kw", 1000, "0.1", "1000000")
	if len(o) == 0 && n.Type() == ast.MappingType {
		p.at(n, "%s is empty: give amps, or kva, or qmax of a gas or water meter, or kw of a heat meter", name)
	}
	return r
}
