package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func span(k energy.Key, from, to int) energy.Span {
	return energy.Span{Key: k, From: day0.Add(time.Duration(from) * energy.Period), To: day0.Add(time.Duration(to) * energy.Period)}
}

func pend(t testing.TB, s *Store, k energy.Key) (starts []int) {
	t.Helper()
	all, err := s.Pending(k, time.Time{}, forever, 1_000_000)
	must(t, err)
	for _, h := range all {
		starts = append(starts, int(h.Start.Sub(day0)/energy.Period))
	}
	return starts
}

func upTo(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func hash(n byte) (h [32]byte) {
	h[0] = n
	return h
}

func TestOutboxTheWholeWay(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: append(halfHours(main_, 0, 100), halfHours(gasKey, 0, 10)...)}))
	keys, err := s.PendingKeys()
	must(t, err)
	same(t, "keys", keys, []energy.Key{main_, gasKey})

	some, err := s.Pending(main_, day0.Add(10*energy.Period), forever, 60)
	must(t, err)
	same(t, "the oldest 60 from 10", some, plain(halfHours(main_, 10, 70)))

	seq, h, err := s.Chain()
	must(t, err)
	same(t, "chain at first", []any{seq, h}, []any{uint64(0), [32]byte{}})
	for _, wrong := range []uint64{0, 2} {
		if err := s.Seal(wrong, hash(1), nil, nil, 0); !errors.Is(err, ErrSequence) {
			t.Fatalf("sealed %d first: %v", wrong, err)
		}
	}
	if err := s.Seal(1, hash(1), nil, []energy.Span{span(energy.Key{Meter: "no", Measure: 1}, 0, 1)}, 0); err == nil {
		t.Fatal("sealed half-hours of a register that is not there")
	}
	must(t, s.Seal(1, hash(1), []byte("one"), []energy.Span{span(main_, 10, 70), span(gasKey, 0, 10)}, 0))
	same(t, "pending after 1", pend(t, s, main_), append(upTo(0, 10), upTo(70, 100)...))
	keys, err = s.PendingKeys()
	must(t, err)
	same(t, "keys after 1", keys, []energy.Key{main_})
	must(t, s.Seal(2, hash(2), []byte("two"), []energy.Span{span(main_, 0, 100)}, 0))
	same(t, "pending after 2", pend(t, s, main_), []int(nil))

	seq, body, err := s.Oldest()
	must(t, err)
	same(t, "oldest", []any{seq, string(body)}, []any{uint64(1), "one"})
	if err := s.Acknowledge(3); !errors.Is(err, ErrSequence) {
		t.Fatalf("acknowledged what was never sealed: %v", err)
	}
	must(t, s.Acknowledge(1))
	must(t, s.Acknowledge(1))
	seq, body, err = s.Oldest()
	must(t, err)
	same(t, "oldest after 1", []any{seq, string(body)}, []any{uint64(2), "two"})
	if err := s.Adopt(9, hash(9)); err == nil {
		t.Fatal("adopted a chain while a batch is sealed")
	}

	must(t, s.Unseal())
	same(t, "pending after unsealing", pend(t, s, main_), append(upTo(0, 10), upTo(70, 100)...))
	seq, h, err = s.Chain()
	must(t, err)
	same(t, "chain after unsealing", []any{seq, h}, []any{uint64(1), hash(1)})
	must(t, s.Unseal())
	must(t, s.Adopt(9, hash(9)))
	must(t, s.Seal(10, hash(10), []byte("ten"), []energy.Span{span(main_, 0, 100)}, 0))
	must(t, s.Close())

	s, _ = mustOpen(t, s.path)
	seq, body, err = s.Oldest()
	must(t, err)
	same(t, "oldest after opening again", []any{seq, string(body)}, []any{uint64(10), "ten"})
	must(t, s.Acknowledge(10))
	seq, body, err = s.Oldest()
	must(t, err)
	same(t, "nothing left", []any{seq, body}, []any{uint64(0), []byte(nil)})
	must(t, s.Unseal())
	seq, h, err = s.Chain()
	must(t, err)
	same(t, "chain at the end", []any{seq, h}, []any{uint64(10), hash(10)})
	same(t, "nothing pending", pend(t, s, main_), []int(nil))
}

func TestStatementsTravelOnce(t *testing.T) {
	s := newStore(t)
	var all []energy.KeyedStatement
	for i := range 5 {
		all = append(all, energy.KeyedStatement{Key: main_, At: day0, Body: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	must(t, s.Commit(Round{Statements: all[:4]}))
	must(t, s.Commit(Round{Statements: all[1:]})) // three of them again
	pending := func() []energy.KeyedStatement {
		got, err := s.PendingStatements(100)
		must(t, err)
		return got
	}
	same(t, "all", pending(), all)
	got, err := s.PendingStatements(2)
	must(t, err)
	same(t, "the oldest two", got, all[:2])
	if err := s.Seal(1, hash(1), nil, nil, 6); err == nil {
		t.Fatal("sealed more statements than there are")
	}
	same(t, "after the refusal", pending(), all)
	must(t, s.Seal(1, hash(1), nil, nil, 2))
	must(t, s.Seal(2, hash(2), nil, nil, 1))
	same(t, "sealed", pending(), all[3:])
	must(t, s.Acknowledge(1))
	must(t, s.Unseal())
	same(t, "unsealed", pending(), all[2:])
	must(t, s.Commit(Round{Statements: all}))
	same(t, "committed again", pending(), all[2:])
	must(t, s.Adopt(2, hash(2)))
	must(t, s.Seal(3, hash(3), nil, nil, 3))
	same(t, "none", pending(), []energy.KeyedStatement(nil))
}

// A half-hour that is committed or corrected between Pending and Seal is not in
// the batch: it stays pending.
func TestCommitBetweenPendingAndSeal(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: append(halfHours(main_, 0, 10), halfHours(main_, 20, 30)...)}))
	same(t, "pending", len(pend(t, s, main_)), 20)
	fix := halfHours(main_, 3, 4)
	fix[0].Energy += 7
	must(t, s.Commit(Round{HalfHours: append(fix, halfHours(main_, 10, 12)...)}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 30)}, 0))
	same(t, "left", pend(t, s, main_), []int{3, 10, 11})
	must(t, s.Seal(2, hash(2), nil, []energy.Span{span(main_, 3, 12)}, 0))
	same(t, "none left", pend(t, s, main_), []int(nil))

	// What Pending did not look through because it had enough is not in the batch.
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 30, 40)}))
	some, err := s.Pending(main_, day0, forever, 4)
	must(t, err)
	same(t, "four", len(some), 4)
	must(t, s.Seal(3, hash(3), nil, []energy.Span{span(main_, 0, 1000)}, 0))
	same(t, "six left", pend(t, s, main_), upTo(34, 40))
}

// A half-hour corrected while it is in a sealed batch goes out again, and only
// the batch that carries the new value settles it.
func TestCorrectedWhileSealed(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 5)}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 5)}, 0))
	fix := halfHours(main_, 2, 3)
	fix[0].Energy += 7
	must(t, s.Commit(Round{HalfHours: fix}))
	same(t, "pending again", pend(t, s, main_), []int{2})
	must(t, s.Seal(2, hash(2), nil, []energy.Span{span(main_, 2, 3)}, 0))
	must(t, s.Acknowledge(1))
	must(t, s.Unseal())
	same(t, "batch 1 did not settle it", pend(t, s, main_), []int{2})
	must(t, s.Seal(2, hash(2), nil, []energy.Span{span(main_, 2, 3)}, 0))
	must(t, s.Acknowledge(2))
	same(t, "settled", pend(t, s, main_), []int(nil))
	fix[0].Energy += 7
	must(t, s.Commit(Round{HalfHours: fix}))
	same(t, "corrected after it was delivered", pend(t, s, main_), []int{2})
	got, err := s.Corrections(main_, day0, forever)
	must(t, err)
	same(t, "versions", []int64{got[0].Old.Energy, got[1].Old.Energy}, []int64{fix[0].Energy - 14, fix[0].Energy - 7})
	same(t, "when", got[0].Replaced, s.o.Now())
}

// With 400 days stored and nothing pending, asking costs no more than with one
// day: no day is decoded.
func TestPendingIsCheapWhenNothingIs(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 400*48)}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 400*48)}, 0))
	must(t, s.Acknowledge(1))
	var got []energy.HalfHour
	allocs := testing.AllocsPerRun(20, func() {
		var err error
		if got, err = s.Pending(main_, time.Time{}, forever, 1000); err != nil {
			t.Fatal(err)
		}
	})
	same(t, "pending", got, []energy.HalfHour(nil))
	if allocs > 60 {
		t.Fatalf("%v allocations", allocs)
	}
}
