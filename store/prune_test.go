package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestPrune(t *testing.T) {
	s := fastStore(t)
	s.o.KeepHalfHours, s.o.KeepSamples = 10*24*time.Hour, 2*24*time.Hour
	var r Round
	for _, k := range []energy.Key{main_, gasKey} {
		r.HalfHours = append(r.HalfHours, halfHours(k, 0, 20*48)...)
		for i := range 20 * 24 {
			r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.Add(time.Duration(i)*time.Hour + time.Minute), Value: int64(i)}})
		}
	}
	for i := range 20 {
		r.Statements = append(r.Statements, energy.KeyedStatement{Key: main_, At: day0.AddDate(0, 0, i), Body: fmt.Appendf(nil, "%d", i)})
	}
	must(t, s.Commit(r))
	fix := append(halfHours(main_, 5*48, 5*48+1), halfHours(main_, 15*48, 15*48+1)...)
	fix[0].Energy++
	fix[1].Energy++
	must(t, s.Commit(Round{HalfHours: fix}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 9*48)}, 7))
	must(t, s.Acknowledge(1))

	now := day0.AddDate(0, 0, 20).Add(11*time.Hour + 30*time.Minute)
	must(t, s.Prune(now))
	for _, k := range []energy.Key{main_, gasKey} { // the 10th day is not wholly too old
		got := collect(t, s.HalfHours(k, time.Time{}, forever))
		if len(got) != 10*48 || !got[0].Start.Equal(day0.AddDate(0, 0, 10)) {
			t.Fatalf("%s: %d half-hours from %s", k, len(got), got[0].Start)
		}
		first, last, n, err := s.Bounds(k)
		must(t, err)
		same(t, "bounds", []any{first, last, n}, []any{got[0].Start, got[len(got)-1].Start, len(got)})
		samples := collect(t, s.Samples(k, time.Time{}, forever))
		if len(samples) != 20*24-(18*24+11) || !samples[0].At.Equal(day0.AddDate(0, 0, 18).Add(11*time.Hour+time.Minute)) {
			t.Fatalf("%s: %d samples from %s", k, len(samples), samples[0].At)
		}
		same(t, "pending", pend(t, s, k), upTo(10*48, 20*48)) // what is not acknowledged and young enough is all there
	}
	statements, err := s.PendingStatements(100)
	must(t, err)
	// Day 10 begins before noon: of those before it the last one stays.
	same(t, "statements", statements, r.Statements[10:])
	fixes, err := s.Corrections(main_, time.Time{}, forever)
	must(t, err)
	same(t, "corrections", len(fixes), 1)
	u, err := s.Usage()
	must(t, err)
	u.FileBytes, u.FreeBytes = 0, 0
	same(t, "usage", u, Usage{Registers: 2, HalfHours: 2 * 480, PendingDays: 20, Corrections: 1, Statements: 10,
		Oldest: day0.AddDate(0, 0, 10), Newest: day0.AddDate(0, 0, 20).Add(-energy.Period)})

	must(t, s.Prune(now.AddDate(1, 0, 0)))
	u, err = s.Usage()
	must(t, err)
	if u.HalfHours != 0 || u.PendingDays != 0 || u.Statements != 1 || u.FreeBytes < u.FileBytes/2 {
		t.Fatalf("a year later: %+v", u)
	}
	keys, err := s.PendingKeys()
	must(t, err)
	same(t, "pending keys", keys, []energy.Key(nil))
	must(t, s.Commit(r)) // and it all fits again, in the same file
	if got := collect(t, s.HalfHours(main_, time.Time{}, forever)); len(got) != 20*48 {
		t.Fatalf("%d half-hours", len(got))
	}
}

// Retention reuses the room that it frees: after years the file is no larger
// than what it keeps.
func TestFileStopsGrowing(t *testing.T) {
	s := fastStore(t)
	s.o.KeepHalfHours, s.o.KeepSamples = 20*24*time.Hour, 2*24*time.Hour
	var size int64
	for day := range 120 {
		var r Round
		for _, k := range tenMeters()[:3] {
			r.HalfHours = append(r.HalfHours, halfHours(k, day*48, day*48+48)...)
			for i := range 24 * 60 {
				r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.AddDate(0, 0, day).Add(time.Duration(i) * time.Minute), Value: int64(day*1440 + i)}})
			}
		}
		must(t, s.Commit(r))
		must(t, s.Prune(day0.AddDate(0, 0, day+1)))
		if day == 40 {
			size = fileSize(t, s)
		}
	}
	if got := fileSize(t, s); got > size+size/4 {
		t.Fatalf("%d bytes after 40 days, %d after 120", size, got)
	}
}

// An iterator holds one day, not all of them.
func TestIteratorsHoldOneDay(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 400*48)}))
	first := func() {
		for _, err := range s.HalfHours(main_, time.Time{}, forever) {
			must(t, err)
			break
		}
	}
	whole := func() { collect(t, s.HalfHours(main_, time.Time{}, forever)) }
	one, all := testing.AllocsPerRun(10, first), testing.AllocsPerRun(2, whole)
	if one > 60 || all < 5*one {
		t.Fatalf("%v allocations for the first half-hour, %v for all", one, all)
	}
}
