package clock

import "time"

// Status is the clock at its last look, for the page, the metrics and the
// statements of baseline.
type Status struct {
	Trusted   bool          `json:"trusted"`
	Source    Source        `json:"source,omitempty"`
	Why       string        `json:"why"`
	Offset    time.Duration `json:"-"`                     // wall clock less ours: what is being followed, or doubted
	Seconds   float64       `json:"offsetSeconds"`         // the same, for display alone
	Steps     int           `json:"steps"`                 // how often it was set since the start, and followed
	Checked   time.Time     `json:"checked"`               // the last look, by our clock
	Confirmed time.Time     `json:"confirmed,omitzero"`    // the last look at which a time service answered for it
	Doubt     time.Duration `json:"-"`                     // how far it can have drifted from the right time; 0 where no time service ever answered, so that nobody knows
	Class     Class         `json:"class"`                 // of Doubt: Flagged means rule V11
	Ignoring  bool          `json:"ignoringWall,omitzero"` // the wall clock shows what cannot be and is not followed
}

// Status takes stock.
func (c *Clock) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	out := Status{
		Trusted: c.Trusted(), Source: s.source, Why: s.why, Offset: s.offset, Seconds: s.offset.Seconds(),
		Steps: s.steps, Checked: s.checked, Ignoring: s.ignoring,
	}
	if c.given != nil {
		out.Checked = c.Now()
		return out
	}
	if s.served {
		mono := c.opt.Mono()
		since := mono - s.confirmed
		out.Confirmed = c.line.Load().at(mono).Add(-since)
		out.Doubt = s.doubt + max(0, since)/drift
		out.Class = Classify(out.Doubt)
	}
	return out
}
