package clock

import "time"

// line is how time runs from one look at the wall clock to the next: from an
// anchor, at the pace of the monotonic clock, working off a small difference
// on the way. It is never changed, only replaced.
type line struct {
	mono  time.Duration // the anchor on the monotonic clock
	start time.Time     // and what our time was there, UTC
	owed  time.Duration // still to be added (or taken off)
	share time.Duration // of each so much time, one part goes to what is owed
}

// at is our time at a reading of the monotonic clock. It never goes back while
// that one does not.
func (l *line) at(mono time.Duration) time.Time {
	since := max(0, mono-l.mono)
	return l.start.Add(since + l.worked(since))
}

// worked is how much of what is owed has been worked off.
func (l *line) worked(since time.Duration) time.Duration {
	if l.owed == 0 {
		return 0
	}
	most := since / l.share
	return max(-most, min(most, l.owed))
}

// left is what is still owed at a reading of the monotonic clock.
func (l *line) left(mono time.Duration) time.Duration {
	return l.owed - l.worked(max(0, mono-l.mono))
}
