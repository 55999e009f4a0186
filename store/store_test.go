package store

import (
	"context"
	"iter"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// outbox is what the uplink asks of a store, in its words (uplink.Outbox).
type outbox interface {
	Pending(k energy.Key, from, to time.Time, max int) ([]energy.HalfHour, error)
	PendingKeys() ([]energy.Key, error)
	Chain() (sequence uint64, hash [32]byte, err error)
	Seal(sequence uint64, hash [32]byte, body []byte, spans []energy.Span, statements int) error
	Oldest() (sequence uint64, body []byte, err error)
	Acknowledge(sequence uint64) error
	Unseal() error
	Adopt(sequence uint64, hash [32]byte) error
	PendingStatements(max int) ([]energy.KeyedStatement, error)
	Meta(name string) ([]byte, error)
	SetMeta(name string, v []byte) error
}

var _ outbox = (*Store)(nil)

var (
	day0    = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	main_   = energy.Key{Meter: "main", Measure: energy.Import}
	gasKey  = energy.Key{Meter: "main", Measure: energy.Gas}
)

// quiet keeps the log out of the tests' output, and in a test's reach.
type quiet struct {
	mu    sync.Mutex
	lines []string
}

func (q *quiet) Enabled(context.Context, slog.Level) bool { return true }
func (q *quiet) WithAttrs([]slog.Attr) slog.Handler       { return q }
func (q *quiet) WithGroup(string) slog.Handler            { return q }
func (q *quiet) Handle(_ context.Context, r slog.Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines = append(q.lines, r.Message)
	return nil
}

func (q *quiet) has(s string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lines {
		if strings.Contains(l, s) {
			return true
		}
	}
	return false
}

func newLogger(h slog.Handler) *slog.Logger { return slog.New(record.Handler(nil, h)) }

func options() Options {
	return Options{Logger: newLogger(&quiet{}), Now: func() time.Time { return day0.AddDate(0, 1, 0) }}
}

func mustOpen(t testing.TB, path string) (*Store, Report) {
	t.Helper()
	s, report, err := Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, report
}

func newStore(t testing.TB) *Store {
	t.Helper()
	s, _ := mustOpen(t, filepath.Join(t.TempDir(), "agent.db"))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// halfHour makes the i-th half-hour after day0 of a register that is polled
// every 10 s and advances by about wh per half-hour.
func halfHour(i int, wh int64) energy.HalfHour {
	start := day0.Add(time.Duration(i) * energy.Period)
	end := start.Add(energy.Period)
	jitter := time.Duration((i*7919)%10000) * time.Millisecond
	e := wh + int64(i*31%17)
	cum := 1_000_000 + int64(i+1)*wh + func() (n int64) {
		for j := 0; j <= i%17; j++ {
			n += int64(j * 31 % 17)
		}
		return n + int64(i/17)*136
	}()
	return energy.HalfHour{
		Start: start, Energy: e, Cumulative: cum, TakenAt: end.Add(jitter), Quality: energy.Measured,
		Evidence: energy.Evidence{
			First:   energy.Sample{At: start.Add(jitter - 10*time.Second), Value: cum - e - 1},
			Last:    energy.Sample{At: end.Add(jitter), Value: cum + 2},
			Samples: 179 + i%2, Rule: energy.RuleBracketed,
		},
	}
}

func halfHours(k energy.Key, from, to int) (all []KeyedHalfHour) {
	for i := from; i < to; i++ {
		all = append(all, KeyedHalfHour{Key: k, HalfHour: halfHour(i, 500)})
	}
	return all
}

func collect[T any](t testing.TB, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		must(t, err)
		all = append(all, v)
	}
	return all
}

func plain(all []KeyedHalfHour) (out []energy.HalfHour) {
	for _, h := range all {
		out = append(out, h.HalfHour)
	}
	return out
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestCommitAndReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "yet", "agent.db")
	s, report := mustOpen(t, path)
	same(t, "report", report, Report{Created: true})

	all := halfHours(main_, 0, 100)
	samples := []KeyedSample{
		{main_, energy.Sample{At: day0.Add(59 * time.Minute), Value: 7}}, {main_, energy.Sample{At: day0.Add(61 * time.Minute), Value: 1 << 62}},
		{main_, energy.Sample{At: day0, Value: -5}}, {gasKey, energy.Sample{At: day0, Value: 3}},
	}
	statement := energy.KeyedStatement{Key: gasKey, At: day0, Body: []byte(`{"a":1}`)}
	must(t, s.Commit(Round{HalfHours: all, States: []KeyedState{{main_, []byte("state")}}, Samples: samples, Statements: []energy.KeyedStatement{statement}}))
	must(t, s.Commit(Round{Samples: []KeyedSample{samples[0], {main_, energy.Sample{At: day0.Add(30 * time.Minute), Value: 6}}}}))
	must(t, s.SetMeta("site-code", []byte("x")))
	must(t, s.Close())

	s, report = mustOpen(t, path)
	same(t, "report", report, Report{})
	same(t, "all", collect(t, s.HalfHours(main_, time.Time{}, forever)), plain(all))
	same(t, "part", collect(t, s.HalfHours(main_, all[47].HalfHour.Start, all[50].HalfHour.Start)), plain(all[47:50]))
	same(t, "within a millisecond", collect(t, s.HalfHours(main_, all[47].HalfHour.Start.Add(1), all[49].HalfHour.Start.Add(1))), plain(all[48:50]))
	same(t, "none", len(collect(t, s.HalfHours(gasKey, time.Time{}, forever))), 0)
	same(t, "samples", collect(t, s.Samples(main_, day0, forever)), []energy.Sample{
		samples[2].Sample, {At: day0.Add(30 * time.Minute), Value: 6}, samples[0].Sample, samples[1].Sample})
	same(t, "part of the samples", collect(t, s.Samples(main_, day0.Add(time.Minute), day0.Add(time.Hour))), []energy.Sample{
		{At: day0.Add(30 * time.Minute), Value: 6}, samples[0].Sample})
	state, err := s.State(main_)
	must(t, err)
	same(t, "state", string(state), "state")
	state, err = s.State(gasKey)
	must(t, err)
	same(t, "no state", state, []byte(nil))
	keys, err := s.Keys()
	must(t, err)
	same(t, "keys", keys, []energy.Key{main_, gasKey})
	first, last, n, err := s.Bounds(main_)
	must(t, err)
	same(t, "bounds", []any{first, last, n}, []any{all[0].HalfHour.Start, all[99].HalfHour.Start, 100})
	_, _, n, err = s.Bounds(energy.Key{Meter: "unknown", Measure: energy.Import})
	must(t, err)
	same(t, "bounds of nothing", n, 0)
	v, err := s.Meta("site-code")
	must(t, err)
	same(t, "meta", string(v), "x")
	must(t, s.SetMeta("site-code", nil))
	v, err = s.Meta("site-code")
	must(t, err)
	same(t, "removed meta", v, []byte(nil))
	sts, err := s.PendingStatements(10)
	must(t, err)
	same(t, "statements", sts, []energy.KeyedStatement{statement})
}

func TestCommitRefusesWhatItCannotKeep(t *testing.T) {
	s := newStore(t)
	good := halfHour(0, 5)
	for name, spoil := range map[string]func(*KeyedHalfHour){
		"no meter":        func(h *KeyedHalfHour) { h.Meter = "" },
		"no measure":      func(h *KeyedHalfHour) { h.Measure = 0 },
		"a long meter":    func(h *KeyedHalfHour) { h.Meter = strings.Repeat("x", 256) },
		"start between":   func(h *KeyedHalfHour) { h.HalfHour.Start = h.HalfHour.Start.Add(time.Microsecond) },
		"start in ns":     func(h *KeyedHalfHour) { h.HalfHour.Start = h.HalfHour.Start.Add(1) },
		"quality":         func(h *KeyedHalfHour) { h.Quality = 9 },
		"year 10000":      func(h *KeyedHalfHour) { h.TakenAt = forever.AddDate(2, 0, 0) },
		"before year one": func(h *KeyedHalfHour) { h.Evidence.First.At = time.Time{}.Add(-time.Hour) },
	} {
		bad := KeyedHalfHour{Key: main_, HalfHour: good}
		spoil(&bad)
		if err := s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: halfHour(1, 5)}, bad}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	keys, err := s.Keys()
	must(t, err)
	same(t, "keys after refusals", keys, []energy.Key(nil))
}

func TestMillisecondsAndZones(t *testing.T) {
	s := newStore(t)
	h := halfHour(0, 5)
	h.Start = h.Start.In(time.FixedZone("elsewhere", 3600))
	h.TakenAt = h.TakenAt.Add(123456 * time.Nanosecond)
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h}}}))
	h.Start, h.TakenAt = h.Start.UTC(), h.TakenAt.Truncate(time.Millisecond)
	same(t, "half-hour", collect(t, s.HalfHours(main_, day0, forever)), []energy.HalfHour{h})
}

// One Commit is one transaction of bbolt, so one pair of fsyncs.
func TestOneTransactionPerCommit(t *testing.T) {
	s := newStore(t)
	id := func() (n int) {
		tx, err := s.db.Begin(false)
		must(t, err)
		defer tx.Rollback()
		return tx.ID()
	}
	for i := range 60 {
		before, stats := id(), s.db.Stats()
		must(t, s.Commit(Round{
			HalfHours: halfHours(main_, i, i+1), States: []KeyedState{{main_, []byte{byte(i)}}, {gasKey, []byte{byte(i)}}},
			Samples:    []KeyedSample{{main_, energy.Sample{At: day0.Add(time.Duration(i) * energy.Period)}}},
			Statements: []energy.KeyedStatement{{Key: main_, At: day0, Body: []byte{byte(i)}}},
		}))
		if got := id() - before; got != 1 {
			t.Fatalf("commit %d took %d transactions", i, got)
		}
		after := s.db.Stats()
		if got := after.TxStats.GetWrite() - stats.TxStats.GetWrite(); got > 20 {
			t.Fatalf("commit %d wrote %d times", i, got)
		}
	}
	before := id()
	must(t, s.Commit(Round{}))
	must(t, s.Prune(day0))
	same(t, "transactions for nothing", id()-before, 0)
}

// A reader that commits while it reads must not wait for itself.
func TestCommitWhileIterating(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 480)}))
	n := 0
	for _, err := range s.HalfHours(main_, day0, forever) {
		must(t, err)
		if n++; n%48 == 0 {
			must(t, s.Commit(Round{States: []KeyedState{{main_, make([]byte, 100_000*n/48)}}})) // the file grows
		}
	}
	same(t, "half-hours", n, 480)
}
