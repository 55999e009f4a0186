package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// origin is how a register is read. When it is not what it was when the state
// was kept, the register's numbers are not comparable any more: the series
// begins anew, with a statement of baseline that says why.
type origin struct {
	words        string // for statements, e.g. "modbus unit 1 input 0x0048 float32 ABCD"
	read, serial [8]byte
}

func originOf(b config.Bus, m config.Meter, r *config.Register) origin {
	words := fmt.Sprintf("%s unit %d %s %#04x %s %s", b.Driver, m.Unit, r.Table, r.Address, r.Type, r.Order)
	o := origin{words: strings.Join(strings.Fields(words), " ")}
	o.read = hash8(fmt.Sprintf("%s|%s|%s|%s|%d", o.words, r.Unit, r.Scale, r.CT, r.Modulus))
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

// keptVersion is the first byte of what the agent keeps of a register.
const keptVersion = 1

var errKept = errors.New("the kept state is damaged")

// appendKept writes what a register needs to go on after a restart: how it was
// read, its last statement and sample, and its accumulator's state.
func (r *register) appendKept(dst []byte) []byte {
	dst = append(dst, keptVersion)
	dst = append(dst, r.origin.read[:]...)
	dst = append(dst, r.origin.serial[:]...)
	dst = append(dst, r.previous[:]...)
	dst = binary.AppendVarint(dst, r.base.At.UnixMilli())
	dst = binary.AppendVarint(dst, r.base.Value)
	return r.acc.State(dst)
}

// restore continues from what was kept. The error says why it cannot: then
// the register begins anew, and its first sample is a new opening.
func (r *register) restore(kept []byte, period time.Duration) error {
	r.acc = energy.NewAccumulator(r.cfg.Energy(), period)
	if len(kept) == 0 {
		return nil // never read before
	}
	if len(kept) < 49 || kept[0] != keptVersion {
		return errKept
	}
	read, serial := kept[1:9], kept[9:17]
	copy(r.previous[:], kept[17:49])
	rest := kept[49:]
	at, n := binary.Varint(rest)
	if n <= 0 {
		return errKept
	}
	rest = rest[n:]
	value, n := binary.Varint(rest)
	if n <= 0 {
		return errKept
	}
	rest = rest[n:]
	base := energy.Sample{At: time.UnixMilli(at).UTC(), Value: value}
	switch none := make([]byte, 8); {
	case !bytes.Equal(serial, r.origin.serial[:]) && !bytes.Equal(serial, none) && r.origin.serial != [8]byte{}:
		r.breakKind = energy.ExchangeStatement
	case !bytes.Equal(read, r.origin.read[:]):
		r.breakKind = energy.ConfigChangeStatement
	}
	if r.breakKind != "" {
		if value >= 0 && at > 0 {
			r.before = &energy.Reading{ReadAt: base.At, Value: value}
		}
		if r.breakKind == energy.ExchangeStatement {
			return errors.New("the serial number in the configuration is another one: the series begins anew")
		}
		return errors.New("the configuration reads it in another way now: the series begins anew")
	}
	acc, err := energy.RestoreAccumulator(r.cfg.Energy(), period, rest)
	if err != nil {
		return err
	}
	r.acc, r.base = acc, base
	return nil
}
