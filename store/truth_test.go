package store

import (
	"reflect"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// truth is everything that was ever stored.
type truth struct {
	halfHours map[at]energy.HalfHour
	samples   map[KeyedSample]bool
}

func truthOf(t testing.TB, s *Store) truth {
	t.Helper()
	all := truth{map[at]energy.HalfHour{}, map[KeyedSample]bool{}}
	for _, k := range tenMeters() {
		for _, h := range collect(t, s.HalfHours(k, time.Time{}, forever)) {
			all.halfHours[at{k, int(h.Start.Sub(day0) / energy.Period)}] = h
		}
		for _, sample := range collect(t, s.Samples(k, time.Time{}, forever)) {
			all.samples[KeyedSample{k, sample}] = true
		}
	}
	return all
}

// only fails when the store gives anything that was never stored: an error is
// right, nothing is right, a wrong figure never (law 2).
func (all truth) only(t testing.TB, s *Store, what string) {
	t.Helper()
	keys, _ := s.Keys()
	for _, k := range keys {
		for h, err := range s.HalfHours(k, time.Time{}, forever) {
			if err == nil && all.halfHours[at{k, int(h.Start.Sub(day0) / energy.Period)}] != h {
				t.Fatalf("%s: %s has %+v", what, k, h)
			}
		}
		for sample, err := range s.Samples(k, time.Time{}, forever) {
			if err == nil && !all.samples[KeyedSample{k, sample}] {
				t.Fatalf("%s: %s has %+v", what, k, sample)
			}
		}
		if state, err := s.State(k); err == nil && state != nil && string(state) != string(make([]byte, 60)) {
			t.Fatalf("%s: %s has the state %x", what, k, state)
		}
	}
	for f, err := range s.Findings(time.Time{}, forever) {
		if i := int(f.At.Sub(day0) / time.Minute); err == nil && !reflect.DeepEqual(f, finding(i)) {
			t.Fatalf("%s: finding %+v", what, f)
		}
	}
	if v, err := s.Meta("site-code"); err == nil && v != nil && string(v) != "x" {
		t.Fatalf("%s: the meta value is %q", what, v)
	}
}
