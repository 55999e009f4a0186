package web

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
)

func at(t time.Time) string  { return t.In(energy.London()).Format("15:04 on 2 January") }
func day(t time.Time) string { return t.In(energy.London()).Format("2 January 2006") }

// minute is a time with its date in full, for things that may be long past.
func minute(t time.Time) string { return t.In(energy.London()).Format("15:04 on 2 January 2006") }

// stretch says what a finding speaks of: an instant, or a stretch of time.
func stretch(from, to time.Time) string {
	f, t := from.In(energy.London()), to.In(energy.London())
	switch {
	case !to.After(from) || minute(from) == minute(to):
		return minute(from)
	case f.Format(time.DateOnly) == t.Format(time.DateOnly):
		return f.Format("15:04") + " to " + minute(to)
	}
	return minute(from) + " to " + minute(to)
}

// age is how long ago something was, in words.
func age(d time.Duration) string {
	if d < 2*time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span is a length of time in words, in the one unit that matters.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// clockView is the card about the clock that dates the readings.
type clockView struct {
	Words []string
	Class string
}

// clockWords says how far the clock may be relied upon; nil where nobody
// watches over it, as in a rehearsal.
func clockWords(c *clock.Status) *clockView {
	if c == nil {
		return nil
	}
	v := &clockView{Class: "good", Words: []string{"Its clock can be relied upon: " + c.Why + "."}}
	if c.Source == clock.Assumed {
		v.Class, v.Words[0] = "plain", "Its clock is believed, though nothing vouches for it: "+c.Why+"."
	}
	if !c.Trusted {
		v.Class = "bad"
		v.Words = []string{"Its clock cannot be relied upon yet: " + c.Why + ".", "Meters are read all the same. Their readings get their right times once it can."}
		return v
	}
	switch c.Class {
	case clock.Flagged:
		v.Class = "warn"
		v.Words = append(v.Words, "No time server has answered for so long that it may be wrong by "+span(c.Doubt)+": half-hours are marked V11.")
	case clock.Quarantine:
		v.Class = "bad"
		v.Words = append(v.Words, "No time server has answered for so long that it may be wrong by "+span(c.Doubt)+". Connect it to one.")
	}
	if c.Ignoring {
		v.Class = "warn"
		v.Words = append(v.Words, "Something set the machine's clock to a time that cannot be. It is not followed.")
	}
	if off := c.Offset.Abs(); off >= 2*time.Second {
		v.Words = append(v.Words, "The machine's clock is "+span(off)+" off, and is followed slowly.")
	}
	if c.Steps == 1 {
		v.Words = append(v.Words, "It was set once since the start.")
	} else if c.Steps > 1 {
		v.Words = append(v.Words, fmt.Sprintf("It was set %d times since the start.", c.Steps))
	}
	return v
}
