package sunspec

import (
	"errors"
	"fmt"
)

// What speaks against a total that could be read.
var (
	ErrNotCounting = errors.New("the total is 0, by which SunSpec devices also say that they do not count it")
	ErrZero        = errors.New("the total is 0 all at once: a reading that failed")
	ErrJump        = errors.New("the total does not go on from where it was, as where a device changes its scale factor and its total one after the other")
)

// A Follower follows one total from reading to reading. SunSpec lets a device
// change its scale factor at any time, a total that cannot be read is 0, and
// so is one that does not count: none of that may become energy.
type Follower struct {
	last   Total
	known  bool
	doubts int   // readings in a row that do not go on from last
	doubt  Total // the newest of them
}

// doubtsEnough is after how many readings in a row, all alike in their scale, a
// total that does not go on is taken for what the device means.
const doubtsEnough = 3

// Doubtful reports whether a total has another scale factor than before, or is
// many times what it was: then the registers are to be read once more, since a
// device may have changed one of them and not yet the other.
func (f *Follower) Doubtful(t Total) bool {
	return f.known && (t.Exp != f.last.Exp || !goesOn(f.last, t))
}

// Follow takes the next reading of the total. Counting says that the device
// counts other totals of the same model, so that a 0 is one. Wh is what the
// register stands at. Anew reports that under its new scale factor it does not
// continue what was before: the series begins anew there, and what lies between
// is not known. (Under the same one a fall or a leap is the meter's, and for
// those who count to judge.)
//
// A register of a coarser scale than before stands anywhere within its step:
// where that holds the value it had, it has not moved.
func (f *Follower) Follow(t Total, counting bool) (wh int64, anew bool, err error) {
	switch {
	case t.Wh == 0 && t.Raw == 0 && f.known && f.last.Wh > 0:
		return 0, false, ErrZero
	case t.Wh == 0 && t.Raw == 0 && !f.known && !counting && !t.float:
		return 0, false, ErrNotCounting
	case f.known && !goesOn(f.last, t):
		if f.doubts == 0 || f.doubt.Exp != t.Exp || !goesOn(f.doubt, t) {
			f.doubts = 0
		}
		f.doubt = t
		if f.doubts++; f.doubts < doubtsEnough {
			return 0, false, fmt.Errorf("%w (%d Wh, then %d Wh)", ErrJump, f.last.Wh, t.Wh)
		}
		anew = t.Exp != f.last.Exp
	case f.known && t.Wh < f.last.Wh && f.last.Wh-t.Wh < t.Step:
		t.Wh = f.last.Wh
	}
	f.last, f.known, f.doubts = t, true, 0
	return t.Wh, anew, nil
}

// Forget is for another device in the place of the one that was followed.
func (f *Follower) Forget() { *f = Follower{} }

// small is a difference that is never doubted, Wh: a total triples soon when it
// has just begun to count.
const small = 1000

// goesOn reports whether b can be what a became. A scale factor that does not
// belong to its total makes it ten times what it is, or more, or a tenth;
// between two readings a total does not triple, but for its first counts.
func goesOn(a, b Total) bool {
	lo, hi := min(a.Wh, b.Wh), max(a.Wh, b.Wh)
	return (hi-lo)/2 <= lo || hi-lo <= max(small, 2*a.Step, 2*b.Step)
}
