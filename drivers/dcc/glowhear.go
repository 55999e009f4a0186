package dcc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// glowHearer turns messages of displays into deliveries. It is used by one goroutine.
type glowHearer struct {
	cfg     Config
	prefix  string
	deliver func(int, []drivers.Reading)
	points  map[[2]int]*glowPoint
	shown   map[int]string  // by device: the display that it is taken from
	warned  map[string]bool // what was said once
}

// glowPoint is what is remembered of a register.
type glowPoint struct {
	at    time.Time // of the message that was delivered last
	value int64
	zeros int // in a row, before anything else was heard
	some  bool
	gas   refresh
	wrong bool // what was delivered last was no value
}

const (
	// retainedOld is the age from which on a retained message is no live one.
	retainedOld = 15 * time.Minute
	// sureZeros is how often an export of 0 is heard before it is believed: a
	// display that has just been switched on shows it for a moment.
	sureZeros = 3
)

func newGlowHearer(c Config, prefix string, deliver func(int, []drivers.Reading)) *glowHearer {
	return &glowHearer{cfg: c, prefix: prefix, deliver: deliver, points: map[[2]int]*glowPoint{}, shown: map[int]string{}, warned: map[string]bool{}}
}

// hear delivers what a message says. It reports whether a display spoke.
func (h *glowHearer) hear(a arrival) bool {
	messages, err := decodeGlow(h.prefix, a.topic, a.payload)
	if err != nil {
		h.once("topic "+a.topic+" "+err.Error(), "a display's message is not read", "topic", clip(a.topic), "error", err)
		return false
	}
	for _, m := range messages {
		for i, d := range h.cfg.Devices {
			if !d.wants(m) || !h.matches(i, m) {
				continue
			}
			var out []drivers.Reading
			for j, measure := range d.Measures {
				if reg, ok := m.registers[measure]; ok {
					if r, keep := h.point(i, j).told(measure, reg, m, a); keep {
						r.Point = j
						out = append(out, r)
					}
				}
			}
			if len(out) > 0 {
				h.deliver(i, out)
			}
		}
	}
	return len(messages) > 0
}

func (h *glowHearer) point(device, point int) *glowPoint {
	k := [2]int{device, point}
	if h.points[k] == nil {
		h.points[k] = &glowPoint{}
	}
	return h.points[k]
}

// wants reports whether a device has a measure of the kind of meter.
func (d Device) wants(m glowMessage) bool {
	for _, measure := range d.Measures {
		if _, ok := m.registers[measure]; ok {
			return true
		}
	}
	return false
}

// matches reports whether a message is of a device: of its display, or of its
// MPAN or MPRN. Where the only meter of a kind is called otherwise, or the
// display does not know its number, the first display that is heard is taken,
// and no other after it.
func (h *glowHearer) matches(device int, m glowMessage) bool {
	name := h.cfg.Devices[device].Name
	if mac := macOf(name); mac != "" {
		return mac == macOf(m.display)
	}
	if number := known(name); number != "" && m.id != "" {
		return number == m.id
	}
	for i, d := range h.cfg.Devices {
		if i != device && d.wants(m) {
			h.once(fmt.Sprint("several ", device, m.display), "which display a meter is on is not known: write its MAC as device", "meter", h.cfg.Devices[device].Meter, "display", m.display)
			return false
		}
	}
	if h.shown[device] == "" {
		h.shown[device] = m.display
	}
	if h.shown[device] != m.display {
		h.once(fmt.Sprint("second ", device, m.display), "a second display is heard and not taken: write the MAC of the right one as device", "meter", h.cfg.Devices[device].Meter, "taken", h.shown[device], "second", m.display)
		return false
	}
	return true
}

// macOf is a MAC in the way that topics have it: 12 hexadecimal digits; "" for
// what is none.
func macOf(s string) string {
	s = strings.ToUpper(strings.NewReplacer(":", "", "-", "").Replace(s))
	if len(s) != 12 || strings.Trim(s, "0123456789ABCDEF") != "" {
		return ""
	}
	return s
}

// once warns of something the first time.
func (h *glowHearer) once(key, message string, args ...any) {
	const most = 1000                           // topics are anybody's
	if !h.warned[key] && len(h.warned) < most { // mutate: one more or less is all the same
		h.warned[key] = true
		h.cfg.Logger.Warn(message, args...)
	}
}

// told is reading; where that has nothing new to say after something that was
// no value, it says that this is over.
func (p *glowPoint) told(measure energy.Measure, reg register, m glowMessage, a arrival) (r drivers.Reading, keep bool) {
	if r, keep = p.reading(measure, reg, m, a); !keep && p.wrong && r.Err == nil && !a.retained {
		r, keep = drivers.Reading{Again: true}, true
	}
	if keep {
		p.wrong = r.Err != nil
	}
	return r, keep
}

// reading turns a register of a message into a reading. keep is false for what
// was delivered before, or cannot be dated.
func (p *glowPoint) reading(measure energy.Measure, reg register, m glowMessage, a arrival) (r drivers.Reading, keep bool) {
	at := m.at
	if at.After(a.at) {
		at = a.at // the display's clock is ahead of ours: nothing is read in the future
	}
	old := a.retained && a.at.Sub(at) > retainedOld
	if reg.err != nil {
		return drivers.Reading{Err: reg.err}, !old
	}
	v := reg.value
	if measure == energy.Export {
		if err := p.zero(v, m.registers[energy.Import].err); err != nil {
			return drivers.Reading{Err: err}, !old
		}
	}
	r = drivers.Reading{Sample: energy.Sample{At: at.UTC(), Value: v}}
	if measure == energy.Gas {
		// The display's time is not that of the register, and says nothing of a clock.
		if a.retained {
			return r, false // nor is it known since when it shows that
		}
		r.Sample.At, keep = p.gas.hear(at.UTC(), v)
		return r, keep
	}
	r.DeviceAt = m.at
	if old {
		r.Flags = r.Flags.With(13)
	}
	if p.at.Equal(m.at) && p.value == v {
		return r, false
	}
	p.at, p.value = m.at, v
	return r, true
}

// zero judges an export: 0 is what a meter without a generator shows, and what a
// display shows that has not heard its meter yet.
func (p *glowPoint) zero(v int64, imported error) error {
	if v > 0 {
		p.some = true
		return nil
	}
	if imported == nil {
		p.zeros++
	}
	if p.some || p.zeros < sureZeros {
		return &drivers.Error{Kind: drivers.Sentinel, Op: "read export", Err: errors.New("it is 0: the display has not heard the meter yet")}
	}
	return nil
}
