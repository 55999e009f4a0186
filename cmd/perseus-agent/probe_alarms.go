package main

import (
	"fmt"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// alarmed says what the meter's alarms are, where it answered at all.
func (pt *patient) alarmed(b config.Bus) (found []advice) {
	if !pt.answers() {
		return nil
	}
	for i, s := range pt.alarms {
		a := pt.meter.Alarms[i]
		says := fmt.Sprintf("alarm %q is off", a.Means)
		switch {
		case s.Err != nil:
			says = fmt.Sprintf("alarm %q cannot be read: %v", a.Means, s.Err)
		case s.On && a.Invalid:
			says = fmt.Sprintf("alarm %q is on: its readings are not counted", a.Means)
		case s.On:
			says = fmt.Sprintf("alarm %q is on", a.Means)
		}
		found = append(found, advice{Bus: b.ID, Meter: pt.meter.ID, Says: says, Wrong: s.Err != nil})
	}
	return found
}
