// Package clock says when the wall clock may be believed, and dates readings
// before and after.
//
// A gateway without a battery clock boots in 1970, or at the hour at which it
// was last switched off, and learns the time minutes or days later. A clock
// can be set by hand, by a hypervisor or by a time server while meters are
// read. A half-hour that lies in the wrong place is worse than one that comes
// late, so readings are dated by the monotonic clock, from an anchor on the
// wall clock that moves only when there is a reason to believe the wall clock:
//
//   - Now runs evenly, whatever happens to the wall clock in between. It
//     follows small differences slowly, and leaps only when Check says so.
//   - While Trusted is false, samples are put on a Shelf. When Check says that
//     the clock is trusted, and by how much the times given out since were
//     wrong, they are taken down again with the right times.
//
// The package is pure but for system*.go: the wall clock, the monotonic clock
// and what the system says about them are given by the caller.
package clock

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Clock. The zero value is the system's own clock, automatic.
type Options struct {
	Wall   func() time.Time     // the wall clock, which may leap; time.Now if nil
	Mono   func() time.Duration // time since any origin, which never leaps (better if it counts time asleep); the system's if nil and Wall is nil too, else Go's
	Sync   func() Sync          // what is known about the wall clock; the system's if nil
	Policy Policy               // Auto if empty
	Floor  time.Time            // the latest time that the store knows of; an earlier wall clock needs a time server's word
	Built  time.Time            // when the program was built; an earlier wall clock is never believed. Zero: not known
	Kept   []byte               // what Clock.Kept gave before the process was restarted; may be nil
	Logger *slog.Logger         // slog.Default() if nil
}

// The bounds that decide. Those of classes are in class.go.
const (
	// Slack is the difference between the wall clock and ours that is followed
	// smoothly; a larger one is a step. It lets a leap second pass.
	Slack = 2 * time.Second
	// slewShare is how slowly small differences are followed: one part in a
	// thousand, so that a half-hour is at most 1.8 s too long or too short.
	slewShare = 1000
	// backShare is how slowly a fine step back is followed: at half speed, so
	// that our time stands still for nobody and never goes back.
	backShare = 2
	// settled is the time after boot from which a step of a clock that is not
	// trusted yet is taken for somebody's deed. Before, systemd and
	// fake-hwclock move it to the hour at which it was last switched off.
	settled = 5 * time.Minute
	// holdSynced and holdOther are how long a step without a time server's
	// word must last before it is believed: where a server set the clock
	// before, and where nothing better is known.
	holdSynced = 15 * time.Minute
	holdOther  = time.Minute
	// ceiling is how long after it was built the program can still be running.
	ceiling = 20 * 365 * 24 * time.Hour
	// drift bounds how far a clock that nobody corrects goes wrong: 100 parts
	// in a million, a poor crystal in a cold cupboard.
	drift = 10_000 // one part in so many
)

// Clock dates readings. It is safe for use by several goroutines.
type Clock struct {
	opt     Options
	given   func() time.Time // not nil: a clock that is believed as it is
	line    atomic.Pointer[line]
	trusted atomic.Bool

	mu    sync.Mutex // guards the rest
	state state
}

// New makes a clock and looks at the wall clock for the first time: where it
// may be believed, the clock is trusted from the start.
func New(o Options) *Clock {
	if o.Mono == nil && o.Wall == nil {
		o.Mono = SystemMono()
	}
	if o.Mono == nil {
		start := time.Now()
		o.Mono = func() time.Duration { return time.Since(start) }
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Sync == nil {
		o.Sync = System()
	}
	if o.Policy == "" {
		o.Policy = Auto
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	c := &Clock{opt: o}
	c.begin(c.look())
	return c
}

// Given is a clock that is believed as it is, such as a rehearsal's: Now is
// now, it is always trusted, and Check never has news.
func Given(now func() time.Time) *Clock {
	c := &Clock{given: now}
	c.trusted.Store(true)
	c.state = state{phase: believing, source: Operator, why: "given from outside", started: now().UTC().Round(0)}
	return c
}

// Now dates a reading, in UTC and without a monotonic part. Between two
// changes that Check reports it never leaps and never goes back. While Trusted
// is false it is provisional. It allocates nothing.
func (c *Clock) Now() time.Time {
	if c.given != nil {
		return c.given().UTC().Round(0)
	}
	l := c.line.Load() // before the monotonic clock is read, so that it cannot be a later one's
	return l.at(c.opt.Mono())
}

// Trusted reports whether the times that Now gives may be used for good.
func (c *Clock) Trusted() bool { return c.trusted.Load() }

// look is one look at all that is known.
type look struct {
	sync Sync
	mono time.Duration
	wall time.Time
}

// raw is the wall clock less the monotonic one: constant, but for steps and drift.
func (l look) raw() time.Duration { return l.wall.Sub(epoch) - l.mono }

var epoch = time.Unix(0, 0).UTC()

// look reads the clocks as nearly at once as can be. What the system says is
// read first: were the clock set in between, the new time would be known under
// the old word, never the old time under the new word.
func (c *Clock) look() look {
	l := look{sync: c.opt.Sync()}
	for range 4 {
		before := c.opt.Mono()
		l.wall = c.opt.Wall().UTC().Round(0)
		l.mono = c.opt.Mono()
		if l.mono-before < 5*time.Millisecond {
			break // else the machine was busy, or slept, between the two
		}
	}
	return l
}
