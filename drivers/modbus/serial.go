package modbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Serial is where a device keeps its serial number.
type Serial struct {
	Address uint16 // the protocol address, from 0
	Table   string // "holding" (the default) or "input"
	Type    string // uint16 uint32 uint64 bcd string
	Order   string // as in Point; for a string "AB" (the default) or "BA": the order of the two characters in each register
	Words   int    // registers that a string takes, 1 to 32; 0 for the other types
}

// SerialTypes lists the types that a serial number can have.
func SerialTypes() []string { return []string{"uint16", "uint32", "uint64", "bcd", "string"} }

const maxSerialWords = 32

// Check says what is wrong with it, or nil.
func (s Serial) Check() error { _, err := s.compile(); return err }

// serial is a Serial, checked and made ready for the wire.
type serial struct {
	layout
	text    bool
	swapped bool // the second character of each register comes first
}

func (s Serial) compile() (serial, error) {
	switch {
	case s.Type == "string":
		return s.compileText()
	case s.Words != 0:
		return serial{}, fmt.Errorf("words: a %s has its own length: leave words out", s.Type)
	case s.Type != "uint16" && s.Type != "uint32" && s.Type != "uint64" && s.Type != "bcd":
		return serial{}, fmt.Errorf("type %q: a serial number is uint16 uint32 uint64 bcd or string", s.Type)
	}
	l, err := newLayout(s.Address, s.Table, s.Type, s.Order)
	return serial{layout: l}, err
}

func (s Serial) compileText() (serial, error) {
	c := serial{text: true, swapped: s.Order == "BA"}
	c.address, c.words = s.Address, uint16(s.Words)
	var err error
	if c.input, err = table(s.Table); err != nil {
		return c, err
	}
	switch {
	case s.Words < 1 || s.Words > maxSerialWords:
		return c, fmt.Errorf("words: %d: a string takes 1 to %d registers: say how many", s.Words, maxSerialWords)
	case int(s.Address)+s.Words > 0x10000:
		return c, fmt.Errorf("address %#04x: %d registers do not fit before the end of the table", s.Address, s.Words)
	case s.Order != "" && s.Order != "AB" && s.Order != "BA":
		return c, fmt.Errorf("order %q: the two characters of a register come as AB or as BA", s.Order)
	}
	return c, nil
}

// decode gives the serial number as it is printed on meters: digits without
// leading zeros, or the text without padding. It is "" where the register is
// not programmed: 0, all ones, no digits, no printable text.
func (c *serial) decode(wire []byte) string {
	if c.text {
		return c.fromText(wire[:int(c.words)*2])
	}
	raw := c.raw(wire)
	if raw == 0 || raw == ^uint64(0)>>(64-c.width()) {
		return ""
	}
	if c.kind == bcd {
		v, err := fromBCD(raw, int(c.width())/4)
		if err != nil {
			return ""
		}
		raw = v
	}
	return strconv.FormatUint(raw, 10)
}

func (c *serial) fromText(wire []byte) string {
	var b strings.Builder
	for i := range wire {
		k := i
		if c.swapped {
			k ^= 1
		}
		ch := wire[k]
		if ch == 0 {
			break // padded with zeros
		}
		if ch < ' ' || ch > '~' {
			return "" // not text: wrong address, or 0xFF where nothing is programmed
		}
		b.WriteByte(ch)
	}
	return strings.TrimSpace(b.String())
}

// How often a device is asked who it is. A meter cannot be exchanged without
// silence on its wire, so that the moment after a failure is when it matters.
const (
	identifyEvery = time.Minute      // while all is well
	identifyRetry = 10 * time.Minute // after no answer at all to that question: a few devices fall silent at a register that they lack
)

// identity is what is known of who a device is.
type identity struct {
	number string
	next   time.Time // ask not before, unless due
	due    bool      // the device was not to be read since: ask at the next answer
}

// Identity is the serial number that the device gave at its last successful
// Poll; "" while it is not known, or where the device has none (see
// drivers.Identifier).
func (b *Bus) Identity(i int) string { return b.devices[i].who.number }

// identify asks a device that has just answered for its serial number, where
// that is due. Its failing costs no reading: those of this Poll are there
// already.
func (b *Bus) identify(ctx context.Context, d *device) {
	if d.serial == nil {
		return
	}
	now := b.cfg.Now()
	early := now.Before(d.who.next) && d.who.next.Sub(now) <= identifyRetry // else the clock was set back
	if early && !d.who.due || b.pause(ctx) != nil {
		return
	}
	r := request{input: d.serial.input, address: d.serial.address, words: d.serial.words}
	data, err := b.ask(r)
	switch {
	case err == nil:
		d.who = identity{number: d.serial.decode(data), next: now.Add(identifyEvery)}
		if b.rtu != nil { // in each round: it also closes the round with an answer that is known
			d.who.next = now
		}
	case isException(err): // it answers, and does not say
		d.who = identity{next: now.Add(identifyEvery)}
	default:
		d.who = identity{next: now.Add(identifyRetry)}
	}
}
