package site

import (
	"encoding/binary"
	"iter"
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// How the power of a meter is spread over its phases, in percent; of a meter
// that shows fewer, the rest is on the last.
var spread = [3]int64{40, 35, 25}

// turnedPhase is the one whose current transformer `reversed` turns round.
const turnedPhase = 1

// What every simulated meter shows of the network.
var (
	playedVolts = big.NewRat(2304, 10)
	playedHertz = big.NewRat(4998, 100)
)

// newSigns makes what a meter of a template shows besides its totals, as far as
// agent/scan knows where: by that a scan recognises it, and probe checks it.
// phases reports whether its phases are among them.
func newSigns(m config.Meter, totals []*register) (out []*register, phases bool, err error) {
	if m.Template == "" || m.SunSpec != nil || m.Type() != "electricity" {
		return nil, false, nil
	}
	all, err := scan.AllSigns()
	if err != nil {
		return nil, false, err
	}
	s := all[m.Template]
	add := func(p modbus.Point, shows func(time.Time) *big.Rat) {
		r := &register{meter: m.ID, cfg: config.Register{Point: p, Power: true}, shift: new(big.Int), beside: totals, shows: shows}
		var wrong error
		if r.factor, wrong = p.Factor(); wrong != nil {
			err = wrong
		}
		out = append(out, r)
	}
	always := func(v *big.Rat) func(time.Time) *big.Rat { return func(time.Time) *big.Rat { return v } }
	carried := func(p modbus.Point) modbus.Point { // by the transformers of its totals
		p.CT, p.VT, p.Primary = m.CT, m.VT, m.Primary
		return p
	}
	if s.Model != nil {
		add(s.Model.Point, always(modelOf(*s.Model)))
	}
	if s.Volts != nil {
		add(*s.Volts, always(playedVolts))
	}
	if s.Hertz != nil {
		add(*s.Hertz, always(playedHertz))
	}
	if s.Power != nil {
		add(carried(*s.Power), nil)
	}
	n := len(out)
	for i, p := range s.Phases {
		add(carried(p), nil)
		r, last := out[n+i], i == len(s.Phases)-1
		r.shows = func(t time.Time) *big.Rat { return big.NewRat(r.phase(i, last, t), 1) }
	}
	return out, len(s.Phases) > turnedPhase, err
}

// addSigns adds what the meter shows besides its totals.
func (s *source) addSigns() error {
	signs, phases, err := newSigns(s.meter, s.registers)
	s.signs = signs
	for _, r := range s.registers {
		m := r.cfg.Measure
		r.phased = phases && (m == energy.Import || m == energy.Export || m == energy.Generation)
	}
	return err
}

// phase is the power of one phase, W: against the others where its current
// transformer is turned round.
func (r *register) phase(i int, last bool, t time.Time) int64 {
	share := spread[i]
	for j := i + 1; last && j < len(spread); j++ {
		share += spread[j]
	}
	flow := r.sum(t, (*register).flows) * share / 100
	if i == turnedPhase && len(r.beside) > 0 && r.beside[0].turned(t) {
		return -flow
	}
	return flow
}

// turned reports whether a current transformer of the meter is turned round.
func (r *register) turned(t time.Time) bool {
	for from, to := range r.turns() {
		if !t.Before(from) && t.Before(to) {
			return true
		}
	}
	return false
}

// turns gives the times at which a current transformer of the meter is turned
// round. That concerns the meters that show their phases.
func (r *register) turns() iter.Seq2[time.Time, time.Time] {
	return func(yield func(from, to time.Time) bool) {
		if !r.phased || r.dice == nil {
			return
		}
		for _, f := range r.dice.All("reversed") {
			if from := r.dice.Start().Add(f.At); !yield(from, from.Add(f.For)) {
				return
			}
		}
	}
}

// missed is what the meter has not counted because of that, in base units: the
// phase that runs the other way takes off what it should add.
func (r *register) missed(t time.Time) (base int64) {
	for from, to := range r.turns() {
		if t.After(from) {
			base += lessOf(r.flowed(minTime(t, to)) - r.flowed(from))
		}
	}
	return base
}

// lessOf is how much less of an amount is counted with that phase turned.
func lessOf(v int64) int64 { return v * 2 * spread[turnedPhase] / 100 }

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// modelOf is what the register says by which the model is known.
func modelOf(m scan.Model) *big.Rat {
	if len(m.Is) > 0 {
		return new(big.Rat).SetInt(new(big.Int).SetUint64(m.Is[0]))
	}
	var b [8]byte
	size := sizeOf(m.Point.Type, m.Point.Order)
	copy(b[8-size:], m.Texts[0])
	return new(big.Rat).SetInt(new(big.Int).SetUint64(binary.BigEndian.Uint64(b[:])))
}
