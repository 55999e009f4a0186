package simulation

import (
	"fmt"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
)

// clockwork is the gateway's clocks as they are in truth. The machine is a
// board without a battery clock: it boots in 1970, or at the time at which it
// was switched off, and learns the right time from a time server once there is
// a network. Now and then somebody sets its clock wrong, and the time server
// puts it right again; and its crystal drifts while there is none.
type clockwork struct {
	chance
	net   *episodes // no time server can be reached
	jumps episodes  // somebody set the clock wrong

	mu     sync.Mutex // whoever asks moves the crystal on
	boots  int64
	boot   time.Time // in truth
	learns time.Time // in truth: the first time at which a server answers
	ahead  time.Duration
	synced bool
	since  time.Time // in truth: from when on ahead held, and the crystal drifts
	last   time.Time // in truth: when the machine was last on
}

// drift of the crystal, parts in a million, at most.
const driftMost = 20

// reboot switches the machine on.
func (c *clockwork) reboot() {
	now := time.Now()
	c.boots++
	c.boot, c.since, c.synced = now, now, false
	switch c.n(4*c.boots, 3) {
	case 0:
		c.ahead = time.Unix(20, 0).Sub(now) // 1970
	default:
		c.ahead = -now.Sub(c.last) // it goes on where it was switched off
	}
	if c.last.IsZero() {
		c.ahead = 0
	}
	after := c.lasting(4*c.boots+1, 20*time.Second, time.Hour)
	if first := 5 * time.Minute; after > first-10*time.Second && after <= first {
		after = first + time.Second // not at the very look at which the agent first removes what is old
	}
	c.learns = now.Add(after)
}

// look brings the clocks up to the present.
func (c *clockwork) look() {
	now := time.Now()
	c.last = now
	_, down := c.net.at(now)
	reached := !down && !now.Before(c.learns)
	if c.synced || !reached {
		c.ahead += time.Duration(c.n(4*c.boots+2, 2*driftMost)-driftMost) * now.Sub(c.since) / 1_000_000
	}
	c.since = now
	if reached {
		c.ahead, c.synced = 0, true
	} else if down {
		c.synced = false // a time service that lost its servers says so
	}
}

// wall is what the machine's clock shows.
func (c *clockwork) wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	now := time.Now()
	t := now.Add(c.ahead)
	// Where no time server keeps the clock, the agent has to believe whoever sets
	// it, and what it reads then lies in the wrong place for good.
	if i, on := c.jumps.at(now); on && c.synced {
		t = t.Add(time.Duration(c.jumps.n(3*i+2, int64(4*time.Hour))) - 2*time.Hour)
	}
	return t.Round(0).UTC()
}

func (c *clockwork) mono() time.Duration { return time.Since(c.boot) + 20*time.Second }

func (c *clockwork) sync() clock.Sync {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	_, wrong := c.jumps.at(time.Now())
	return clock.Sync{Synchronised: c.synced && !wrong, Board: true, Boot: fmt.Sprint("boot-", c.boots)}
}
