package simulation

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Options of a simulation.
type Options struct {
	Seed     uint64
	Days     int
	Meters   int
	Dir      string // where the store lies: a RAM disk makes it fast
	Identity Identity
	Quiet    bool         // no faults at all
	Sparse   bool         // polls of 5 to 15 minutes: four times as many years in an hour
	Logger   *slog.Logger // of the agent; nil: nowhere
	Most     int          // violations after which it ends; 0: 20
	Stop     int          // days after which it is broken off, as it would have gone on; 0: never
	Trace    *Trace       // nil: nothing is looked at
	History  io.Writer    // all that comes of it is written there, line by line; nil: nowhere
}

// Result is what came of it.
type Result struct {
	Violations  []Violation
	Log         []string // what the agent said before the first of them
	Meters      int
	Days        int
	HalfHours   int
	Missing     int
	Gaps        int // with values of files in them, at each look at one
	Spoken      int // half-hours that a check meter contradicts, at each look
	Stood       int // half-hours in which a register stood still, at each look
	Exchanged   int // half-hours by an operator\'s statement of an exchange
	Substituted int
	Quality     [5]int
	Samples     int64
	Exchanges   int
	Lives       int
	Ends        [waysToStop]int
	Commits     int
	Batches     int
	Carried     int
	Again       int
	SetAside    int
	Checkpoints int    // commits that went beside the store's file
	Spoilt      int    // checkpoint files that came to harm
	Lost        int    // stores that were lost with their disk
	Files       int    // half-hourly files that were imported
	History     string // the hash of all that came of it: the same for the same seed
}

// site is a whole site with everything around it.
type site struct {
	Options
	chance
	calm       *calm
	wires      []*wire
	meters     map[string]*meter
	pollers    map[string]func(date func() time.Time) drivers.Poller // of the buses that are no wires
	listeners  map[string]agent.ListenerFactory
	channels   []*channel
	feed       *feed
	config     *config.Config
	relay      *relay
	net        *network
	oracle     *oracle
	full       episodes
	clerk      clerk
	clock      *clockwork   // nil: its clock is right
	noServer   episodes     // no time server can be reached
	trust      *clock.Clock // of the present agent; nil: its clock is given
	doubted    time.Time    // when it was last not trusted
	begin      time.Time
	end        time.Time
	result     Result
	log        *recent
	history    *history
	disk       *disk
	permission permission
	saved      map[energy.Key]time.Time // up to when what the agent was given is kept
	maybe      map[energy.Key]time.Time // and up to when it may be
	whole      map[energy.Key]time.Time // up to when it is in the store's file itself
	paper      []byte                   // the checkpoint file as some life left it
	path       string
	live       int64
}

// Run simulates a site. It must be called in a bubble of testing/synctest at
// its beginning.
func Run(o Options) (Result, error) {
	if !time.Now().Equal(epoch) {
		return Result{}, fmt.Errorf("simulation: it is %s, not the beginning of a bubble", time.Now())
	}
	if o.Logger == nil {
		o.Logger = record.Logger(nil)
	}
	if o.Most == 0 {
		o.Most = 20
	}
	if o.Days < 366 {
		// Short runs begin before a change to or from summer time, or at new year.
		time.Sleep([]time.Duration{40, 285, 0}[o.Seed%3] * 24 * time.Hour)
	}
	log := newRecent(o.Logger.Handler())
	o.Logger = slog.New(log)
	s := newSite(o)
	s.log = log
	if err := s.years(); err != nil {
		return s.result, err
	}
	s.net.under.Wait()
	r := &s.result
	r.Gaps, r.Spoken, r.Stood = s.oracle.Gaps, s.oracle.Spoken, s.oracle.Stood
	r.Exchanged, r.Substituted = s.oracle.Exchanged, s.oracle.Substituted
	r.HalfHours, r.Missing, r.Quality = s.oracle.Checked, s.oracle.Missing, s.oracle.By
	r.Batches, r.Carried, r.Again = s.relay.batches, s.relay.carried, s.relay.again
	r.Meters, r.Days, r.History = o.Meters, o.Days, s.history.digest()
	for _, c := range s.channels {
		r.Samples += c.polls
	}
	return s.result, nil
}

func (s *site) report(law, what string) {
	if s.result.Log == nil && s.log != nil {
		s.result.Log = slices.Clone(s.log.lines)
	}
	if len(s.result.Violations) < 10*s.Most {
		s.result.Violations = append(s.result.Violations, Violation{law, time.Now(), what})
	}
}

func newSite(o Options) *site {
	s := &site{Options: o, history: newHistory(o.History), chance: chance(mix(o.Seed)), calm: &calm{}, path: filepath.Join(o.Dir, "agent.db"), saved: map[energy.Key]time.Time{}, maybe: map[energy.Key]time.Time{}, whole: map[energy.Key]time.Time{}, meters: map[string]*meter{}, pollers: map[string]func(func() time.Time) drivers.Poller{}}
	s.begin = time.Now()
	s.end = s.begin.AddDate(0, 0, o.Days)
	s.calm.spans = []span{{s.begin, s.begin.Add(3 * time.Hour)}, {s.end.Add(-12 * time.Hour), s.end.AddDate(1, 0, 0)}}
	s.config = &config.Config{
		File: "simulation", Hash: "00", Site: config.Site{Name: "Simulated", Outcode: "SW8"}, Period: energy.Period,
		Store:  config.Store{KeepHalfHours: config.DefaultKeepHalfHours, KeepSamples: config.DefaultKeepSamples},
		Uplink: &config.Uplink{URL: "https://relay.example", Identity: o.Identity.Dir},
	}
	s.build()
	s.oracle = newOracle(s.channels, s.report)
	s.virtuals()
	s.power()
	s.feeds()
	s.checks()
	s.relay = newRelay(o.Identity, s.report, s.history)
	day := 24 * time.Hour
	s.net = &network{chance: s.of("network", 0), h: s.relay, told: s.history,
		down:  s.trouble("network down", 0, 6*day, time.Second, 8*time.Hour),
		weird: s.trouble("network weird", 0, day, time.Minute, 6*time.Hour),
		lazy:  s.trouble("relay busy", 0, 2*time.Hour, time.Hour, 12*day),
	}
	if s.Seed%2 == 0 && !s.Quiet {
		s.clock = &clockwork{chance: s.of("clock", 0), net: &s.noServer, jumps: s.trouble("clock set", 0, 4*day, 10*time.Second, 10*time.Minute)}
		s.noServer = s.trouble("no time server", 0, 10*day, time.Second, 20*day)
		s.oracle.slack = time.Minute
		s.clock.reboot()
	}
	s.full = s.trouble("disk full", 0, 25*day, time.Minute, 2*day)
	return s
}
