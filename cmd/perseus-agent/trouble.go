package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// maxNamed is how many meters of a bus that is down are named; above, they are
// counted.
const maxNamed = 5

// troubles says everything that is wrong, in plain words. It is stricter than
// /healthz, which is about the daemon: here a meter that does not answer counts.
func troubles(s agent.Status) []string {
	out := append([]string{}, s.Reasons...)
	if s.Store.SetAside != "" {
		out = append(out, "the store was damaged and is set aside as "+s.Store.SetAside+": a new one was begun at this start; keep the old file, what it held is no longer shown here")
	}
	if c := s.Clock; c != nil {
		switch {
		case !c.Trusted:
			out = append(out, "the clock cannot be relied upon yet: "+c.Why+"; readings get their right times once it can")
		case c.Ignoring:
			out = append(out, "something set the machine's clock to a time that cannot be: it is not followed")
		case c.Class == clock.Quarantine:
			out = append(out, "no time server has answered for so long that the clock may be wrong by more than 15 minutes: connect it to one")
		}
	}
	down := map[string]bool{}
	for _, b := range s.Buses {
		if b.State != "down" {
			continue // stuck is among the reasons
		}
		down[b.ID] = true
		out = append(out, tried("bus "+b.ID+" is down"+sinceWhen(b)+unread(s.Meters, b.ID)+colon(because(b.Down, b.Error)), b.Again))
	}
	for _, m := range s.Meters {
		switch {
		case m.State == "failing" && !down[m.Bus]:
			out = append(out, tried(fmt.Sprintf("meter %s %s since %s UTC%s", m.ID, m.Down.Verb(), stamp(m.Since), colon(because(m.Down, m.Error))), m.Again))
		case m.State == "partly":
			out = append(out, partly(m)...)
		}
	}
	for _, m := range s.Meters {
		for _, a := range m.Alarms {
			if a.State == "on" {
				out = append(out, fmt.Sprintf("meter %s says of itself since %s UTC: %s", m.ID, stamp(a.Since), a.Means))
			}
		}
		for _, why := range m.Refused {
			out = append(out, "meter "+m.ID+": "+why)
		}
		for _, why := range m.Unfilled {
			out = append(out, "meter "+m.ID+": "+why+". A half-hourly file of that time from the supplier or data collector fills them (perseus-agent import); without one the month of a bank's report stays open")
		}
	}
	if s.Retired {
		out = append(out, codeRetired)
	}
	if u := s.Uplink; u != nil {
		switch {
		case u.State == "cannot begin":
			out = append(out, "nothing can be sent"+colon(u.Reason))
		case u.State == "offline" && u.Status != nil:
			out = append(out, fmt.Sprintf("%s cannot be reached since %s UTC, readings are kept here and sent later%s", u.Relay, stamp(u.Since), colon(u.Reason)))
		}
		if u.Status != nil {
			for _, c := range u.Certificates {
				if c.Words != "" {
					out = append(out, c.Words)
				}
			}
		}
		if u.Status != nil && u.ClockOff != 0 {
			out = append(out, fmt.Sprintf("this gateway's clock is wrong by %s: set it, or let it follow a time server", u.ClockOff.Abs()))
		}
	}
	return out
}

// sinceWhen says since when a bus is down.
func sinceWhen(b agent.BusStatus) string {
	if b.Since.IsZero() {
		return ""
	}
	return " since " + stamp(b.Since) + " UTC"
}

// tried adds when the next attempt is, so that who has mended a wire knows how
// long to wait.
func tried(said string, at time.Time) string {
	if at.IsZero() {
		return said
	}
	if !strings.HasSuffix(said, "?") {
		said += "."
	}
	return said + " Tried again at " + at.UTC().Format(time.TimeOnly)
}

// unread says which meters a bus that is down keeps from being read.
func unread(meters []agent.MeterStatus, bus string) string {
	var ids []string
	for _, m := range meters {
		if m.Bus == bus && m.State == "failing" {
			ids = append(ids, m.ID)
		}
	}
	switch n := len(ids); {
	case n == 0:
		return ""
	case n == 1:
		return ", so that meter " + ids[0] + " is not read"
	case n > maxNamed:
		return fmt.Sprintf(", so that %d meters are not read", n)
	default:
		return ", so that meters " + strings.Join(ids[:n-1], ", ") + " and " + ids[n-1] + " are not read"
	}
}

// partly names the registers that a meter does not give, an error each.
func partly(m agent.MeterStatus) []string {
	var out []string
	for _, r := range m.Registers {
		if r.Error != "" {
			out = append(out, fmt.Sprintf("meter %s answers, but not for %s: %s", m.ID, r.Measure, because(r.Why, r.Error)))
		}
	}
	return out
}

// waiting counts the meters that have not been asked since the start.
func waiting(meters []agent.MeterStatus) (n int) {
	for _, m := range meters {
		if m.State == "waiting" {
			n++
		}
	}
	return n
}

// permissions counts those in force, and names each with its end.
func permissions(grants []grant.Grant, now time.Time) []string {
	live, ended := 0, 0
	lines := []string{""}
	for _, g := range grants {
		name := first(g.Name, g.Client)
		switch {
		case g.Live(now):
			live++
			lines = append(lines, "  "+name+", until "+g.Expires.UTC().Format(time.DateOnly))
		case !g.Revoked.IsZero():
			ended++
			lines = append(lines, "  "+name+", withdrawn on "+g.Revoked.UTC().Format(time.DateOnly))
		case !now.Before(g.Expires):
			ended++
			lines = append(lines, "  "+name+", ended on "+g.Expires.UTC().Format(time.DateOnly))
		default:
			lines = append(lines, "  "+name+", not begun yet")
		}
	}
	lines[0] = "no permission in force"
	if live > 0 {
		lines[0] = count(live, "permission") + " in force"
	}
	if ended > 0 {
		lines[0] += fmt.Sprintf(", %d ended", ended)
	}
	return lines
}
