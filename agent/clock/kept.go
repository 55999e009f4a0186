package clock

import (
	"encoding/json"
	"time"
)

// kept is what lets a process that is started anew go on with the trust of the
// one before it: a time server may be out of reach for days, and a board
// without a battery clock that was right all along must not begin to doubt
// because the program was updated.
type kept struct {
	Version int           `json:"version"`
	Boot    string        `json:"boot,omitempty"`
	Raw     time.Duration `json:"raw"`  // the wall clock less the monotonic one: when the machine was booted
	Mono    time.Duration `json:"mono"` // how long it had run
	Source  Source        `json:"source"`
	// When a time service answered for it last, as Mono, and how far off it said
	// it may be; nil where none ever did. A clock that was served is not as
	// easily talked out of its time.
	Confirmed *time.Duration `json:"confirmed,omitempty"`
	Doubt     time.Duration  `json:"doubt,omitempty"`
}

const keptVersion = 1

// Kept is what the next process needs as Options.Kept; nil while the clock is
// not trusted. It stays good for this boot: keep it after every change and
// every hour or so.
func (c *Clock) Kept() []byte {
	if c.given != nil {
		return nil
	}
	l := c.look()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.phase != believing || c.state.ignoring {
		return nil
	}
	k := kept{Version: keptVersion, Boot: l.sync.Boot, Raw: c.line.Load().at(l.mono).Sub(epoch) - l.mono, Mono: l.mono, Source: c.state.source}
	if c.state.served {
		k.Confirmed, k.Doubt = &c.state.confirmed, c.state.doubt
	}
	b, err := json.Marshal(k)
	if err != nil {
		return nil // cannot be: it is all strings and numbers
	}
	return b
}

// continued says whether the machine has run on since the clock was trusted
// last, with nobody setting it in between. The difference between the two
// clocks is the instant of the boot, so that it alone nearly proves it: a
// board that boots at a wrong hour does not boot at the same instant again.
func (o *Options) continued(l look) (kept, bool) {
	var k kept
	if len(o.Kept) == 0 || json.Unmarshal(o.Kept, &k) != nil || k.Version != keptVersion || o.Policy != Auto {
		return kept{}, false
	}
	if k.Confirmed != nil && (*k.Confirmed > k.Mono || *k.Confirmed < 0 || k.Doubt < 0) {
		k.Confirmed = nil
	}
	same := k.Boot == l.sync.Boot && l.mono >= k.Mono && (l.raw()-k.Raw).Abs() <= Slack
	return k, same && k.Source != Unknown && o.plausible(l)
}
