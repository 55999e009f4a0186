package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
	"github.com/perseus-edge/perseus-edge/store"
)

// In its steady state a sample costs no allocation on its way through energy,
// half-hours that it settles and the state that is kept of it included.
func TestASampleAllocatesNothing(t *testing.T) {
	s := newSite()
	all := s.accumulators()
	made, state := make([]energy.HalfHour, 0, 4), make([]byte, 0, 256)
	hour := int(time.Hour/sitePoll) * siteMeters
	at, halfHours := 0, 0
	add := func() {
		for i, sample := range s.samples[at : at+hour] {
			made, _ = all[i%siteMeters].Add(sample, made[:0])
			halfHours += len(made)
			state = all[i%siteMeters].State(state[:0])
		}
		at += hour
	}
	add() // opens the registers
	if n := testing.AllocsPerRun(10, add); n != 0 {
		t.Errorf("an hour of %d meters takes %v allocations", siteMeters, n)
	}
	if want := 2 * siteMeters * 11; halfHours < want {
		t.Errorf("%d half-hours, want %d: this measured nothing", halfHours, want)
	}
}

func TestStatedSyncs(t *testing.T) {
	for _, c := range []struct {
		registers int
		poll      time.Duration
		want      int
	}{
		{1, 10 * time.Second, 110},
		{6, 10 * time.Second, 130},
		{7, 10 * time.Second, 130}, // all that settles within two seconds goes in one commit
		{1000, time.Second, 110},
		{10, time.Minute, 158},
		{1000, time.Minute, 242},
	} {
		if got := statedSyncs(c.registers, c.poll); got != c.want {
			t.Errorf("%d registers every %v: %d, want %d", c.registers, c.poll, got, c.want)
		}
	}
}

// The measured path does what it measures: every half-hour of the site is in
// the store, nothing waits to be sent, and each follows from the one before.
func TestThroughStoreStoresAll(t *testing.T) {
	s := newSite()
	s.samples = s.samples[:6*int(time.Hour/sitePoll)*siteMeters]
	end := start.Add(6 * time.Hour).Add(-energy.Period) // the last half-hour is not settled: its end is not read
	c, err := s.throughStore(func(st *store.Store) error {
		for i, k := range s.keys {
			n, last := 0, int64(-1)
			for h, err := range st.HalfHours(k, start, end) {
				if err != nil {
					return err
				}
				// Not to the Wh: the register at a boundary lies between two samples.
				if off := h.Cumulative - s.loads[i].Register(h.Start.Add(energy.Period)); off < -30 || off > 30 || h.Quality != energy.Measured {
					return fmt.Errorf("%s at %s: %+v is off by %d", k, h.Start, h, off)
				}
				if last >= 0 && h.Cumulative-h.Energy != last {
					return fmt.Errorf("%s at %s: %+v does not follow from %d", k, h.Start, h, last)
				}
				last = h.Cumulative
				n++
			}
			if n < 10 { // of eleven: the one in which the register is opened may not be known
				return fmt.Errorf("%s has %d half-hours", k, n)
			}
		}
		keys, err := st.PendingKeys()
		if len(keys) > 0 {
			return fmt.Errorf("%v wait to be sent", keys)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.samples == 0 || c.bytes == 0 || c.worstHour == 0 || c.worstHour > statedSyncs(siteMeters, sitePoll) {
		t.Errorf("%+v", c)
	}
}
