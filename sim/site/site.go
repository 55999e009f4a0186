// Package site plays a whole site on one machine, so that an installer can
// rehearse it: every bus and every meter of an agent's configuration, with
// believable loads and with the faults of the field on demand. What the
// meters really counted can be had, so that a test can compare.
//
// It reads the configuration as the agent itself does (agent/config); what is
// on the wires it writes by itself, from the drivers' documents, so that a
// mistake of a driver does not meet the same mistake here.
package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// Options of a site.
type Options struct {
	Config   string           // path of the agent's configuration; "" where Text is given
	Text     []byte           // the configuration itself
	Dir      string           // for what the site makes: the agent's configuration, ports, folders, keys
	PortBase int              // first of the ports used; the agent's page has it
	Faults   fault.List       //
	Seed     uint64           // of the faults: the same seed plays the same
	Every    time.Duration    // between two messages of a device, of life; 10 s if 0
	Broker   string           // publish there; "": a broker of our own for each bus
	Truth    string           // path of the file with what was really counted; "": none
	Now      func() time.Time // time.Now if nil
	Out      io.Writer        // where it says what it plays; io.Discard if nil
}

// Site is a simulated site.
type Site struct {
	opt     Options
	cfg     *config.Config
	start   time.Time
	buses   []*bus
	key     string
	running sync.WaitGroup
}

// New reads the configuration and sees that all of it can be played.
func New(o Options) (*Site, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	name := "the site's configuration"
	if o.Config != "" {
		if o.Text, err = os.ReadFile(o.Config); err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		if name, err = filepath.Abs(o.Config); err != nil {
			return nil, err
		}
	}
	s := &Site{opt: o, start: o.Now().UTC(), key: rand.Text()}
	if s.cfg, err = config.Parse(name, o.Text); err != nil {
		return nil, err
	}
	for i, b := range s.cfg.Buses {
		at, err := placeOf(b, o.Dir, o.PortBase+1+i)
		if err != nil {
			return nil, err
		}
		one := &bus{cfg: b, at: at}
		from := s.start.AddDate(0, 0, -daysBack)
		if l := b.Listening; b.Driver == "dcc" && l.Format != "glow" {
			from = s.start.AddDate(0, -historyMonths, 0)
		}
		for _, m := range s.cfg.On(b.ID) {
			src := &source{meter: m}
			for _, r := range m.Registers {
				reg, err := newRegister(m, s.like(m.ID), r, from, s.start)
				if err != nil {
					return nil, fmt.Errorf("meter %s: %s: %w", m.ID, r.Measure, err)
				}
				src.registers = append(src.registers, reg)
			}
			if m.CheckPower != nil {
				power, err := newCheckPower(m, src.registers)
				if err != nil {
					return nil, fmt.Errorf("meter %s: check_power: %w", m.ID, err)
				}
				src.power = power
			}
			if err := src.addSigns(); err != nil {
				return nil, fmt.Errorf("meter %s: what it shows besides its totals: %w", m.ID, err)
			}
			one.sources = append(one.sources, src)
		}
		s.buses = append(s.buses, one)
	}
	return s, s.prepare()
}

// like is the meter that a check meter checks; else the meter itself.
func (s *Site) like(id string) string {
	for _, m := range s.cfg.Meters {
		if m.CheckMeter == id {
			return m.ID
		}
	}
	return id
}

// prepare makes the players, and gives each its faults.
func (s *Site) prepare() error {
	for _, b := range s.buses {
		if err := b.kind(s); err != nil {
			return fmt.Errorf("bus %s: %w", b.cfg.ID, err)
		}
	}
	var who []fault.Bus
	for _, b := range s.buses {
		who = append(who, fault.Bus{Names: b.names(), Plays: b.plays})
	}
	shared, err := fault.Share(s.opt.Faults, who)
	if err != nil {
		return err
	}
	for i, b := range s.buses {
		b.faults = shared[i]
		b.dice = fault.NewDice(b.faults, s.opt.Seed, b.cfg.ID, s.start, s.opt.Now)
		for _, src := range b.sources {
			for _, r := range src.registers {
				r.dice = b.dice
			}
		}
		if err := errors.Join(b.rollOver(), b.alarms(), b.reversed()); err != nil {
			return err
		}
		b.player = b.make(s)
	}
	return nil
}

// AgentConfig is where the agent's configuration for this site is written.
func (s *Site) AgentConfig() string { return filepath.Join(s.opt.Dir, "agent.yaml") }

// Write makes the folder with the agent's configuration and keys.
func (s *Site) Write() error {
	places := map[string]string{}
	for _, b := range s.buses {
		places[b.cfg.ID] = b.at.url
	}
	from := "."
	if s.opt.Config != "" {
		from = filepath.Dir(s.cfg.File)
	}
	text, err := rewrite(s.opt.Text, s.opt.Dir, from, fmt.Sprintf("127.0.0.1:%d", s.opt.PortBase), places)
	if err != nil {
		return fmt.Errorf("the agent's configuration: %w", err)
	}
	if _, err := config.Parse(s.AgentConfig(), text); err != nil {
		return fmt.Errorf("the configuration for the rehearsal is not sound; please report this: %w", err)
	}
	if err := os.MkdirAll(s.opt.Dir, 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(s.opt.Dir, "key"), []byte(s.key+"\n"), 0o600), os.WriteFile(s.AgentConfig(), text, 0o644))
}

// Run plays the site until ctx ends, or a bus cannot be played any more.
func (s *Site) Run(ctx context.Context) error {
	if err := s.Write(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.say()
	for _, b := range s.buses {
		s.running.Go(func() {
			if err := b.player.run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("bus %s: %w", b.cfg.ID, err))
			}
		})
	}
	err := s.book(ctx)
	if err != nil {
		cancel(err)
	}
	s.running.Wait()
	s.sayPlayed()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// say prints what is played where.
func (s *Site) say() {
	for _, b := range s.buses {
		fmt.Fprintf(s.opt.Out, "bus %s at %s", b.cfg.ID, b.at.url)
		if len(b.faults) > 0 {
			fmt.Fprintf(s.opt.Out, ", with %s", b.faults.String())
		}
		fmt.Fprintln(s.opt.Out)
		if b.at.changed != "" {
			fmt.Fprintf(s.opt.Out, "  %s\n", b.at.changed)
		}
		for _, src := range b.sources {
			fmt.Fprintf(s.opt.Out, "  meter %s:", src.meter.ID)
			for _, r := range src.registers {
				fmt.Fprintf(s.opt.Out, " %s", r.cfg.Measure)
			}
			fmt.Fprintln(s.opt.Out)
		}
	}
	fmt.Fprintf(s.opt.Out, "the agent's configuration: %s\n", s.AgentConfig())
}

func (s *Site) sayPlayed() {
	for _, b := range s.buses {
		if played := b.dice.Played(); played != "" {
			fmt.Fprintf(s.opt.Out, "bus %s played: %s\n", b.cfg.ID, played)
		}
	}
}
