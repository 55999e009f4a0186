package clock

import (
	"fmt"
	"strings"
	"time"
)

// Policy is what the operator says about the wall clock (clock.trust).
type Policy string

// The policies.
const (
	Auto         Policy = "auto"         // believed where there is a reason: a time server, a battery clock, a machine that has one as a rule
	Always       Policy = "always"       // believed as it is, steps included; only a time before the program was built is not
	Synchronised Policy = "synchronised" // believed only where the system says that a time server set it
)

// ParsePolicy reads the name of a policy; "" is auto. The error lists the names.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case "":
		return Auto, nil
	case Auto, Always, Synchronised:
		return p, nil
	}
	return "", fmt.Errorf("unknown clock policy %q: use one of %s", s, strings.Join([]string{string(Auto), string(Always), string(Synchronised)}, ", "))
}

// Source is why the clock is believed; it goes into statements of baseline as
// their clock source.
type Source string

// The sources, from best to worst.
const (
	NTP      Source = "ntp"      // the system says that a time service keeps it
	RTC      Source = "rtc"      // a battery clock kept it while the machine was off
	Operator Source = "operator" // somebody set it while we ran, or the configuration says always
	Assumed  Source = "assumed"  // a PC, server or virtual machine: these have a clock as a rule
	Unknown  Source = ""         // not believed
)

// Sync is what the system knows about its wall clock.
type Sync struct {
	Synchronised bool          // a time service says that it keeps the clock
	Doubt        time.Duration // the greatest error that the service admits; 0 where it does not say
	Board        bool          // a single-board computer: it may have no battery clock. False on PCs, servers and where nobody knows
	RTC          time.Time     // what the battery clock shows now; zero where there is none
	Boot         string        // names this boot; "" where it is not known
	Note         string        // why less is known than could be, for the installer; may be empty
}

// rtcNear is how far the battery clock and the wall clock may differ where the
// one is said to have set the other.
const rtcNear = time.Minute

// believable says whether the wall clock may be believed as it stands, on
// what ground, or why not. It is the whole of the policy, without history.
func (o *Options) believable(l look) (Source, string) {
	s, wall := l.sync, l.wall.Format("15:04 on 2 January 2006")
	switch {
	case !o.plausible(l):
		return Unknown, fmt.Sprintf("the clock shows %s, which cannot be: set it, or let it follow a time server", wall)
	case o.Policy == Always:
		return Operator, "the configuration says that the clock is always to be trusted"
	case s.Synchronised:
		return NTP, "a time service keeps the clock"
	case o.Policy == Synchronised:
		return Unknown, "waiting for a time server, as the configuration says" + note(s)
	case l.wall.Before(o.Floor):
		return Unknown, fmt.Sprintf("the clock shows %s, and the newest reading kept is of %s: waiting for a time server, or for somebody to set the clock", wall, o.Floor.UTC().Format("15:04 on 2 January 2006")) + note(s)
	case !s.RTC.IsZero() && s.RTC.Sub(l.wall).Abs() <= rtcNear:
		return RTC, "a battery clock kept the time"
	case s.Board && s.RTC.IsZero():
		return Unknown, "this board has no battery clock: waiting for a time server, or for somebody to set the clock" + note(s)
	case s.Board:
		return Unknown, fmt.Sprintf("the battery clock shows %s and the clock %s: waiting for a time server, or for somebody to set the clock", s.RTC.UTC().Format("15:04 on 2 January 2006"), wall) + note(s)
	}
	return Assumed, "no time service answers for the clock: it is taken as it is, as this kind of machine has one"
}

// plausible rules out what no clock that is right can show. Only a time
// service may say that the program is very old.
func (o *Options) plausible(l look) bool {
	if o.Built.IsZero() {
		return true
	}
	return !l.wall.Before(o.Built) && (l.sync.Synchronised || l.wall.Sub(o.Built) <= ceiling)
}

func note(s Sync) string {
	if s.Note == "" {
		return ""
	}
	return " (" + s.Note + ")"
}
