package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

func finding(i int) energy.KeyedFinding {
	return energy.KeyedFinding{Key: main_, At: day0.Add(time.Duration(i) * time.Minute), Rule: uint8(1 + i%20), Body: fmt.Appendf(nil, `{"n":%d}`, i)}
}

func findings(from, to int) (all []energy.KeyedFinding) {
	for i := from; i < to; i++ {
		all = append(all, finding(i))
	}
	return all
}

func TestFindings(t *testing.T) {
	s := fastStore(t)
	same(t, "none yet", len(collect(t, s.Findings(time.Time{}, forever))), 0)
	must(t, s.Prune(day0))
	must(t, s.Commit(Round{Findings: findings(0, 600)}))
	must(t, s.Commit(Round{Findings: append(findings(500, 700), finding(699))})) // a part of it a second time
	s.Close()
	s, report := mustOpen(t, s.path)
	same(t, "report", report, Report{})
	same(t, "all", collect(t, s.Findings(time.Time{}, forever)), findings(0, 700))
	same(t, "part", collect(t, s.Findings(finding(255).At, finding(513).At)), findings(255, 513))
	same(t, "nothing", len(collect(t, s.Findings(finding(255).At, finding(255).At))), 0)
	for f, err := range s.Findings(time.Time{}, forever) { // stopping early is allowed
		must(t, err)
		same(t, "first", f, finding(0))
		break
	}
	u, err := s.Usage()
	must(t, err)
	same(t, "counted", u.Findings, 700)
	same(t, "no register is made for a finding", u.Registers, 0)

	s.o.KeepHalfHours = time.Hour
	must(t, s.Prune(finding(160).At))
	same(t, "after an hour", collect(t, s.Findings(time.Time{}, forever)), findings(100, 700))
}

// The newest ones stay, by the order in which they came: a wrong clock cannot
// push the others out.
func TestFindingsAreBounded(t *testing.T) {
	s := fastStore(t)
	wrong := finding(0)
	wrong.At = forever
	must(t, s.Commit(Round{Findings: append([]energy.KeyedFinding{wrong}, findings(0, MaxFindings-1)...)}))
	u, err := s.Usage()
	must(t, err)
	same(t, "full", u.Findings, MaxFindings)
	must(t, s.Commit(Round{Findings: findings(MaxFindings-1, MaxFindings)}))
	same(t, "one more", collect(t, s.Findings(time.Time{}, forever.AddDate(1, 0, 0))), findings(0, MaxFindings))
	must(t, s.Commit(Round{Findings: findings(MaxFindings, MaxFindings+5)}))
	same(t, "five more", collect(t, s.Findings(time.Time{}, forever)), findings(5, MaxFindings+5))
}

// A finding that cannot be kept never holds up the half-hours beside it.
func TestFindingsThatCannotBeKept(t *testing.T) {
	o, said := options(), &quiet{}
	o.Logger = newLogger(said)
	s, _, err := Open(filepath.Join(fastDir(t), "agent.db"), o)
	must(t, err)
	defer s.Close()
	spoil := func(f func(*energy.KeyedFinding)) energy.KeyedFinding {
		k := finding(1)
		f(&k)
		return k
	}
	longest := spoil(func(f *energy.KeyedFinding) { f.Body = make([]byte, MaxFinding) })
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1), Findings: []energy.KeyedFinding{
		finding(0),
		spoil(func(f *energy.KeyedFinding) { f.Meter = "" }),
		spoil(func(f *energy.KeyedFinding) { f.Meter = string(make([]byte, 256)) }),
		spoil(func(f *energy.KeyedFinding) { f.Rule = 0 }),
		spoil(func(f *energy.KeyedFinding) { f.At = forever.AddDate(2, 0, 0) }),
		spoil(func(f *energy.KeyedFinding) { f.Body = make([]byte, MaxFinding+1) }),
		longest,
	}}))
	same(t, "kept", collect(t, s.Findings(time.Time{}, forever)), []energy.KeyedFinding{finding(0), longest})
	same(t, "half-hours", len(collect(t, s.HalfHours(main_, time.Time{}, forever))), 1)
	if !said.has("dropped") {
		t.Error("nothing was said about it")
	}
}

func TestDamagedFinding(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{Findings: findings(0, 3)}))
	must(t, s.update("test", func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketFindings)
		return b.Put(be64(2), bytes.Clone(b.Get(be64(1)))) // another one's place
	}))
	var got []energy.KeyedFinding
	bad := 0
	for f, err := range s.Findings(time.Time{}, forever) {
		switch {
		case errors.Is(err, ErrDamaged):
			bad++
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, f)
		}
	}
	same(t, "the others", got, []energy.KeyedFinding{finding(0), finding(2)})
	same(t, "damaged", bad, 1)
	must(t, s.Prune(day0))
	same(t, "swept", len(collect(t, s.Findings(time.Time{}, forever))), 2)
}

func FuzzDecodeFinding(f *testing.F) {
	f.Add(encodeFinding(5, finding(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 5 {
			fixSum(b, be64(5))
		}
		got, err := decodeFinding(be64(5), b)
		if err != nil {
			return
		}
		if again, err := decodeFinding(be64(5), encodeFinding(5, got)); err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, got)
		}
	})
}

// A file of before there were findings is read, and gets its place for them
// with the first one.
func TestFileWithoutFindings(t *testing.T) {
	s, _ := mustOpen(t, filepath.Join(fastDir(t), "agent.db"))
	must(t, s.view("test", func(tx *bolt.Tx) error {
		if tx.Bucket(bucketFindings) != nil {
			t.Error("it is there before it is needed: this test tests nothing")
		}
		return nil
	}))
	same(t, "none", len(collect(t, s.Findings(time.Time{}, forever))), 0)
	u, err := s.Usage()
	must(t, err)
	same(t, "counted", u.Findings, 0)
	must(t, s.Prune(day0))
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1), Findings: findings(0, 1)}))
	same(t, "one", collect(t, s.Findings(time.Time{}, forever)), findings(0, 1))
}
