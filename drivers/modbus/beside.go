package modbus

import (
	"cmp"
	"slices"
)

// beside is what a device shows beside its totals, to check them by. It must
// cost the totals nothing: some meters give no answer at all to an address that
// they do not have, and after such a silence a round is over.
type beside struct {
	from   int // the first point that is no total
	silent int // so many times in a row
	rest   int // rounds in which it is not asked
}

// checkRest is the most rounds for which what is silent is left alone.
const checkRest = 64

// is reports whether a request has nothing that is counted.
func (b *beside) is(r request) bool {
	return !slices.ContainsFunc(r.points, func(k int) bool { return k < b.from })
}

// rests reports whether it is left alone in this round.
func (b *beside) rests() bool {
	if b.rest == 0 {
		return false
	}
	b.rest--
	return true
}

// gave takes note of an answer, if only a refusal, or of none.
func (b *beside) gave(answer bool) {
	if answer {
		b.silent = 0
		return
	}
	b.rest = min(1<<min(b.silent, 8), checkRest)
	b.silent++
}

// totalsFirst puts the requests without anything that is counted last.
func (d *device) totalsFirst() {
	slices.SortStableFunc(d.requests, func(x, y request) int {
		return cmp.Compare(order(d.beside.is(x)), order(d.beside.is(y)))
	})
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}
