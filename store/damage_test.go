package store

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The kind of damage shows in the error.
func TestDamagedErrors(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 480)}))
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	for at := int64(0); at < info.Size(); at += 4096 { // everything, both meta pages included
		_, err = f.WriteAt(make([]byte, 4096), at)
		must(t, err)
	}
	for range 2 {
		if _, err := s.Keys(); !errors.Is(err, ErrDamaged) {
			t.Errorf("Keys: %v", err)
		}
		if err := s.Commit(Round{HalfHours: halfHours(main_, 0, 1)}); !errors.Is(err, ErrDamaged) {
			t.Errorf("Commit: %v", err)
		}
	}
	must(t, s.Close())
	s, report := mustOpen(t, s.path)
	if report.SetAside == "" {
		t.Errorf("%+v", report)
	}
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1)}))
}

// A commit that bbolt breaks off leaves a note, for damage that looking through
// the file does not show: the next Open sets the file aside, and only that one.
func TestBrokenOffCommit(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1)}))
	must(t, s.Close())
	content, err := os.ReadFile(s.path)
	must(t, err)
	s, _ = mustOpen(t, s.path)
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	must(t, err)
	m, err := readMeta(s.file)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 4096), int64(m.free)*m.pageSize) // the list of free pages
	must(t, errors.Join(err, f.Close()))
	for range 2 {
		if err := s.Commit(Round{HalfHours: halfHours(main_, 1, 2)}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%v", err)
		}
	}
	same(t, "still read", len(collect(t, s.HalfHours(main_, time.Time{}, forever))), 1)
	must(t, s.Close())
	must(t, os.WriteFile(s.path, content, 0o600)) // sound to look at
	s, report := mustOpen(t, s.path)
	if !report.Created || report.SetAside == "" || !strings.Contains(report.Reason, "could not be written to") {
		t.Fatalf("%+v", report)
	}
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 1, 2)}))
	must(t, s.Close())
	_, report = mustOpen(t, s.path)
	same(t, "report", report, Report{})
}

// What the outbox cannot do without is mended when the store is opened.
func TestMend(t *testing.T) {
	for name, spoil := range map[string]func(tx *bolt.Tx) error{
		"nothing": func(tx *bolt.Tx) error { return nil },
		"a batch": func(tx *bolt.Tx) error { return tx.Bucket(bucketSealed).Put(be64(3), []byte("garbled")) },
		"another batch's place": func(tx *bolt.Tx) error {
			return tx.Bucket(bucketSealed).Put(be64(4), append([]byte{}, tx.Bucket(bucketSealed).Get(be64(3))...))
		},
		"the chain":           func(tx *bolt.Tx) error { return tx.Bucket(bucketSelf).Put(keyChain, make([]byte, 45)) },
		"the acknowledgement": func(tx *bolt.Tx) error { return tx.Bucket(bucketSelf).Put(keyAcked, []byte("x")) },
		"a statement":         func(tx *bolt.Tx) error { return tx.Bucket(bucketStatements).Put(be64(9), []byte("garbled")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := fastStore(t)
			statements := []energy.KeyedStatement{{Key: main_, At: day0, Body: []byte("1")}, {Key: main_, At: day0, Body: []byte("2")}, {Key: main_, At: day0, Body: []byte("3")}}
			must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 60), Statements: statements}))
			for i := range 4 {
				must(t, s.Seal(uint64(i+1), hash(byte(i+1)), []byte{byte(i)}, []energy.Span{span(main_, i*10, i*10+10)}, i%2))
			}
			must(t, s.Acknowledge(2))
			must(t, s.update("test", spoil))
			must(t, s.Close())
			s, report := mustOpen(t, s.path)
			same(t, "report", report, Report{})
			seq, _, err := s.Chain()
			must(t, err)
			oldest, _, err := s.Oldest()
			must(t, err)
			left := pend(t, s, main_)
			sts, err := s.PendingStatements(10)
			must(t, err)
			got := []any{seq, oldest, left, len(sts)}
			switch name {
			case "nothing", "a statement":
				same(t, "outbox", got, []any{uint64(4), uint64(3), upTo(40, 60), 1})
			case "a batch", "another batch's place":
				same(t, "outbox", got, []any{uint64(2), uint64(0), upTo(20, 60), 2})
			default:
				same(t, "outbox", got, []any{uint64(0), uint64(0), upTo(20, 60), 2})
				must(t, s.Adopt(2, hash(2)))
				seq = 2
			}
			must(t, s.Seal(seq+1, hash(9), nil, []energy.Span{span(main_, 0, 60)}, len(sts)))
			must(t, s.Acknowledge(seq+1))
			same(t, "pending at the end", pend(t, s, main_), []int(nil))
		})
	}
}

// A day that fails its checksum reads as an error, holds up neither its
// neighbours nor the outbox, and is begun anew when it is committed to again.
func TestDamagedDay(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 3*48)}))
	must(t, s.update("test", func(tx *bolt.Tx) error {
		f := dayShelf(tx)
		day := dayOf(day0.UnixMilli()) + 1
		v := append([]byte{}, f.get(day, 1)...)
		v[40] ^= 1
		return f.put(day, 1, v)
	}))
	good, bad := 0, 0
	for _, err := range s.HalfHours(main_, time.Time{}, forever) {
		if err == nil {
			good++
		} else if bad++; !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	}
	same(t, "good and bad", []int{good, bad}, []int{96, 1})
	same(t, "pending", pend(t, s, main_), append(upTo(0, 48), upTo(96, 144)...))
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 50, 60)}))
	same(t, "half-hours", len(collect(t, s.HalfHours(main_, time.Time{}, forever))), 106)
	_, _, n, err := s.Bounds(main_)
	must(t, err)
	same(t, "counted", n, 106)
	u, err := s.Usage()
	must(t, err)
	same(t, "put aside", u.Damaged, 1)
}

// Prune, which the agent calls every hour, finds the damage that bbolt would
// take at its word: here a page that claims to be 4 billion pages long.
func TestPruneLooksThroughTheFile(t *testing.T) {
	s := fastStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 480)}))
	must(t, s.Prune(day0))
	m, err := readMeta(s.file)
	must(t, err)
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, int64(m.root)*m.pageSize+12)
	must(t, errors.Join(err, f.Close()))
	if err := s.Prune(day0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("Prune: %v", err)
	}
	if err := s.Commit(Round{HalfHours: halfHours(main_, 480, 481)}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("Commit: %v", err)
	}
	same(t, "still read", len(collect(t, s.HalfHours(main_, time.Time{}, forever))), 480)
	must(t, s.Close())
	_, report := mustOpen(t, s.path)
	if report.SetAside == "" {
		t.Fatalf("%+v", report)
	}
}
