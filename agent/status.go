package agent

import (
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink"
)

// Status is everything that the page, the API, the metrics and the status
// command show, taken at one moment.
type Status struct {
	Version string        `json:"version"`
	Now     time.Time     `json:"now"`
	Started time.Time     `json:"started"`
	Site    SiteStatus    `json:"site"`
	Code    string        `json:"siteCode,omitempty"`        // by which the business recognises its site; empty where it stands for it no more
	Retired bool          `json:"siteCodeRetired,omitempty"` // it stands for the site no more: the site has a new tenant
	Period  string        `json:"period"`
	Store   StoreStatus   `json:"store"`
	Buses   []BusStatus   `json:"buses"`
	Meters  []MeterStatus `json:"meters"`
	Clock   *clock.Status `json:"clock,omitempty"` // nil: the clock is given and taken as it is
	Uplink  *UplinkStatus `json:"uplink"`          // null: record only
	Notes   []Note        `json:"notes"`           // newest first
	Healthy bool          `json:"healthy"`
	Reasons []string      `json:"reasons,omitempty"` // why it is not
	Wall    time.Time     `json:"-"`                 // the clock that permissions go by: Now, but in a rehearsal
}

// SiteStatus is the site.
type SiteStatus struct {
	Name    string `json:"name"`
	Outcode string `json:"outcode,omitempty"`
}

// StoreStatus is how keeping goes.
type StoreStatus struct {
	Path     string       `json:"path"`
	Writing  CommitHealth `json:"writing"`
	Usage    *Usage       `json:"usage,omitempty"`
	SetAside string       `json:"setAside,omitempty"` // where a damaged store went at the start
}

// Usage is what the store holds.
type Usage struct {
	FileBytes   int64     `json:"fileBytes"`
	FreeBytes   int64     `json:"freeBytes"` // of the file, free for what comes next
	HalfHours   int       `json:"halfHours"`
	Corrections int       `json:"corrections"` // replaced versions of half-hours
	Damaged     int       `json:"damaged"`     // values put aside because they were damaged
	Oldest      time.Time `json:"oldest,omitzero"`
	Newest      time.Time `json:"newest,omitzero"`
}

// UplinkStatus is the way to the relay.
type UplinkStatus struct {
	State          string `json:"state"` // sending, waiting for a permission, offline, starting, not enrolled, revoked, expired or cannot begin
	Reason         string `json:"reason,omitempty"`
	*uplink.Status        // nil until the gateway is enrolled
}

// Status takes stock. It costs some allocations per meter: it is made when
// somebody looks, never per poll.
func (a *Agent) Status() Status {
	now := a.Now()
	c := a.opt.Config
	s := Status{
		Version: a.opt.Version, Now: now, Started: a.started.UTC(), Period: c.Period.String(),
		Site:  SiteStatus{c.Site.Name, c.Site.Outcode},
		Store: StoreStatus{Path: c.Store.Path, Writing: a.recorder.status(), SetAside: a.opt.Opened.SetAside},
		Buses: []BusStatus{}, Meters: []MeterStatus{}, Notes: a.notes.newestFirst(), Wall: a.opt.Wall(),
	}
	if s.Code, s.Retired = a.siteCode(); s.Retired {
		s.Code = ""
	}
	if u, err := a.opt.Store.Usage(); err == nil {
		s.Store.Usage = &Usage{u.FileBytes, u.FreeBytes, u.HalfHours, u.Corrections, u.Damaged, u.Oldest, u.Newest}
	}
	for _, b := range a.buses {
		s.Buses = append(s.Buses, b.status(&s.Meters, now))
	}
	for i := range c.Meters {
		if m := &c.Meters[i]; m.Virtual != nil {
			s.Meters = append(s.Meters, a.derivedStatus(m))
		}
	}
	if k := a.opt.Clock.Status(); !a.given {
		s.Clock = &k
	}
	s.Uplink = a.uplinkStatus()
	s.Reasons = a.reasons(s)
	s.Healthy = len(s.Reasons) == 0
	return s
}

// Health is nil where all is well, else the reasons, in plain words. A meter
// that does not answer is no reason: the daemon is well, the meter is not.
func (a *Agent) Health() []string {
	return a.reasons(Status{Store: StoreStatus{Writing: a.recorder.status()}})
}

func (a *Agent) reasons(s Status) []string {
	var out []string
	for _, id := range a.deadBuses() {
		out = append(out, "bus "+id+" gives no sign of life")
	}
	if e := s.Store.Writing.Error; e != "" {
		out = append(out, "readings cannot be stored: "+e)
	}
	return out
}

// derivedStatus is that of a virtual meter: it has half-hours and no register.
func (a *Agent) derivedStatus(m *config.Meter) MeterStatus {
	s := MeterStatus{ID: m.ID, Type: m.Type(), State: "derived", Derived: m.Virtual.Words(), Since: a.started.UTC()}
	for _, measure := range m.Measures() {
		r := RegisterStatus{Measure: measure, UnitCode: measure.UnitCode(), Base: -1}
		if _, last, n, err := a.opt.Store.Bounds(energy.Key{Meter: m.ID, Measure: measure}); err == nil && n > 0 {
			r.Newest = last
		}
		s.Registers = append(s.Registers, r)
	}
	return s
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Round(0)
}
