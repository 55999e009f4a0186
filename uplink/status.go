package uplink

import (
	"errors"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Status is how the uplink fares, for a page and for an installer.
type Status struct {
	Gateway        string        `json:"gateway"`
	Organisation   string        `json:"organisation"` // that runs the gateway
	Directory      string        `json:"directory"`    // where it was enrolled
	EnrolledAt     time.Time     `json:"enrolledAt,omitzero"`
	Relay          string        `json:"relay"`
	Code           string        `json:"code"`                  // by which the business recognises its meter
	CodeRetired    bool          `json:"codeRetired,omitempty"` // it stands for the site no more: the site has a new tenant
	CodeNotTold    bool          `json:"codeNotTold,omitempty"` // the relay has not heard of it yet
	Connected      bool          `json:"connected"`             // the relay answered last time
	Since          time.Time     `json:"since"`                 // since when it does, or does not
	Error          string        `json:"error,omitempty"`
	ErrorAt        time.Time     `json:"errorAt,omitzero"`
	Acknowledged   uint64        `json:"acknowledged"`            // last batch that the relay has; 0: none since the start
	AcknowledgedAt time.Time     `json:"acknowledgedAt,omitzero"` //
	Pending        int           `json:"pending"`                 // half-hours that may leave and wait to be sealed
	Sealed         bool          `json:"sealed"`                  // a batch waits for the relay's answer
	Unfit          int           `json:"unfit,omitempty"`         // half-hours that a batch cannot carry
	ClockOff       time.Duration `json:"clockOff,omitempty"`      // how far this clock is ahead of the relay's; negative: behind; 0 below 2 minutes
	Grants         []grant.Grant `json:"grants"`
	// The gateway's own certificates, client first.
	Certificates []CertificateStatus `json:"certificates"`
}

// state is the part of Status that the loops write.
type state struct {
	connected bool
	since     time.Time
	failures  map[string]failure // by what was being done
	ack       uint64
	ackAt     time.Time
	pending   int
	sealed    bool
	unfit     int
	clockOff  time.Duration
	most      int // half-hours in a batch; 0: batchMost

	certificates map[kind]held
	doubted      bool      // the relay has refused the client certificate
	asked        time.Time // when the directory was last asked about it
	revoked      string    // serial number of the client certificate that a server called revoked
}

type failure struct {
	err error
	at  time.Time
}

// clockSlack is how far the clock may be off without a word.
const clockSlack = 2 * time.Minute

// Status tells how the uplink fares now.
func (c *Client) Status() Status {
	grants := c.Grants()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{
		Gateway: c.folder.Gateway, Organisation: c.folder.Organisation, Directory: c.folder.Directory, EnrolledAt: c.folder.EnrolledAt, Relay: c.relay, Code: c.site.Code,
		CodeRetired: c.codeRetiredLocked(), CodeNotTold: c.told != identity.CodeVersion(c.site.Code),
		Connected: c.state.connected, Since: c.state.since,
		Acknowledged: c.state.ack, AcknowledgedAt: c.state.ackAt,
		Pending: c.state.pending, Sealed: c.state.sealed, Unfit: c.state.unfit,
		ClockOff: c.state.clockOff, Grants: grants, Certificates: c.certificatesLocked(),
	}
	for _, f := range c.state.failures {
		if f.at.After(s.ErrorAt) {
			s.ErrorAt, s.Error = f.at, c.explainLocked(f.err)
		}
	}
	return s
}

// failed notes that something did not work. Whether the relay answered decides
// over Connected.
func (c *Client) failed(what string, err error) {
	c.noteRevoked(err)
	c.mu.Lock()
	if c.state.failures == nil {
		c.state.failures = map[string]failure{}
	}
	c.state.failures[what] = failure{err, c.now()}
	if offline(err) {
		c.connectedLocked(false)
	}
	r := new(refusal)
	if errors.As(err, &r) && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden) || kindOf(err) == "alert" {
		c.state.doubted = true
	}
	text := c.explainLocked(err)
	c.mu.Unlock()
	c.log.Warn("uplink: "+what, "problem", text, "err", err)
}

// succeeded notes that something works, and reports whether it did not before.
func (c *Client) succeeded(what string) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, again = c.state.failures[what]
	delete(c.state.failures, what)
	return again
}

func (c *Client) connectedLocked(is bool) {
	if c.state.connected != is {
		c.state.connected, c.state.since = is, c.now()
	}
}

// noteClock compares the clock with the relay's, and notes that it answers.
func (c *Client) noteClock(h http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connectedLocked(true)
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	if off := c.now().Sub(t); off.Abs() >= clockSlack {
		c.state.clockOff = off.Round(time.Second)
	} else {
		c.state.clockOff = 0
	}
}

func (c *Client) noteAcknowledged(sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.ack, c.state.ackAt = sequence, c.now()
}

func (c *Client) noteUnfit(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && n != c.state.unfit {
		c.log.Error("half-hours that a batch cannot carry stay here", "half-hours", n)
	}
	c.state.unfit = n
}

func (c *Client) notePending() {
	n, err := c.pending()
	if err != nil {
		return // the next step meets the same error and reports it
	}
	_, raw, _ := c.out.Oldest()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.pending, c.state.sealed = n, raw != nil
}

func (c *Client) mostValues() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.most == 0 {
		return batchMost
	}
	return c.state.most
}

// sendLess halves what goes into a batch, for a relay that takes less.
func (c *Client) sendLess() bool {
	most := c.mostValues()
	if most <= batchLeast {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.most = max(most/2, batchLeast)
	return true
}
