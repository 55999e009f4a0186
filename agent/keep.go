package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/power"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// origin is how a register is read. When it is not what it was when the state
// was kept, the register's numbers are not comparable any more: the series
// begins anew, with a statement of baseline that says why.
type origin struct {
	read, serial [8]byte
	device       [8]byte // the serial number that the meter itself gave last; zero where it gave none
}

// originWords say it in statements, e.g. "modbus unit 1 input 0x0048 float32 ABCD".
func originWords(b *config.Bus, m *config.Meter, r *config.Register) string {
	words := fmt.Sprintf("%s unit %d %s %#04x %s %s", b.Driver, m.Unit, r.Table, r.Address, r.Type, r.Order)
	switch {
	case r.Heard != nil:
		words = fmt.Sprintf("%s %s %s %s %s", b.Driver, b.Listening.Format, m.Device, r.Heard.Name, r.Heard.Topic)
	case m.SunSpec != nil:
		words = fmt.Sprintf("%s unit %d sunspec %s %d", b.Driver, m.Unit, m.SunSpec.Kind, m.SunSpec.Part)
	}
	return strings.Join(strings.Fields(words), " ")
}

func originOf(b *config.Bus, m *config.Meter, r *config.Register) (o origin) {
	ratios := r.CT
	if r.VT != "" {
		ratios += "|" + r.VT
	}
	if r.Primary {
		ratios += "|primary"
	}
	if r.Pulse != "" {
		ratios += "|" + r.Pulse
	}
	o.read = hash8(fmt.Sprintf("%s|%s|%s|%s|%d", originWords(b, m, r), r.Unit, r.Scale, ratios, r.Modulus))
	if m.Serial != "" {
		o.serial = hash8(m.Serial)
	}
	return o
}

func hash8(s string) (out [8]byte) {
	h := sha256.Sum256([]byte(s))
	copy(out[:], h[:])
	return out
}

// keptVersion is the first byte of what the agent keeps of a register. Version
// 1 knew no serial number of the meter's own, version 2 only the last one.
const keptVersion = 3

// keptHead is the length of what has a place of its own: version, read,
// serial, device and the last statement's hash.
const keptHead = 1 + 8 + 8 + 8 + 32

var errKept = errors.New("the kept state is damaged")

// appendKept writes what a register needs to go on after a restart: how it was
// read, its last statement and sample, and its accumulator's state.
func (r *register) appendKept(dst []byte) []byte {
	dst = append(dst, keptVersion)
	dst = append(dst, r.origin.read[:]...)
	dst = append(dst, r.origin.serial[:]...)
	dst = append(dst, r.origin.device[:]...)
	dst = append(dst, r.previous[:]...)
	at, value := int64(0), int64(-1)
	base, ok := r.counter.Base()
	if g, is := r.counter.(*power.Integrator); is {
		base, ok = g.Counted() // what closes it: its watts are no reading of a register
	}
	if ok {
		at, value = base.At.UnixMilli(), base.Value
	}
	dst = binary.AppendVarint(dst, at)
	dst = binary.AppendVarint(dst, value)
	from := len(dst)
	dst = r.check.State(dst)
	var length [binary.MaxVarintLen64]byte // it stands before the state, and is known after it
	dst = slices.Insert(dst, from, length[:binary.PutUvarint(length[:], uint64(len(dst)-from))]...)
	dst = r.hung.append(dst)
	return r.counter.State(dst)
}

// kept is a register as it was kept.
type kept struct {
	read, serial, device [8]byte
	previous             [32]byte
	base                 *energy.Reading // nil: it was not open
	hung                 hung
	judged, state        []byte // of the validation and of the counter
}

func parseKept(b []byte) (k kept, err error) {
	version := byte(0)
	if len(b) > 17 {
		version = b[0]
	}
	if version == 1 {
		b = append(append(bytes.Clone(b[:17]), make([]byte, 8)...), b[17:]...)
	}
	if len(b) < keptHead || version < 1 || version > keptVersion {
		return k, errKept
	}
	copy(k.read[:], b[1:])
	copy(k.serial[:], b[9:])
	copy(k.device[:], b[17:])
	copy(k.previous[:], b[25:])
	rest := b[keptHead:]
	at, n := binary.Varint(rest)
	if n <= 0 {
		return k, errKept
	}
	rest = rest[n:]
	value, n := binary.Varint(rest)
	if n <= 0 {
		return k, errKept
	}
	rest = rest[n:]
	if version > 1 {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return k, errKept
		}
		k.judged, rest = rest[n:n+int(length)], rest[n+int(length):]
	}
	k.hung = hung{device: k.device}
	if version > 2 {
		if k.hung, rest, err = parseHung(rest); err != nil {
			return k, err
		}
	}
	k.state = rest
	if value >= 0 && at > 0 {
		k.base = &energy.Reading{ReadAt: time.UnixMilli(at).UTC(), Value: value}
	}
	return k, nil
}

// restore continues from what was kept. The error says why it cannot: then
// the register begins anew, and its first sample is a new opening.
// stated reports whether the operator has stated a meter exchange since an
// instant: then the counter goes on, and the statement decides.
func (r *register) restore(b []byte, by *validate.Checkers, rules validate.Options, period time.Duration, stated func(time.Time) bool) error {
	r.counter = counterOf(r.cfg, period)
	if len(b) == 0 {
		return nil // never read before
	}
	k, err := parseKept(b)
	if err != nil {
		return err
	}
	r.previous, r.origin.device, r.hung = k.previous, k.device, k.hung
	if c, err := by.Restore(r.key, rules, k.judged); err == nil {
		r.check = c
	}
	switch {
	case k.serial != r.origin.serial && k.serial != [8]byte{} && r.origin.serial != [8]byte{}:
		if k.base == nil || !stated(k.base.ReadAt) {
			r.breakKind = energy.ExchangeStatement
		}
	case k.read != r.origin.read:
		r.breakKind = energy.ConfigChangeStatement
	}
	if r.breakKind != "" {
		r.before = k.base
		if r.breakKind == energy.ExchangeStatement {
			return errors.New("the serial number in the configuration is another one: the series begins anew")
		}
		return errors.New("the configuration reads it in another way now: the series begins anew")
	}
	c, err := restoredCounter(r.cfg, period, k.state)
	if err != nil {
		return err
	}
	r.counter = c
	return nil
}
