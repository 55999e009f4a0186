package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// recording is a site under way.
type recording struct {
	site  *site
	st    *store.Store
	acc   []*energy.Accumulator
	kept  [][]byte // what the agent keeps of each register, its state at the end
	made  []energy.HalfHour
	last  [siteMeters]energy.Sample
	read  [siteMeters]bool // since the last commit
	round store.Round

	flush, soon, send, prune time.Time     // when what comes next is due; zero where nothing waits
	spans                    []energy.Span // what is to be sent
	sequence                 uint64
	body                     []byte

	settled   uint64 // allocations of what is done at half-hours
	looked    uint64 // and of the hourly look through the file
	halfHours int
}

// allocations adds to n what something allocates.
func allocations(n *uint64, do func() error) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := do()
	runtime.ReadMemStats(&after)
	*n += after.Mallocs - before.Mallocs
	return err
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
	r.settled, r.looked, r.halfHours = 0, 0, 0
	err = c.measure(func() error {
		err := r.run(s.samples[warm:], func() {
			c.worstHour = max(c.worstHour, int(st.Written().Syncs-hour.Syncs))
			hour = st.Written()
		})
		c.settled, c.looked, c.halfHours = r.settled, r.looked, r.halfHours
		return err
	})
	c.bytes = st.Written().Bytes - before.Bytes
	if err == nil && look != nil {
		err = errors.Join(r.commit(), r.sendAll(), look(st))
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
		r.last[m], r.read[m] = sample, true
	}
	return nil
}

func (r *recording) due(now time.Time, hourly func()) error {
	if !r.soon.IsZero() && !now.Before(r.soon) {
		r.soon = time.Time{}
		if r.send.IsZero() {
			r.send = now.Add(gather)
		}
		if err := allocations(&r.settled, r.commit); err != nil {
			return err
		}
	}
	if !now.Before(r.flush) {
		r.flush = r.flush.Add(commitEvery)
		if err := r.commit(); err != nil {
			return err
		}
	}
	if !r.send.IsZero() && !now.Before(r.send) {
		r.send = time.Time{}
		if err := allocations(&r.settled, r.sendAll); err != nil {
			return err
		}
	}
	if now.Before(r.prune) {
		return nil
	}
	r.prune = r.prune.Add(time.Hour)
	err := allocations(&r.looked, func() error { return r.st.Prune(now) })
	if hourly != nil {
		hourly()
	}
	return err
}

// commit stores the round.
func (r *recording) commit() error {
	r.round.States, r.round.Samples = r.round.States[:0], r.round.Samples[:0]
	for m, k := range r.site.keys {
		if !r.read[m] {
			continue
		}
		r.read[m] = false
		r.kept[m] = r.acc[m].State(r.kept[m][:keptHead])
		r.round.States = append(r.round.States, store.KeyedState{Key: k, State: r.kept[m]})
		r.round.Samples = append(r.round.Samples, store.KeyedSample{Key: k, Sample: r.last[m]})
	}
	if err := r.st.Commit(r.round); err != nil {
		return err
	}
	for _, h := range r.round.HalfHours {
		r.spans = append(r.spans, energy.Span{Key: h.Key, From: h.HalfHour.Start, To: h.HalfHour.Start.Add(energy.Period)})
	}
	r.halfHours += len(r.round.HalfHours)
	r.round.HalfHours = r.round.HalfHours[:0]
	return nil
}

// sendAll seals a batch of what is new, and it is acknowledged.
func (r *recording) sendAll() error {
	r.sequence++
	if err := r.st.Seal(r.sequence, [32]byte{}, r.body, r.spans, 0); err != nil {
		return err
	}
	r.spans = r.spans[:0]
	return r.st.Acknowledge(r.sequence)
}
