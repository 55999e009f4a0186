package modbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// Alarm is one bit by which a meter says that something is wrong with it: a
// coil, a discrete input, or a bit of a status register. Single bits are no
// totals, and this is what they are good for.
type Alarm struct {
	Address uint16 // the protocol address, from 0
	Table   string // "coil", "discrete", "holding" or "input"
	Bit     int    // of a register: 0, the least significant, to 15; 0 of the other tables
	Clear   bool   // the alarm is on while the bit is 0
	Invalid bool   // while it is on, what the meter shows is not to be counted (rule V14)
}

// Check says what is wrong with an alarm, or nil.
func (a Alarm) Check() error {
	switch a.Table {
	case "coil", "discrete":
		if a.Bit != 0 {
			return fmt.Errorf("bit %d: a %s is a single bit: leave bit out", a.Bit, a.Table)
		}
	case "holding", "input":
		if a.Bit < 0 || a.Bit > 15 {
			return fmt.Errorf("bit %d: a register has bits 0 to 15, 0 the least significant", a.Bit)
		}
	default:
		return fmt.Errorf("table %q: use coil, discrete, holding or input", a.Table)
	}
	return nil
}

func (a Alarm) function() byte {
	return map[string]byte{"coil": readCoils, "discrete": readDiscrete, "holding": readHolding, "input": readInput}[a.Table]
}

// alarms are those of one device.
type alarms struct {
	all      []Alarm
	asks     []alarmRead
	states   []drivers.AlarmState
	before   []drivers.AlarmState // as they were before this round
	silences int                  // rounds in a row in which it did not answer
	next     time.Time
}

// alarmRead is one read of bits, or of registers, and the alarms that it answers.
type alarmRead struct {
	function byte
	address  uint16
	count    uint16 // bits, or registers
	alarms   []int
}

// The most that one read may ask for (Modbus application protocol 1.1b3,
// sections 6.1 and 6.2).
const maxBits = 2000

var errAlarmUnread = errors.New("not read yet")

func newAlarms(all []Alarm) (*alarms, error) {
	if len(all) == 0 {
		return nil, nil
	}
	a := &alarms{all: all, states: make([]drivers.AlarmState, len(all))}
	order := make([]int, len(all))
	for i, x := range all {
		if err := x.Check(); err != nil {
			return nil, err
		}
		order[i], a.states[i].Err = i, errAlarmUnread
	}
	slices.SortStableFunc(order, func(i, k int) int {
		return cmp.Or(cmp.Compare(all[i].function(), all[k].function()), cmp.Compare(all[i].Address, all[k].Address))
	})
	for _, i := range order {
		x := all[i]
		most := maxWords
		if x.function() < readHolding {
			most = maxBits
		}
		if n := len(a.asks); n > 0 {
			last := &a.asks[n-1]
			if words := int(x.Address) - int(last.address) + 1; last.function == x.function() && words <= int(last.count)+1 && words <= most {
				last.count = max(last.count, uint16(words))
				last.alarms = append(last.alarms, i)
				continue
			}
		}
		a.asks = append(a.asks, alarmRead{x.function(), x.Address, 1, []int{i}})
	}
	return a, nil
}

// Alarms gives what the alarms of a device were at its last Poll, in the order
// of its configuration; see drivers.Alarmer.
func (b *Bus) Alarms(i int) []drivers.AlarmState {
	if b.devices[i].alarms == nil {
		return nil
	}
	return b.devices[i].alarms.states
}

// readAlarms reads the alarms of a device that has just answered, and marks the
// readings of the round while one is on by which they are not to be counted.
// An alarm that cannot be read says nothing: neither that all is well nor that
// the readings are bad.
func (b *Bus) readAlarms(ctx context.Context, d *device, round []drivers.Reading) {
	a, now := d.alarms, b.cfg.Now()
	if a != nil {
		a.before = append(a.before[:0], a.states...)
	}
	if a == nil || now.Before(a.next) && a.next.Sub(now) <= identifyRetry {
		return
	}
	a.next = time.Time{}
	silent := false
	for k := 0; k < len(a.asks); k++ {
		ask := a.asks[k]
		bits, err := b.readBits(ctx, d, ask)
		if isMissingRegister(err) && len(ask.alarms) > 1 {
			apart := make([]alarmRead, len(ask.alarms))
			for n, i := range ask.alarms {
				apart[n] = alarmRead{ask.function, a.all[i].Address, 1, []int{i}}
			}
			a.asks = slices.Replace(a.asks, k, k+1, apart...)
			k--
			continue
		}
		silent = silent || err != nil && !isException(err)
		for _, i := range ask.alarms {
			a.states[i] = drivers.AlarmState{}
			if err != nil {
				a.states[i].Err = b.explain(fmt.Sprintf("read unit %d %s %#04x", d.unit, a.all[i].Table, a.all[i].Address), err)
				continue
			}
			a.states[i].On = bits(a.all[i]) != a.all[i].Clear
		}
		if silent {
			break
		}
	}
	if a.silences++; !silent {
		a.silences = 0
	} else if a.silences >= habit {
		a.next = now.Add(identifyRetry) // some devices fall silent at a table that they lack
	}
	for i, x := range a.all {
		if !x.Invalid || !a.states[i].On || a.states[i].Err != nil {
			continue
		}
		for k := range round {
			if round[k].Err == nil {
				round[k].Flags = round[k].Flags.With(14)
			}
		}
	}
}

// habit is after how many silences a device is taken to be silent at what it
// is asked for.
const habit = 3

// readBits does one read, and gives a function that finds an alarm's bit.
func (b *Bus) readBits(ctx context.Context, d *device, ask alarmRead) (func(Alarm) bool, error) {
	if err := b.connect(ctx); err != nil { // a time-out dropped it
		return nil, err
	}
	if err := b.client.SetUnitId(d.unit); err != nil {
		return nil, err
	}
	if err := b.pause(ctx); err != nil {
		return nil, err
	}
	if ask.function >= readHolding {
		data, err := b.ask(request{input: ask.function == readInput, address: ask.address, words: ask.count})
		return func(a Alarm) bool {
			k := 2 * int(a.Address-ask.address)
			return (uint16(data[k])<<8|uint16(data[k+1]))>>a.Bit&1 == 1
		}, err
	}
	b.asked = true
	data, err := b.client.bits(ask.function, ask.address, ask.count)
	if isException(err) {
		b.counts.exceptions.Add(1)
	} else if err != nil && (b.target.scheme != "rtu" || errors.Is(err, errUnplugged)) {
		b.Close()
	}
	return func(a Alarm) bool {
		k := int(a.Address - ask.address)
		return data[k/8]>>(k%8)&1 == 1
	}, err
}

// takeBack is for a round whose answers are not believed.
func (a *alarms) takeBack() {
	if a != nil {
		copy(a.states, a.before)
	}
}
