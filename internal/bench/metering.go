package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
	"github.com/perseus-edge/perseus-edge/store"
)

// The site of the metering measures: ten meters, one register each, polled
// every ten seconds at instants spread over the ten seconds, as the agent does.
const (
	siteMeters = 10
	sitePoll   = 10 * time.Second
	siteDays   = 3 // of which the first is not measured: the file is young

	// The agent's pace of commits (agent/recorder.go).
	commitEvery = time.Minute
	settleDelay = 2 * time.Second
)

// metering measures what a sample costs on its way through energy and store,
// beside baselines that keep the same samples as JSON.
func metering() error {
	site := newSite()
	bare, err := site.throughEnergy()
	if err != nil {
		return err
	}
	full, err := site.throughStore(nil)
	if err != nil {
		return err
	}
	naive, err := site.asJSON(1)
	if err != nil {
		return err
	}
	batched, err := site.asJSON(int(commitEvery/sitePoll) * siteMeters)
	if err != nil {
		return err
	}
	const each, minute = "JSON in bbolt, a transaction each", "a transaction a minute"
	row("samples a second and core, through energy", perSecond(bare), "", "")
	row("  allocations a sample", fmt.Sprintf("%.4f", bare.allocs()), "0", "")
	row("  and through store, outbox included", perSecond(full), "", fmt.Sprintf("%s %s; %s %s", each, perSecond(naive), minute, perSecond(batched)))
	row("  allocations a sample", fmt.Sprintf("%.2f", full.allocs()), "", fmt.Sprintf("%s %.0f; %s %.0f", each, naive.allocs(), minute, batched.allocs()))
	row("bytes written per meter and day, 10 meters at 10 s", kib(full.bytesPerDay()), "", fmt.Sprintf("%s %s; %s %s", each, kib(naive.bytesPerDay()), minute, kib(batched.bytesPerDay())))
	row("fsyncs an hour, the worst hour of the day", fmt.Sprint(full.worstHour), fmt.Sprint(statedSyncs(siteMeters, sitePoll)), fmt.Sprintf("%s %d; %s %d", each, naive.worstHour, minute, batched.worstHour))
	if full.worstHour > statedSyncs(siteMeters, sitePoll) {
		return fmt.Errorf("%d fsyncs in an hour, more than the stated worst case of %d", full.worstHour, statedSyncs(siteMeters, sitePoll))
	}
	return nil
}

// statedSyncs is the stated worst case of fsyncs in an hour with so many
// registers and so long a poll:
//
//	commits = 60 (one a minute) + 10 (pruning, clock, the day's judgement, new permissions)
//	        + 2 half-hours x min(registers, poll/2s + 1) instants at which half-hours are settled
//	          x 3 (the half-hours, the sealed batch, its acknowledgement)
//	fsyncs  = 2 x commits + 2 (the file grows)
//
// since the agent gathers for two seconds what the registers settle, and every
// register settles its half-hour with the first poll after it. A meter that did
// not answer then settles later: each time that one comes back adds at most one
// more instant.
func statedSyncs(registers int, poll time.Duration) int {
	instants := min(registers, int(poll/settleDelay)+1)
	return 2*(60+10+2*instants*3) + 2
}

// cost is what a number of samples cost.
type cost struct {
	samples   int
	cpu       time.Duration
	mallocs   uint64
	bytes     uint64 // handed to the disk
	worstHour int    // fsyncs
}

func (c cost) allocs() float64 { return float64(c.mallocs) / float64(c.samples) }

// bytesPerDay scales to one meter and day.
func (c cost) bytesPerDay() float64 {
	return float64(c.bytes) / float64(c.samples) * float64(24*time.Hour/sitePoll)
}

func perSecond(c cost) string {
	n := float64(c.samples) / c.cpu.Seconds()
	if n >= 1e6 {
		return fmt.Sprintf("%.1f M", n/1e6)
	}
	return fmt.Sprintf("%.1f k", n/1e3)
}

func kib(n float64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", n/(1<<10))
}

// measure fills in the CPU time and the allocations that f takes.
func (c *cost) measure(f func() error) error {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	from, err := ownCPU()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	to, err := ownCPU()
	runtime.ReadMemStats(&after)
	c.cpu, c.mallocs = to-from, after.Mallocs-before.Mallocs
	return err
}

func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// site is the samples, made beforehand so that making them costs nothing.
type site struct {
	keys    []energy.Key
	loads   []*meter.Load
	samples []energy.Sample // in the order of their times; the i-th is of meter i % siteMeters
}

func newSite() *site {
	s := &site{}
	end := start.AddDate(0, 0, siteDays)
	for i := range siteMeters {
		s.keys = append(s.keys, energy.Key{Meter: fmt.Sprint("meter", i), Measure: energy.Import})
		s.loads = append(s.loads, meter.NewLoad(s.keys[i].Meter, meter.Shop, start, end.AddDate(0, 0, 1)))
	}
	for t := start; t.Before(end); t = t.Add(sitePoll) {
		for i, l := range s.loads {
			at := t.Add(time.Duration(i) * sitePoll / siteMeters)
			s.samples = append(s.samples, energy.Sample{At: at, Value: l.Register(at)})
		}
	}
	return s
}

func (s *site) accumulators() (all []*energy.Accumulator) {
	for _, k := range s.keys {
		all = append(all, energy.NewAccumulator(energy.Register{Measure: k.Measure, MaxPower: 70_000}, energy.Period))
	}
	return all
}

// throughEnergy only makes half-hours of the samples.
func (s *site) throughEnergy() (c cost, err error) {
	all := s.accumulators()
	made := make([]energy.HalfHour, 0, 4)
	add := func(samples []energy.Sample) {
		for i, sample := range samples {
			made, _ = all[i%siteMeters].Add(sample, made[:0])
		}
	}
	warm := len(s.samples) / siteDays
	add(s.samples[:warm])
	c.samples = len(s.samples) - warm
	return c, c.measure(func() error {
		add(s.samples[warm:])
		return nil
	})
}

// recording is a site under way.
type recording struct {
	site  *site
	st    *store.Store
	acc   []*energy.Accumulator
	kept  [][]byte // what the agent keeps of each register, its state at the end
	made  []energy.HalfHour
	round store.Round

	flush, soon, prune time.Time // when the next commits are due; soon is zero when nothing was settled
	sequence           uint64
	body               []byte
}

// keptHead is what the agent keeps of a register beside the accumulator's
// state: how it is read, its last statement and sample.
const keptHead = 64

// throughStore does with the samples what the agent does. It lets the caller
// look at the store in the end, where it wants to.
func (s *site) throughStore(look func(*store.Store) error) (c cost, err error) {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	now := start
	st, _, err := store.Open(filepath.Join(dir, "agent.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	r := &recording{site: s, st: st, acc: s.accumulators(), kept: make([][]byte, siteMeters), body: make([]byte, 280),
		flush: start.Add(commitEvery), prune: start.Add(time.Hour)}
	for i := range r.kept {
		r.kept[i] = make([]byte, keptHead, 256)
	}
	warm := len(s.samples) / siteDays
	if err := r.run(s.samples[:warm], nil); err != nil {
		return c, err
	}
	before, hour := st.Written(), st.Written()
	c.samples = len(s.samples) - warm
	err = c.measure(func() error {
		return r.run(s.samples[warm:], func() {
			c.worstHour = max(c.worstHour, int(st.Written().Syncs-hour.Syncs))
			hour = st.Written()
		})
	})
	c.bytes = st.Written().Bytes - before.Bytes
	if err == nil && look != nil {
		err = errors.Join(r.commit(), look(st))
	}
	return c, err
}

// run takes the samples in their order and commits when the agent would.
func (r *recording) run(samples []energy.Sample, hourly func()) error {
	for i, sample := range samples {
		m := i % siteMeters
		if err := r.due(sample.At, hourly); err != nil {
			return err
		}
		r.made, _ = r.acc[m].Add(sample, r.made[:0])
		for _, h := range r.made {
			r.round.HalfHours = append(r.round.HalfHours, store.KeyedHalfHour{Key: r.site.keys[m], HalfHour: h})
			if r.soon.IsZero() {
				r.soon = sample.At.Add(settleDelay)
			}
		}
		if len(r.round.States) <= m {
			r.round.States = append(r.round.States, store.KeyedState{Key: r.site.keys[m]})
			r.round.Samples = append(r.round.Samples, store.KeyedSample{Key: r.site.keys[m]})
		}
		r.round.Samples[m].Sample = sample
	}
	return nil
}

func (r *recording) due(now time.Time, hourly func()) error {
	if !r.soon.IsZero() && !now.Before(r.soon) {
		r.soon = time.Time{}
		if err := r.commit(); err != nil {
			return err
		}
	}
	if !now.Before(r.flush) {
		r.flush = r.flush.Add(commitEvery)
		if err := r.commit(); err != nil {
			return err
		}
	}
	if now.Before(r.prune) {
		return nil
	}
	r.prune = r.prune.Add(time.Hour)
	err := r.st.Prune(now)
	if hourly != nil {
		hourly()
	}
	return err
}

// commit stores the round, and what is new goes out and is acknowledged.
func (r *recording) commit() error {
	for m := range r.round.States {
		r.kept[m] = r.acc[m].State(r.kept[m][:keptHead])
		r.round.States[m].State = r.kept[m]
	}
	if err := r.st.Commit(r.round); err != nil {
		return err
	}
	if len(r.round.HalfHours) == 0 {
		return nil
	}
	var spans []energy.Span
	for _, h := range r.round.HalfHours {
		spans = append(spans, energy.Span{Key: h.Key, From: h.HalfHour.Start, To: h.HalfHour.Start.Add(energy.Period)})
	}
	r.round.HalfHours = r.round.HalfHours[:0]
	r.sequence++
	if err := r.st.Seal(r.sequence, [32]byte{}, r.body, spans, 0); err != nil {
		return err
	}
	return r.st.Acknowledge(r.sequence)
}
