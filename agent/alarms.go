package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// alarm is one of a meter's, as it was last heard of.
type alarm struct {
	drivers.AlarmState
	heard bool
	since time.Time // of the state that it is in
}

// AlarmStatus is one alarm of a meter: a bit by which it says that something is
// wrong with it.
type AlarmStatus struct {
	Means    string    `json:"means"`
	Severity string    `json:"severity"` // invalid: its readings are not counted while it is on; or note
	State    string    `json:"state"`    // on, off or unknown
	Since    time.Time `json:"since,omitzero"`
	Error    string    `json:"error,omitempty"` // why it is unknown
}

func (a *alarm) state() string {
	switch {
	case !a.heard || a.Err != nil:
		return "unknown"
	case a.On:
		return "on"
	}
	return "off"
}

// alarms takes what a device says is wrong with it, and tells people of what
// changed. (That its readings are not counted meanwhile is the driver's to
// mark.) The bus's lock is held.
func (b *bus) alarms(i int, m *meter, now time.Time) {
	who, ok := b.poller.(drivers.Alarmer)
	if !ok || len(m.cfg.Alarms) == 0 {
		return
	}
	states := who.Alarms(i)
	if len(states) != len(m.cfg.Alarms) {
		return
	}
	if m.alarms == nil {
		m.alarms = make([]alarm, len(states))
	}
	for k := range states {
		a, c := &m.alarms[k], m.cfg.Alarms[k]
		before := a.state()
		was := a.heard
		a.AlarmState, a.heard = states[k], true
		if after := a.state(); after != before || !was {
			a.since = now
			if after == "unknown" && was && drivers.KindOf(a.Err) != drivers.Exception {
				continue // a wire that failed for once
			}
			b.alarmChanged(m, c.Means, c.Invalid, before, after, a.Err, now)
		}
	}
}

func (b *bus) alarmChanged(m *meter, means string, invalid bool, before, after string, err error, now time.Time) {
	switch {
	case after == "on":
		words := fmt.Sprintf("Alarm: %s.", means)
		if invalid {
			words += " Its readings are shown and not counted until it is over."
		}
		b.log.Warn("alarm of a meter", "meter", m.cfg.ID, "bus", b.cfg.ID, "alarm", means, "counted", !invalid)
		b.agent.notes.add(now, m.cfg.ID, words)
	case after == "unknown":
		b.log.Warn("alarm of a meter cannot be read", "meter", m.cfg.ID, "bus", b.cfg.ID, "alarm", means, "error", err)
		b.agent.notes.add(now, m.cfg.ID, fmt.Sprintf("The alarm %q cannot be read, so that nothing is known of it: %v", means, err))
	case before == "on":
		b.log.Info("alarm of a meter is over", "meter", m.cfg.ID, "bus", b.cfg.ID, "alarm", means)
		b.agent.notes.add(now, m.cfg.ID, fmt.Sprintf("The alarm is over: %s.", means))
	}
}

func (m *meter) alarmStatus() (out []AlarmStatus) {
	for k, c := range m.cfg.Alarms {
		s := AlarmStatus{Means: c.Means, Severity: c.Severity(), State: "unknown"}
		if k < len(m.alarms) {
			a := &m.alarms[k]
			if s.State, s.Since = a.state(), utc(a.since); a.Err != nil {
				s.Error = a.Err.Error()
			}
		}
		out = append(out, s)
	}
	return out
}

// alarmWord names the alarms by which the meter's readings are not counted; ""
// where none is on.
func (m *meter) alarmWord() string {
	var on []string
	for k := range m.alarms {
		if c := m.cfg.Alarms[k]; c.Invalid && m.alarms[k].state() == "on" {
			on = append(on, c.Means)
		}
	}
	return strings.Join(on, ", ")
}
