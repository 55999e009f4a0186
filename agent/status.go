package agent

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
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
	Code    string        `json:"siteCode,omitempty"` // by which the business recognises its site
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

// BusStatus is one wire.
type BusStatus struct {
	ID     string                  `json:"id"`
	URL    string                  `json:"url"`
	State  string                  `json:"state"` // ok, down or stuck
	Error  string                  `json:"error,omitempty"`
	Polls  uint64                  `json:"polls"`
	Errors map[drivers.Kind]uint64 `json:"errors,omitempty"`
	Heard  bool                    `json:"heard,omitempty"` // it speaks by itself: Polls counts what was heard
	Busy   float64                 `json:"busy"`            // share of the time that it was asked, 0 to 1
}

// MeterStatus is one meter.
type MeterStatus struct {
	ID        string           `json:"id"`
	Bus       string           `json:"bus"`
	Unit      uint8            `json:"unit"`
	Type      string           `json:"type"`
	Template  string           `json:"template,omitempty"`
	Serial    string           `json:"serial,omitempty"`
	Derived   string           `json:"derived,omitempty"` // of a virtual meter: what it is, in words; it has no bus
	State     string           `json:"state"`             // waiting, ok, partly or failing; derived for a virtual meter
	Since     time.Time        `json:"since"`
	Error     string           `json:"error,omitempty"`
	Refused   []string         `json:"refused,omitempty"` // the operator's statements that do not fit what was read
	Asked     time.Time        `json:"asked,omitzero"`
	Answered  time.Time        `json:"answered,omitzero"`
	Took      string           `json:"took,omitempty"`
	Failures  int              `json:"failures"` // in a row
	Registers []RegisterStatus `json:"registers"`
}

// RegisterStatus is one register of a meter.
type RegisterStatus struct {
	Measure  energy.Measure    `json:"measure"`
	Value    string            `json:"value,omitempty"` // exact decimal in UnitCode; empty before the first reading
	UnitCode string            `json:"unitCode"`
	At       time.Time         `json:"at,omitzero"`
	Error    string            `json:"error,omitempty"`
	Held     bool              `json:"held,omitempty"` // it shows a value that is not believed yet
	Settled  uint64            `json:"halfHours"`      // since the start
	Newest   time.Time         `json:"newestHalfHour,omitzero"`
	Events   map[string]uint64 `json:"events,omitempty"`
	Base     int64             `json:"-"` // base units, -1 before the first reading
}

// UplinkStatus is the way to the relay.
type UplinkStatus struct {
	State          string `json:"state"` // sending, waiting for a permission, offline, starting, not enrolled or cannot begin
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
		Site: SiteStatus{c.Site.Name, c.Site.Outcode}, Code: a.siteCode(),
		Store: StoreStatus{Path: c.Store.Path, Writing: a.recorder.status(), SetAside: a.opt.Opened.SetAside},
		Buses: []BusStatus{}, Meters: []MeterStatus{}, Notes: a.notes.newestFirst(), Wall: a.opt.Wall(),
	}
	if u, err := a.opt.Store.Usage(); err == nil {
		s.Store.Usage = &Usage{u.FileBytes, u.FreeBytes, u.HalfHours, u.Corrections, u.Damaged, u.Oldest, u.Newest}
	}
	for _, b := range a.buses {
		s.Buses = append(s.Buses, b.status(&s.Meters))
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

func (b *bus) status(meters *[]MeterStatus) BusStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BusStatus{ID: b.cfg.ID, URL: b.cfg.URL, Heard: b.listener != nil, State: "ok", Polls: b.polls, Errors: maps.Clone(b.errs)}
	if b.down > 0 {
		s.State, s.Error = "down", b.err.Error()
	}
	if !b.alive(time.Now()) {
		s.State, s.Error = "stuck", "the program gives no sign of life on this bus"
	}
	if up := time.Since(b.agent.began); up > 0 {
		s.Busy = min(1, float64(b.busy)/float64(up))
	}
	for _, m := range b.meters {
		*meters = append(*meters, m.status(b.cfg.ID))
	}
	return s
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

func (m *meter) status(bus string) MeterStatus {
	s := MeterStatus{
		ID: m.cfg.ID, Bus: bus, Unit: m.cfg.Unit, Type: m.cfg.Type(), Template: m.cfg.Template, Serial: m.cfg.Serial,
		State: m.state(), Since: m.since.UTC(), Failures: m.failures, Asked: utc(m.asked), Answered: utc(m.answered),
	}
	if !m.asked.IsZero() {
		s.Took = m.took.Round(10 * time.Microsecond).String()
	}
	s.Refused = slices.Clone(m.refused)
	if m.err != nil {
		s.Error = m.err.Error()
	}
	for i := range m.registers {
		s.Registers = append(s.Registers, m.registers[i].status())
	}
	return s
}

func (r *register) status() RegisterStatus {
	s := RegisterStatus{Measure: r.key.Measure, UnitCode: r.key.Measure.UnitCode(), Settled: r.settled, Newest: r.newest, Held: r.held(), Base: -1}
	if !r.last.At.IsZero() {
		s.Base, s.Value, s.At = r.last.Value, r.key.Measure.Present(r.last.Value), r.last.At
	}
	if r.cfg.Power {
		s.UnitCode = powerCode(r.key.Measure)
		if s.Base, s.Value = -1, ""; !r.last.At.IsZero() {
			s.Value = strconv.FormatInt(r.last.Value, 10)
		}
	}
	if r.err != nil {
		s.Error = r.err.Error()
	}
	for k, n := range r.events {
		if n > 0 {
			if s.Events == nil {
				s.Events = map[string]uint64{}
			}
			s.Events[energy.EventKind(k).String()] = uint64(n)
		}
	}
	return s
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Round(0)
}
