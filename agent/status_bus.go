package agent

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// BusStatus is one wire.
type BusStatus struct {
	ID     string                  `json:"id"`
	URL    string                  `json:"url"`
	State  string                  `json:"state"` // ok, down or stuck
	Since  time.Time               `json:"since"` // it is up, or down
	Error  string                  `json:"error,omitempty"`
	Down   *drivers.Reason         `json:"down,omitempty"`      // why, in parts
	Again  time.Time               `json:"triedAgain,omitzero"` // while it is down: when it is tried next
	Polls  uint64                  `json:"polls"`
	Errors map[drivers.Kind]uint64 `json:"errors,omitempty"`
	Heard  bool                    `json:"heard,omitempty"` // it speaks by itself: Polls counts what was heard
	Busy   float64                 `json:"busy"`            // share of the time that it was asked, 0 to 1
	Wire   *drivers.Wire           `json:"wire,omitempty"`  // what went over it
}

// MeterStatus is one meter.
type MeterStatus struct {
	ID        string           `json:"id"`
	Bus       string           `json:"bus"`
	Unit      uint8            `json:"unit"`
	Type      string           `json:"type"`
	Template  string           `json:"template,omitempty"`
	Serial    string           `json:"serial,omitempty"`
	Derived   string           `json:"derived,omitempty"` // of a virtual meter: what it is, in words; it has no bus
	State     string           `json:"state"`             // waiting, ok, partly or failing; derived for a virtual meter
	Since     time.Time        `json:"since"`
	Error     string           `json:"error,omitempty"`
	Refused   []string         `json:"refused,omitempty"`  // the operator's statements that do not fit what was read
	Unfilled  []string         `json:"unfilled,omitempty"` // those that fit, and leave half-hours missing all the same
	Asked     time.Time        `json:"asked,omitzero"`
	Answered  time.Time        `json:"answered,omitzero"`
	Took      string           `json:"took,omitempty"`
	Failures  int              `json:"failures"`            // in a row
	Down      *drivers.Reason  `json:"down,omitempty"`      // why it is not read, in parts
	Again     time.Time        `json:"askedAgain,omitzero"` // while it is not read: when it is asked next
	Registers []RegisterStatus `json:"registers"`
	Alarms    []AlarmStatus    `json:"alarms,omitempty"`

	Latency *Latency                `json:"latency,omitempty"` // null before the first answer
	Traffic *drivers.Traffic        `json:"traffic,omitempty"` // null where the driver does not count
	Errors  map[drivers.Kind]uint64 `json:"errors,omitempty"`  // questions and values that came to nothing since the start
}

// RegisterStatus is one register of a meter.
type RegisterStatus struct {
	Measure  energy.Measure    `json:"measure"`
	Value    string            `json:"value,omitempty"` // exact decimal in UnitCode; empty before the first reading
	UnitCode string            `json:"unitCode"`
	At       time.Time         `json:"at,omitzero"`
	Age      *float64          `json:"ageSeconds,omitempty"` // of the value; null before the first
	Error    string            `json:"error,omitempty"`
	Why      *drivers.Reason   `json:"why,omitempty"`  // there was no value at the last poll, in parts
	Held     bool              `json:"held,omitempty"` // it shows a value that is not believed yet
	Settled  uint64            `json:"halfHours"`      // since the start
	Newest   time.Time         `json:"newestHalfHour,omitzero"`
	Events   map[string]uint64 `json:"events,omitempty"`
	Base     int64             `json:"-"` // base units, -1 before the first reading
}

func (b *bus) status(meters *[]MeterStatus, now time.Time) BusStatus {
	s := BusStatus{ID: b.cfg.ID, URL: b.cfg.URL, Heard: b.listener != nil, State: "ok"}
	observer := b.observer()
	if observer != nil {
		w := observer.Wire().After(b.before)
		s.Wire = &w
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Polls, s.Errors, s.Since = b.polls, maps.Clone(b.errs), b.since.UTC()
	machine := time.Now()
	if b.down > 0 {
		s.State, s.Error, s.Down = "down", b.err.Error(), drivers.ReasonOf(b.err)
		if b.listener == nil {
			s.Again = later(now, machine, b.retry.Load())
		}
	}
	if !b.alive(machine) {
		s.State, s.Error = "stuck", "the program gives no sign of life on this bus"
		s.Down = &drivers.Reason{Kind: drivers.Other, Says: s.Error, Hint: "the service manager starts it anew; where that does not help, restart the gateway"}
	}
	if up := time.Since(b.began); up > 0 {
		s.Busy = min(1, float64(b.busy)/float64(up))
	}
	all := b.neighbours()
	for i, m := range b.meters {
		ms := m.status(b.cfg.ID, now)
		if m.failures > 0 {
			others := all
			others.Silent--
			ms.Down = Why(m.err, others)
			if ms.Again = s.Again; b.listener == nil && b.down == 0 {
				ms.Again = later(now, machine, m.due.Load())
			}
		}
		ms.Unfilled = b.unfilled(m)
		if observer != nil {
			t := observer.Traffic(i).Add(m.before)
			ms.Traffic = &t
		}
		*meters = append(*meters, ms)
	}
	return s
}

// observer is the driver, where it counts what goes over its wire.
func (b *bus) observer() drivers.Observer {
	var d any = b.poller
	if b.listener != nil {
		d = b.listener
	}
	o, _ := d.(drivers.Observer)
	return o
}

// neighbours counts the meters of the bus that are read and those that are not.
func (b *bus) neighbours() (n Neighbours) {
	for _, m := range b.meters {
		switch {
		case m.failures > 0:
			n.Silent++
		case !m.answered.IsZero():
			n.Read++
		}
	}
	return n
}

// later gives an instant of the machine's clock by the one that dates
// readings; zero for one that is not known or has gone by.
func later(now, machine time.Time, at int64) time.Time {
	d := time.Unix(0, at).Sub(machine)
	if at == 0 || d <= 0 {
		return time.Time{}
	}
	return now.Add(d).UTC().Truncate(time.Millisecond)
}

func (m *meter) status(bus string, now time.Time) MeterStatus {
	s := MeterStatus{
		ID: m.cfg.ID, Bus: bus, Unit: m.cfg.Unit, Type: m.cfg.Type(), Template: m.cfg.Template, Serial: m.cfg.Serial,
		State: m.state(), Since: m.since.UTC(), Failures: m.failures, Asked: utc(m.asked), Answered: utc(m.answered),
		Latency: m.latency.status(), Errors: m.errors(),
	}
	if m.took > 0 {
		s.Took = m.took.Round(10 * time.Microsecond).String()
	}
	s.Refused, s.Alarms = slices.Clone(m.refused), m.alarmStatus()
	if m.err != nil {
		s.Error = m.err.Error()
	}
	for i := range m.registers {
		s.Registers = append(s.Registers, m.registers[i].status(now))
	}
	return s
}

// errors is what was counted, by kind; nil for none.
func (m *meter) errors() (out map[drivers.Kind]uint64) {
	for i, k := range drivers.Kinds() {
		if m.errs[i] > 0 {
			if out == nil {
				out = map[drivers.Kind]uint64{}
			}
			out[k] = m.errs[i]
		}
	}
	return out
}

func (r *register) status(now time.Time) RegisterStatus {
	s := RegisterStatus{Measure: r.key.Measure, UnitCode: r.key.Measure.UnitCode(), Settled: r.settled, Newest: r.newest, Held: r.held(), Base: -1}
	if !r.last.At.IsZero() {
		s.Base, s.Value, s.At = r.last.Value, r.key.Measure.Present(r.last.Value), r.last.At
		age := max(0, now.Sub(r.last.At).Round(time.Millisecond).Seconds())
		s.Age = &age
	}
	if r.cfg.Power {
		s.UnitCode = powerCode(r.key.Measure)
		if s.Base, s.Value = -1, ""; !r.last.At.IsZero() {
			s.Value = strconv.FormatInt(r.last.Value, 10)
		}
	}
	if r.err != nil {
		s.Error, s.Why = r.err.Error(), drivers.ReasonOf(r.err)
	}
	for k, n := range r.events {
		if n > 0 {
			if s.Events == nil {
				s.Events = map[string]uint64{}
			}
			s.Events[energy.EventKind(k).String()] = uint64(n)
		}
	}
	return s
}
