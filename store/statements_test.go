package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

func statement(k energy.Key, i int) energy.KeyedStatement {
	return energy.KeyedStatement{Key: k, At: day0.AddDate(0, 0, i), Body: fmt.Appendf(nil, "%d", i)}
}

// Statements are listed in the order in which they were made, wherever they are
// on their way out.
func TestStatementsOfEveryKind(t *testing.T) {
	s := fastStore(t)
	_, ok, err := s.LastStatement(main_)
	must(t, err)
	same(t, "none", ok, false)
	var all []energy.KeyedStatement
	for i := range 6 {
		all = append(all, statement(main_, 5-i), statement(gasKey, i)) // the times of main's fall
	}
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 10), Statements: all}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 1)}, 5))
	must(t, s.Seal(2, hash(2), nil, []energy.Span{span(main_, 1, 2)}, 4))
	must(t, s.Acknowledge(1))
	same(t, "all", collect(t, s.Statements(nil)), all)
	var gas []energy.KeyedStatement
	for i := range 6 {
		gas = append(gas, statement(gasKey, i))
	}
	same(t, "of one register", collect(t, s.Statements(&gasKey)), gas)
	for st, err := range s.Statements(nil) {
		must(t, err)
		same(t, "first", st, all[0])
		break
	}
	last := func(k energy.Key, want energy.KeyedStatement) {
		t.Helper()
		st, ok, err := s.LastStatement(k)
		must(t, err)
		same(t, "last", []any{st, ok}, []any{want, true})
	}
	last(main_, statement(main_, 0)) // made last, though it speaks of the earliest instant
	last(gasKey, statement(gasKey, 5))
	must(t, s.Seal(3, hash(3), nil, nil, 3))
	last(gasKey, statement(gasKey, 5))
	must(t, s.Acknowledge(3))
	last(gasKey, statement(gasKey, 5))
	same(t, "all, sent", collect(t, s.Statements(nil)), all)

	must(t, s.update("test", func(tx *bolt.Tx) error { return tx.Bucket(bucketStDone).Put(be64(12), []byte("garbled")) }))
	last(gasKey, statement(gasKey, 4))
	bad := 0
	for _, err := range s.Statements(nil) {
		if errors.Is(err, ErrDamaged) {
			bad++
		}
	}
	same(t, "damaged", bad, 1)
}

// What is kept of a register's half-hours is counted from a statement: the last
// one of before them stays, however old it is.
func TestPruneKeepsTheStatementInForce(t *testing.T) {
	s := fastStore(t)
	s.o.KeepHalfHours = 10 * 24 * time.Hour
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 10), Statements: []energy.KeyedStatement{
		statement(main_, 0), statement(gasKey, 0), statement(main_, 1), statement(main_, 2), statement(main_, 9)}}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 1)}, 3))
	must(t, s.Acknowledge(1))
	left := func(want ...energy.KeyedStatement) {
		t.Helper()
		same(t, "left", collect(t, s.Statements(nil)), want)
	}
	must(t, s.Prune(day0.AddDate(0, 0, 12))) // to the instant of main's day 2: not before it
	left(statement(gasKey, 0), statement(main_, 1), statement(main_, 2), statement(main_, 9))
	must(t, s.Prune(day0.AddDate(0, 0, 12).Add(time.Millisecond)))
	left(statement(gasKey, 0), statement(main_, 2), statement(main_, 9))
	must(t, s.Prune(day0.AddDate(1, 0, 0)))
	left(statement(gasKey, 0), statement(main_, 9))
}
