package store

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestReopen(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: append(halfHours(main_, 0, 200), halfHours(gasKey, 0, 10)...)}))
	must(t, s.Seal(1, hash(1), []byte("one"), []energy.Span{span(main_, 0, 150), span(gasKey, 0, 10)}, 0))
	must(t, s.Acknowledge(1))
	must(t, s.Seal(2, hash(2), []byte("two"), []energy.Span{span(main_, 150, 180)}, 0))

	must(t, s.Reopen([]energy.Span{span(main_, 20, 190), span(energy.Key{Meter: "not here", Measure: 1}, 0, 9)}))
	same(t, "acknowledged ones are pending again, sealed ones are not", pend(t, s, main_), append(upTo(20, 150), upTo(180, 200)...))
	same(t, "other registers", len(pend(t, s, gasKey)), 0)

	must(t, s.Acknowledge(2))
	must(t, s.Seal(3, hash(3), []byte("three"), []energy.Span{span(main_, 20, 150)}, 0))
	must(t, s.Acknowledge(3))
	same(t, "sent again", pend(t, s, main_), upTo(180, 200))
	must(t, s.Reopen(nil))
	must(t, s.Reopen([]energy.Span{span(main_, 180, 200)}))
	same(t, "pending ones stay so", pend(t, s, main_), upTo(180, 200))
}
