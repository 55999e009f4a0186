package site

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// station is a meter, or a module with several counters, that answers to one
// address on a Modbus bus.
type station struct {
	number    uint8
	dice      *fault.Dice
	title     string // for the device identification
	registers []*register
	signs     []*register // what it shows besides
	serial    *modbus.Serial
	alarms    []config.Alarm
	parts     map[*register]int // of a SunSpec device: which of its meters, from 1
	names     [2]string         // serial number, and that of the meter put in its place
}

// moment is what happens to the values of one answer.
type moment uint8

const (
	plain   moment = iota
	zeros          // every total is 0
	nothing        // every register says that it has no value
)

// words gives the registers [address, address+n) of a table, as bytes; ok is
// false where one of them is not there.
func (u *station) words(input bool, address, n uint16, t time.Time, m moment) (out []byte, ok bool) {
	out = make([]byte, 2*int(n))
	have := make([]bool, n)
	put := func(at uint16, value []byte) {
		for i := range len(value) / 2 {
			if k := int(at) + i - int(address); k >= 0 && k < int(n) {
				copy(out[2*k:], value[2*i:2*i+2])
				have[k] = true
			}
		}
	}
	for _, r := range slices.Concat(u.signs, u.registers) {
		if r.cfg.Table == "input" == input && !isSunSpec(r.cfg) {
			put(r.cfg.Address, r.bytes(t, m))
		}
	}
	if !input {
		put(sunBase, u.sunSpec(t, m))
	}
	for _, a := range u.alarms {
		if a.Table == word(input, "input", "holding") && int(a.Address)-int(address) >= 0 && int(a.Address)-int(address) < int(n) {
			k := int(a.Address) - int(address)
			if have[k] = true; u.raised() != a.Clear {
				out[2*k+1-a.Bit/8] |= 1 << (a.Bit % 8)
			}
		}
	}
	if u.serial != nil && u.serial.Table == "input" == input {
		put(u.serial.Address, u.serialBytes(t))
	}
	for _, one := range have {
		if !one {
			return nil, false
		}
	}
	return out, true
}

// raised reports whether the meter says that something is wrong with it.
func (u *station) raised() bool {
	_, _, on := u.dice.On("alarm")
	return on
}

// bits gives the coils or discrete inputs [address, address+n); ok is false
// where none of them is an alarm. The others are 0.
func (u *station) bits(table string, address, n uint16) (out []byte, ok bool) {
	out = make([]byte, (int(n)+7)/8)
	for i := range int(n) {
		k := slices.IndexFunc(u.alarms, func(a config.Alarm) bool { return a.Table == table && int(a.Address) == int(address)+i })
		if k < 0 {
			continue
		}
		if ok = true; u.raised() != u.alarms[k].Clear {
			out[i/8] |= 1 << (i % 8)
		}
	}
	return out, ok
}

// bytes is the register as it is on the wire.
func (r *register) bytes(t time.Time, m moment) []byte {
	c := r.cfg
	size := sizeOf(c.Type, c.Order)
	var bits uint64
	switch {
	case m == nothing:
		bits = none(c, size)
	case m == zeros && !c.Power:
	case c.Type == "float32":
		f, _ := r.value(t).Float32()
		bits = uint64(math.Float32bits(f))
	case c.Type == "float64":
		f, _ := r.value(t).Float64()
		bits = math.Float64bits(f)
	case c.Type == "bcd":
		bits = bcd(r.raw(t))
	case c.Power:
		v := r.value(t)
		bits = uint64(new(big.Int).Quo(v.Num(), v.Denom()).Int64()) // of the size that is sent, in two's complement
	default:
		bits = r.raw(t).Uint64()
	}
	return ordered(bits, size, c.Order)
}

// none is how the register says that it has no value.
func none(c config.Register, size int) uint64 {
	if len(c.Invalid) > 0 {
		return c.Invalid[0]
	}
	switch c.Type {
	case "float32":
		return 0x7FC00000
	case "float64":
		return 0x7FF8000000000000
	case "int16", "int32", "int64":
		return 1 << (8*size - 1)
	}
	return math.MaxUint64 >> (64 - 8*size)
}

func sizeOf(typ, order string) int {
	if typ == "bcd" {
		return max(4, len(order))
	}
	bits, _ := strconv.Atoi(typ[len(typ)-2:])
	return bits / 8
}

// ordered puts the bytes of a value in the order that a meter sends them.
func ordered(bits uint64, size int, order string) []byte {
	var straight [8]byte
	binary.BigEndian.PutUint64(straight[:], bits)
	value := straight[8-size:]
	if order == "" {
		return append([]byte(nil), value...)
	}
	out := make([]byte, size)
	for i := range out {
		out[i] = value[order[i]-'A']
	}
	return out
}

// bcd writes a number with a digit in each half of a byte.
func bcd(v *big.Int) (bits uint64) {
	for _, d := range v.String() {
		bits = bits<<4 | uint64(d-'0')
	}
	return bits
}

// identity is the serial number at a time: another one after an exchange.
func (u *station) identity(t time.Time) string {
	for _, r := range u.registers {
		if _, ok := r.exchanged(t); ok {
			return u.names[1]
		}
	}
	return u.names[0]
}

// serialBytes is the serial number as it is on the wire.
func (u *station) serialBytes(t time.Time) []byte {
	s, name := u.serial, u.identity(t)
	if s.Type == "string" {
		out := make([]byte, 2*s.Words)
		copy(out, name)
		if s.Order == "BA" {
			for i := 0; i < len(out); i += 2 {
				out[i], out[i+1] = out[i+1], out[i]
			}
		}
		return out
	}
	size := sizeOf(s.Type, s.Order)
	n, _ := strconv.ParseUint(name, 10, 64)
	if s.Type == "uint16" {
		n &= 0x7FFF
	}
	if s.Type == "bcd" {
		return ordered(bcd(new(big.Int).SetUint64(n)), size, s.Order)
	}
	return ordered(n, size, s.Order)
}

// serialOf makes a serial number from a meter's name; that of the file where
// it is digits.
func serialOf(m config.Meter, which string) string {
	if n, err := strconv.ParseUint(m.Serial, 10, 31); which == "" && err == nil && n > 0 {
		return m.Serial
	}
	h := fnv.New32a()
	h.Write([]byte(m.ID + which))
	return fmt.Sprint(10_000_000 + h.Sum32()%80_000_000)
}
