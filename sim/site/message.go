package site

import (
	"math/big"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// source is a device that publishes by itself.
type source struct {
	meter     config.Meter
	registers []*register
	power     *register   // beside them, to check them by; nil: none. It is never counted
	signs     []*register // what it shows besides; see newSigns. Only on a Modbus wire
}

// all are the registers and the power beside them.
func (s *source) all() []*register {
	if s.power == nil {
		return s.registers
	}
	return append(slices.Clone(s.registers), s.power)
}

// report is what a device says at one moment of all its registers.
type report struct {
	source *source
	at     time.Time // of the values; zero: the device has no clock, and says 1970
	marked bool      // the values are old, and the device says so
	values []said
}

// said is one value, or that there is none.
type said struct {
	*register
	number *big.Rat // nil: none
}

// report reads the registers at a time.
func (s *source) report(t time.Time) report {
	out := report{source: s, at: t}
	for _, r := range s.all() {
		if r.cfg.Heard != nil && r.cfg.Heard.Interval > 0 {
			continue // not a register: see intervals
		}
		out.values = append(out.values, said{r, r.value(t)})
	}
	return out
}

// intervals are the totals of the interval that ended at a time.
func (s *source) intervals(end time.Time) report {
	out := report{source: s, at: end}
	for _, r := range s.registers {
		h := r.cfg.Heard
		if h == nil || h.Interval == 0 || !end.Equal(end.Truncate(h.Interval)) {
			continue
		}
		energy := r.flowed(end) - r.flowed(end.Add(-h.Interval))
		out.values = append(out.values, said{r, new(big.Rat).Quo(big.NewRat(energy, 1), r.factor)})
	}
	return out
}

// hit does to a report what a fault does to values.
func (r report) hit(name string) report {
	r.values = slices.Clone(r.values)
	for i := range r.values {
		v := &r.values[i]
		switch {
		case name == "zero" && !v.cfg.Power:
			v.number = new(big.Rat)
		case name == "nan":
			v.number = nil
		}
	}
	if name == "1970" {
		r.at = time.Time{}
	}
	return r
}

// message is what is published.
type message struct {
	topic   string
	payload []byte
	retain  bool
}

// format writes reports as one kind of source does.
type format interface {
	// messages are those of a report. They are asked for in the order in which
	// they are to go out.
	messages(r report) []message
	// foreign is what is not for the agent, near a device.
	foreign(s *source) []message
	// connected is what a source says when it has come to the broker; heard,
	// when it was told something.
	connected(sources []*source, t time.Time) []message
	heard(topic string, payload []byte, sources []*source, t time.Time) []message
	// left is what the broker says of sources that are gone.
	left() []message
	// faults are those that can be played.
	faults() []string
	// marks reports whether the sources say of an old value that it is old; else
	// they give its old time.
	marks() bool
	// listens is what the sources subscribe to; "" for nothing.
	listens() string
}

// speaks is what most formats have in common: nothing but reports.
type speaks struct{}

func (speaks) connected([]*source, time.Time) []message             { return nil }
func (speaks) heard(string, []byte, []*source, time.Time) []message { return nil }
func (speaks) marks() bool                                          { return false }
func (speaks) left() []message                                      { return nil }
func (speaks) listens() string                                      { return "" }

// spoken are the faults that every format can play.
var spoken = []string{"late", "lost", "zero", "nan", "repeat", "swap", "foreign", "short", "retained", "disconnect", "restart", "freeze", "exchange", "rollover"}

// dated are those of formats with times.
var dated = append(slices.Clone(spoken), "stale", "1970")

// seconds is a time as Unix milliseconds; 0 where there is none.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// stamp is a time as RFC 3339 has it, that of a device without a clock 1970.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
