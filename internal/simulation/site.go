package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// Options of a simulation.
type Options struct {
	Seed     uint64
	Days     int
	Meters   int
	Dir      string // where the store lies: a RAM disk makes it fast
	Identity Identity
	Quiet    bool         // no faults at all
	Logger   *slog.Logger // of the agent; nil: nowhere
	Most     int          // violations after which it ends; 0: 20
}

// Result is what came of it.
type Result struct {
	Violations  []Violation
	Log         []string // what the agent said before the first of them
	Meters      int
	Days        int
	HalfHours   int
	Missing     int
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
	Lost        int // stores that were lost with their disk
}

// site is a whole site with everything around it.
type site struct {
	Options
	chance
	calm       *calm
	wires      []*wire
	meters     map[string]*meter
	channels   []*channel
	config     *config.Config
	relay      *relay
	net        *network
	oracle     *oracle
	full       episodes
	clock      *clockwork   // nil: its clock is right
	noServer   episodes     // no time server can be reached
	trust      *clock.Clock // of the present agent; nil: its clock is given
	doubted    time.Time    // when it was last not trusted
	begin      time.Time
	end        time.Time
	result     Result
	log        *recent
	disk       *disk
	permission permission
	saved      map[energy.Key]time.Time // up to when what the agent was given is kept
	maybe      map[energy.Key]time.Time // and up to when it may be
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
		o.Logger = slog.New(slog.DiscardHandler)
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
	r.Exchanged, r.Substituted = s.oracle.Exchanged, s.oracle.Substituted
	r.HalfHours, r.Missing, r.Quality = s.oracle.Checked, s.oracle.Missing, s.oracle.By
	r.Batches, r.Carried, r.Again = s.relay.batches, s.relay.carried, s.relay.again
	r.Meters, r.Days = o.Meters, o.Days
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

// wall is the clock of the gateway's operating system.
func (s *site) wall() time.Time {
	if s.clock == nil {
		return time.Now()
	}
	return s.clock.wall()
}

// dating is the agent's clock; nil for one that is right and believed.
func (s *site) dating(st *store.Store) *clock.Clock {
	if s.clock == nil {
		return nil
	}
	var floor time.Time
	if keys, err := st.Keys(); err == nil {
		for _, k := range keys {
			if _, last, n, err := st.Bounds(k); err == nil && n > 0 && last.Add(energy.Period).After(floor) {
				floor = last.Add(energy.Period)
			}
		}
	}
	s.trust = clock.New(clock.Options{Wall: s.clock.wall, Mono: s.clock.mono, Sync: s.clock.sync, Floor: floor, Kept: agent.KeptClock(st), Logger: s.Logger})
	return s.trust
}

func newSite(o Options) *site {
	s := &site{Options: o, chance: chance(mix(o.Seed)), calm: &calm{}, path: filepath.Join(o.Dir, "agent.db"), saved: map[energy.Key]time.Time{}, maybe: map[energy.Key]time.Time{}, meters: map[string]*meter{}}
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
	s.relay = newRelay(o.Identity, s.report)
	day := 24 * time.Hour
	s.net = &network{chance: s.of("network", 0), h: s.relay,
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

// trouble makes the episodes of a component.
func (s *site) trouble(name string, i int, between, least, most time.Duration) episodes {
	if s.Quiet {
		between = 250 * 365 * 24 * time.Hour
	}
	return episodes{chance: s.of(name, i), between: between, least: least, most: most, calm: s.calm}
}

// build makes meters and wires from the seed.
func (s *site) build() {
	const perWire = 8
	day := 24 * time.Hour
	for i := range s.Meters {
		c := s.of("meter", i)
		if i%perWire == 0 {
			n := len(s.wires)
			s.wires = append(s.wires, &wire{site: s,
				down: s.trouble("wire", n, 40*day, 2*time.Second, 30*day),
				slow: s.trouble("slow wire", n, 10*day, time.Minute, day),
			})
			s.config.Buses = append(s.config.Buses, config.Bus{ID: fmt.Sprintf("bus%d", n), Driver: "simulated", URL: "sim://", Timeout: time.Second})
		}
		w := s.wires[len(s.wires)-1]
		m := &meter{id: fmt.Sprintf("m%d", i), silent: s.trouble("silent", i, 6*day, 2*time.Second, 6*day)}
		polls := []time.Duration{30 * time.Second, time.Minute, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}
		m.poll = polls[c.n(0, int64(len(polls)))]
		measures := [][]energy.Measure{{energy.Import}, {energy.Import, energy.Export}, {energy.Gas}, {energy.Import, energy.ReactiveImport}}[c.n(1, 4)]
		if i < 3 {
			measures = measures[:1] // a main meter and two behind it
			measures[0] = energy.Import
		}
		cfg := config.Meter{ID: m.id, Bus: s.config.Buses[len(s.config.Buses)-1].ID, Unit: uint8(i%perWire + 1), Poll: m.poll}
		fills := c.n(7, 3) == 0
		if fills {
			cfg.Substitute, cfg.SubstituteAfter = []string{"linear", "profile"}, 48*time.Hour
		}
		for j, measure := range measures {
			ch := s.channel(i, j, m.id, measure)
			ch.fills = fills
			m.channels = append(m.channels, ch)
			s.channels = append(s.channels, ch)
			cfg.Registers = append(cfg.Registers, config.Register{
				Point:   modbus.Point{Measure: measure, Address: uint16(4 * j), Type: "uint64", Unit: measure.BaseUnit()},
				Modulus: ch.modulus, MaxPower: ch.rating,
			})
		}
		if i == 2 {
			s.behind(s.channels[0], s.channels[1], s.channels[2])
		}
		if i >= 2 {
			s.exchange(i, m)
		}
		s.meters[m.id] = m
		w.meters = append(w.meters, m)
		s.config.Meters = append(s.config.Meters, cfg)
	}
}

// behind puts two meters behind a main one.
func (s *site) behind(main, a, b *channel) {
	main.load.parts = []*load{&a.load, &b.load}
	main.rating += a.rating + b.rating
	main.modulus = 0
	m, _ := s.config.Meter(main.key.Meter)
	m.Registers[0].MaxPower, m.Registers[0].Modulus = main.rating, 0
	for i, meter := range []string{main.key.Meter, a.key.Meter} {
		s.exchange(i, s.meters[meter])
	}
}

func (s *site) channel(i, j int, meter string, measure energy.Measure) *channel {
	c := s.of("register", i*8+j)
	rating := []int64{5_000, 20_000, 70_000, 250_000, 2_000_000}[c.n(0, 5)]
	modulus := []int64{0, 0, 10_000_000, 1_000_000_000, 1 << 32, 1 << 48}[c.n(1, 6)]
	if modulus > 0 && modulus < 200*rating {
		modulus = 0
	}
	step := []int64{1, 1, 10, 100, 1000}[c.n(2, 5)]
	r := register{key: energy.Key{Meter: meter, Measure: measure}, modulus: modulus, rating: rating, step: step,
		load: load{kind: measure, most: rating * 4 / 5, noise: c.of("load", 0)}}
	first := c.n(3, 1_000_000_000)
	if modulus > 0 {
		first = c.n(3, modulus)
	}
	load := r.load.again()
	r.fits = []fitting{{fitted: s.begin, shows: first / step * step, before: load.total(s.begin)}}
	day := 24 * time.Hour
	return &channel{register: r, chance: c, calm: s.calm, good: -1, sure: -1, lates: map[int64]delivery{},
		faults: s.trouble("register", i*8+j, day, time.Second, 40*time.Minute)}
}

// exchange plans when the meter is taken down and another one hung up, whose
// registers begin near 0. Where the meter does not tell its serial number,
// only the fall gives that away: then the old one must have counted enough,
// and stand away from a wrap, and nothing else may happen at the time.
func (s *site) exchange(i int, m *meter) {
	c := s.of("exchange", i)
	m.tells = c.n(-1, 2) == 0
	for at, n := s.begin, int64(0); !s.Quiet; n += 8 {
		at = at.Add(72*time.Hour + c.wait(n, 90*24*time.Hour)).Truncate(time.Second)
		back := at.Add(c.lasting(n+1, 5*time.Minute, 5*time.Hour)).Truncate(time.Second)
		if back.Add(48 * time.Hour).After(s.end) {
			return
		}
		swap := at.Add(time.Duration(c.n(n+4, int64(back.Sub(at))))).Truncate(time.Second)
		var closed, fits []fitting
		for _, ch := range m.channels {
			plan := ch.load.again()
			last := len(ch.fits) - 1
			old := ch.fits[last]
			old.removed, old.swap, old.closes = at, swap, ch.counted(last, plan.total(at))
			if shown := ch.shown(old.closes); !m.tells && (shown < 48*ch.rating || ch.modulus > 0 && shown > ch.modulus*8/10) {
				break
			}
			if c.n(n+5, 2) == 0 {
				old.stated = swap.Add(c.lasting(n+6, time.Hour, 20*24*time.Hour) - 24*time.Hour)
			}
			closed = append(closed, old)
			shows := c.n(n+2, 3) * c.n(n+3, 2000)
			if m.tells && c.n(n+7, 3) == 0 {
				shows = ch.shown(old.closes) + c.n(n+3, ch.rating) // only its serial number gives it away
			}
			fits = append(fits, fitting{fitted: back, shows: ch.shown(shows / ch.step * ch.step), before: plan.total(back)})
		}
		if len(fits) < len(m.channels) {
			continue
		}
		for j, ch := range m.channels {
			ch.fits = append(ch.fits[:len(ch.fits)-1], closed[j], fits[j])
		}
		if !m.tells {
			s.calm.spans = append(s.calm.spans, span{at.Add(-3 * time.Hour), back.Add(24 * time.Hour)})
		}
		s.result.Exchanges++
	}
}

// state puts the exchanges that the operator has stated by now into the
// configuration, which the agent reads when it starts.
func (s *site) state() {
	for i := range s.config.Meters {
		cfg := &s.config.Meters[i]
		m, ok := s.meters[cfg.ID]
		if !ok {
			continue
		}
		cfg.Exchanges = nil
		for k := range m.channels[0].fits {
			f := m.channels[0].fits[k]
			if f.stated.IsZero() || time.Now().Before(f.stated) {
				continue
			}
			x := config.Exchange{At: f.swap}
			for _, ch := range m.channels {
				ch.fits[k].known = true
				x.Reads = append(x.Reads, config.ExchangeRead{Measure: ch.key.Measure, Closing: ch.shown(ch.fits[k].closes), Opening: ch.shown(ch.fits[k+1].shows)})
			}
			cfg.Exchanges = append(cfg.Exchanges, x)
		}
	}
}

// years lives through it.
func (s *site) years() error {
	s.permission.begin(s)
	for time.Now().Before(s.end) {
		if err := s.life(); err != nil {
			return err
		}
		if s.tooMuch() {
			return nil
		}
	}
	return nil
}

func (s *site) tooMuch() bool { return len(s.result.Violations) >= s.Most }

// life runs one agent from its start to its end, and the time until the next.
func (s *site) life() error {
	s.live++
	s.state()
	c, n := s.of("life", 0), s.live*8
	if !s.Quiet && s.live > 1 && c.n(n+6, 40) == 0 && !s.calm.during(time.Now()) {
		s.oracle.lost() // the card is dead: a new one is put in
		if err := os.Remove(s.path); err != nil {
			return err
		}
		clear(s.saved)
		clear(s.maybe)
		s.result.Lost++
	}
	st, report, err := store.Open(s.path, store.Options{Now: s.wall, Logger: s.Logger, KeepHalfHours: s.config.Store.KeepHalfHours, KeepSamples: s.config.Store.KeepSamples})
	if err != nil {
		return err
	}
	if report.SetAside != "" {
		s.result.SetAside++
		s.report("kept", "the store was set aside: "+report.Reason)
	}
	s.result.Lives++
	now := time.Now()
	plan := death{at: s.calm.after(now.Add(time.Minute + c.wait(n, 20*time.Hour))), kind: int(c.n(n+1, waysToStop)), skip: c.n(n+2, 6),
		call: fatalCalls[c.n(n+5, int64(len(fatalCalls)))], noise: c.of("torn", int(s.live))}
	if s.Quiet || !plan.at.Before(s.end) {
		plan = death{at: s.end, kind: stopped}
	}
	s.Logger.Info("simulation: a life begins", "life", s.live, "wall", s.wall(), "plan", plan.at, "kind", plan.kind, "call", plan.call)
	s.disk = &disk{Store: st, path: s.path, plan: plan, full: &s.full, kept: s.committed, died: make(chan struct{})}
	if err := s.agent(plan); err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	s.Logger.Info("simulation: a life ends", "life", s.live, "kind", plan.kind, "call", s.disk.where)
	if s.disk.torn != nil {
		if err := os.WriteFile(s.path, s.disk.torn, 0o600); err != nil {
			return err
		}
	}
	s.oracle.died(s.saved, s.maybe)
	cut := plan.kind >= cutBefore
	if down := s.downtime(c, n); time.Now().Before(s.end) {
		<-time.After(time.Until(s.calm.cut(time.Now(), time.Now().Add(down)).Add(time.Second)))
	}
	if cut && s.clock != nil {
		s.clock.reboot()
	}
	return nil
}

func (s *site) downtime(c chance, n int64) time.Duration {
	switch p := c.n(n+3, 100); {
	case p < 80:
		return c.lasting(n+4, time.Second, 10*time.Minute)
	case p < 98:
		return c.lasting(n+4, 10*time.Minute, 12*time.Hour)
	default:
		return c.lasting(n+4, 12*time.Hour, 60*24*time.Hour)
	}
}

// agent runs the agent until its life ends, and has every day checked.
func (s *site) agent(plan death) error {
	a, err := agent.New(agent.Options{
		Config: s.config, Store: s.disk, Drivers: s.drivers(), Clock: s.dating(s.disk.Store), Now: s.wall, Logger: s.Logger, HTTP: s.net,
		Flush: 10 * time.Minute, Watchdog: 24 * time.Hour, Version: "simulated",
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	for {
		next := time.Now().Add(-dailyAt).Truncate(24 * time.Hour).Add(24*time.Hour + dailyAt)
		if plan.kind <= killed && plan.at.Before(next) {
			next = plan.at
		}
		if s.end.Before(next) {
			next = s.end
		}
		t := time.NewTimer(time.Until(next))
		select {
		case err := <-ended:
			return fmt.Errorf("the agent gave up: %w", err)
		case <-s.disk.died:
		case <-t.C:
		}
		t.Stop()
		synctest.Wait()
		now, gone := time.Now(), s.disk.gone()
		last := !now.Before(s.end)
		if !gone && (last || !now.Equal(plan.at)) {
			s.check(last)
			if !last && !s.tooMuch() {
				continue
			}
		}
		if plan.kind == killed && !last {
			s.disk.kill()
		}
		s.result.Ends[plan.kind]++
		cancel()
		if err := <-ended; err != nil && !s.disk.gone() && !errors.Is(err, store.ErrFull) {
			return err
		}
		return nil
	}
}

// dailyAt is when the laws are checked each day: midnight's half-hours are settled.
const dailyAt = 25 * time.Minute

func (s *site) check(last bool) {
	now := time.Now()
	s.oracle.check(s.disk.Store, now, last, now.Sub(s.disk.refused) < 3*time.Hour || now.Sub(s.doubted) < 3*time.Hour)
	s.oracle.checkRelay(s.disk.Store, s.relay, now, last)
	s.permission.daily(s, last)
}

// committed notes what the store took.
func (s *site) committed(r store.Round, sure bool) {
	s.result.Commits++
	s.oracle.committed(r, sure)
	for i := range r.Samples {
		k, at := r.Samples[i].Key, r.Samples[i].At
		if at.Before(s.begin.Add(-s.oracle.slack)) || at.After(time.Now().Add(s.oracle.slack)) {
			s.report("evidence", fmt.Sprintf("%s: a sample is kept that is dated %s", k, at))
		}
	}
	if s.trust != nil && !s.trust.Trusted() {
		return // what was read lies on a shelf
	}
	for i := range r.States {
		if sure {
			s.saved[r.States[i].Key] = time.Now()
		} else {
			s.maybe[r.States[i].Key] = time.Now()
		}
	}
}

func (s *site) drivers() map[string]agent.Factory {
	return map[string]agent.Factory{"simulated": func(b config.Bus, _ []config.Meter, date func() time.Time, _ *slog.Logger) (drivers.Poller, error) {
		i := slices.IndexFunc(s.config.Buses, func(o config.Bus) bool { return o.ID == b.ID })
		s.wires[i].date = date
		return s.wires[i], nil
	}}
}
