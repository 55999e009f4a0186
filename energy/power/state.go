package power

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// stateVersion is the first byte of every state. It differs from the versions
// of energy.Accumulator, so that a point that was a register before (or the
// other way) is opened anew rather than misread. A change of the encoding takes
// the next number.
const stateVersion = 0x50 + 1

// Bits of the second byte.
const (
	stateOpen = 1 << iota
	stateKnown
	stateBroken
	stateAll = stateOpen | stateKnown | stateBroken
)

// State appends everything that is needed to go on exactly from here.
//
// The encoding: version, flags, then varints: measure, period (µs); where open:
// time (µs) and value of the last reading, Wh and rest counted, Wh at the start
// of the half-hour in progress, samples in it, the reading before its start
// (time back from the last one, value).
func (g *Integrator) State(dst []byte) []byte {
	var flags byte
	if g.open {
		flags |= stateOpen
	}
	if g.known {
		flags |= stateKnown
	}
	if g.broken {
		flags |= stateBroken
	}
	dst = append(dst, stateVersion, flags)
	dst = binary.AppendVarint(dst, int64(g.reg.Measure))
	dst = binary.AppendVarint(dst, g.period)
	if !g.open {
		return dst
	}
	for _, v := range [...]int64{
		g.base.at, g.base.value, g.total.wh, g.total.rest, g.from, int64(g.samples),
		g.base.at - g.before.at, g.before.value,
	} {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// errDamaged says that a state is none.
var errDamaged = errors.New("power: the state is damaged: start the point anew")

// Restore continues from a State. An error means that the state cannot be used
// for this point and period: start anew with New, whose first reading is then
// a new opening.
func Restore(reg energy.Register, period, maxGap time.Duration, state []byte) (*Integrator, error) {
	g := New(reg, period, maxGap)
	if len(state) < 2 { // mutate: two bytes alone end too early, which is found further on in the same words
		return nil, errDamaged
	}
	if state[0] != stateVersion {
		return nil, fmt.Errorf("power: state has version %d, this program reads %d: start the point anew", state[0], stateVersion)
	}
	flags := state[1]
	if flags&^byte(stateAll) != 0 || flags&stateKnown != 0 && flags&stateBroken != 0 || flags&stateOpen == 0 && flags != 0 {
		return nil, errDamaged
	}
	n := 2
	if flags&stateOpen != 0 {
		n += 8
	}
	var v [10]int64
	if !readVarints(state[2:], v[:n]) {
		return nil, errDamaged
	}
	if v[0] != int64(reg.Measure) || v[1] != g.period {
		return nil, fmt.Errorf("power: the state is of %s with a period of %s, not of %s with %s: start the point anew",
			energy.Measure(v[0]), time.Duration(v[1])*time.Microsecond, reg.Measure, time.Duration(g.period)*time.Microsecond)
	}
	if flags&stateOpen == 0 {
		return g, nil
	}
	g.open, g.known, g.broken = true, flags&stateKnown != 0, flags&stateBroken != 0
	g.base, g.total, g.from = point{v[2], v[3]}, tally{v[4], v[5]}, v[6]
	g.samples, g.before = int(v[7]), point{v[2] - v[8], v[9]}
	if !g.sound() || int64(g.samples) != v[7] {
		return nil, errDamaged
	}
	return g, nil
}

// readVarints fills v from b, which must hold just that.
func readVarints(b []byte, v []int64) bool {
	for i := range v {
		x, n := binary.Varint(b)
		if n <= 0 {
			return false
		}
		v[i], b = x, b[n:]
	}
	return len(b) == 0
}

// maxWh bounds what can have been counted: the largest power for 200 years.
const maxWh = maxWatts * 200 * 366 * 24

// sound reports whether the integrator is in a state that it can get into.
func (g *Integrator) sound() bool {
	clock := func(p point) bool {
		return p.at >= firstTime && p.at < lastTime && p.value >= -maxWatts && p.value <= maxWatts
	}
	return clock(g.base) && clock(g.before) && g.before.at <= g.base.at && g.samples >= 0 &&
		g.from >= 0 && g.from <= g.total.wh && g.total.wh <= maxWh && g.total.rest >= 0 && g.total.rest < perWh &&
		(!g.known && !g.broken || g.before.at <= g.start())
}
