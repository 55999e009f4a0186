package store

import (
	"fmt"
	"os"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

const yearLimit = 6 << 20 // bytes of file for a year of half-hours of 10 meters

func tenMeters() (keys []energy.Key) {
	for i := range 10 {
		keys = append(keys, energy.Key{Meter: fmt.Sprintf("tenant-%c", 'a'+i), Measure: energy.Import})
	}
	return keys
}

func fileSize(t testing.TB, s *Store) int64 {
	t.Helper()
	info, err := os.Stat(s.path)
	must(t, err)
	return info.Size()
}

// A year, committed day by day.
func TestYearOfTenMeters(t *testing.T) {
	s := fastStore(t)
	for day := range 365 {
		var r Round
		for _, k := range tenMeters() {
			r.HalfHours = append(r.HalfHours, halfHours(k, day*48, day*48+48)...)
		}
		must(t, s.Commit(r))
	}
	size := fileSize(t, s)
	t.Logf("a year day by day: %.2f MiB, %.1f bytes per half-hour", float64(size)/(1<<20), float64(size)/(365*480))
	if size > yearLimit {
		t.Fatalf("%d bytes", size)
	}
	// Sent and acknowledged, day by day, it is as large.
	for day := range 365 {
		var spans []energy.Span
		from := day0.AddDate(0, 0, day)
		for _, k := range tenMeters() {
			spans = append(spans, energy.Span{Key: k, From: from, To: from.AddDate(0, 0, 1)})
		}
		must(t, s.Seal(uint64(day+1), [32]byte{}, make([]byte, 2000), spans, 0))
		must(t, s.Acknowledge(uint64(day+1)))
	}
	after := fileSize(t, s)
	t.Logf("acknowledged: %.2f MiB", float64(after)/(1<<20))
	if after > yearLimit {
		t.Fatalf("%d bytes", after)
	}
	s.Close()
	s, report := mustOpen(t, s.path)
	same(t, "report", report, Report{})
	u, err := s.Usage()
	must(t, err)
	same(t, "half-hours", u.HalfHours, 365*480)
	same(t, "pending days", u.PendingDays, 0)
}

// A month, committed as the agent does: each half-hour by itself, with the
// states, each acknowledged soon after.
func TestMonthHalfHourByHalfHour(t *testing.T) {
	s := fastStore(t)
	keys := tenMeters()
	var at10, at30 int64
	for i := range 30 * 48 {
		var r Round
		var spans []energy.Span
		for _, k := range keys {
			h := halfHours(k, i, i+1)[0]
			r.HalfHours = append(r.HalfHours, h)
			r.States = append(r.States, KeyedState{k, make([]byte, 80)})
			spans = append(spans, energy.Span{Key: k, From: h.HalfHour.Start, To: h.HalfHour.Start.Add(energy.Period)})
		}
		must(t, s.Commit(r))
		must(t, s.Seal(uint64(i+1), [32]byte{}, make([]byte, 300), spans, 0))
		must(t, s.Acknowledge(uint64(i+1)))
		switch i + 1 {
		case 10 * 48:
			at10 = fileSize(t, s)
		case 30 * 48:
			at30 = fileSize(t, s)
		}
	}
	year := at30 + (at30-at10)*(365-30)/20
	t.Logf("a month half-hour by half-hour: %.2f MiB; a year at that pace: %.2f MiB", float64(at30)/(1<<20), float64(year)/(1<<20))
	if year > yearLimit {
		t.Fatalf("a year would take %d bytes", year)
	}
}
