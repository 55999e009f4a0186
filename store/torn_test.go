package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// fullOfEverything is a store that uses every part of its file.
func fullOfEverything(t testing.TB) (content []byte, all truth) {
	t.Helper()
	s := fastStore(t)
	for day := range 20 {
		var r Round
		for _, k := range tenMeters() {
			r.HalfHours = append(r.HalfHours, halfHours(k, day*48, day*48+48)...)
			r.HalfHours[len(r.HalfHours)-1-day].Flags = energy.Flags(0).With(1 + day)
			r.States = append(r.States, KeyedState{k, make([]byte, 60)})
			for i := range 100 {
				r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.AddDate(0, 0, day).Add(time.Duration(i) * time.Minute), Value: int64(i)}})
			}
		}
		r.Findings = findings(day*1440, day*1440+50)
		r.Statements = []energy.KeyedStatement{{Key: main_, At: day0, Body: fmt.Appendf(nil, "%d", day)}}
		must(t, s.Commit(r))
		if day%3 == 0 {
			seq := uint64(day/3 + 1)
			must(t, s.Seal(seq, hash(byte(seq)), make([]byte, 5000), []energy.Span{span(tenMeters()[day%10], 0, day*48)}, 1))
			if seq < 5 {
				must(t, s.Acknowledge(seq))
			}
		}
	}
	fix := halfHours(tenMeters()[0], 5, 9)
	for i := range fix {
		fix[i].Energy++
	}
	fix[2].Void, fix[2].Quality = true, energy.Missing
	must(t, s.Commit(Round{HalfHours: fix}))
	must(t, s.SetMeta("site-code", []byte("x")))
	all = truthOf(t, s)
	must(t, s.Prune(day0.AddDate(0, 0, 12))) // leaves free pages
	must(t, s.Close())
	content, err := os.ReadFile(s.path)
	must(t, err)
	return content, all
}

// exercise calls everything. It returns how many calls gave an error.
func exercise(s *Store) (failures int) {
	note := func(err error) {
		if err != nil {
			failures++
		}
	}
	k := tenMeters()[0]
	for _, k := range append(tenMeters(), main_) {
		for _, err := range s.HalfHours(k, time.Time{}, forever) {
			note(err)
		}
		for _, err := range s.Samples(k, time.Time{}, forever) {
			note(err)
		}
		_, err := s.State(k)
		note(err)
		_, _, _, err = s.Bounds(k)
		note(err)
		_, err = s.Pending(k, time.Time{}, forever, 1<<20)
		note(err)
		_, err = s.Corrections(k, time.Time{}, forever)
		note(err)
		_, _, err = s.SamplesAround(k, day0.AddDate(0, 0, 15))
		note(err)
		_, _, err = s.LastStatement(k)
		note(err)
	}
	for _, err := range s.Statements(nil) {
		note(err)
	}
	for _, err := range s.Findings(time.Time{}, forever) {
		note(err)
	}
	_, err := s.Keys()
	note(err)
	_, err = s.PendingKeys()
	note(err)
	_, err = s.PendingStatements(100)
	note(err)
	_, err = s.Meta("site-code")
	note(err)
	_, err = s.Usage()
	note(err)
	_, _, err = s.Oldest()
	note(err)
	seq, _, err := s.Chain()
	note(err)
	for day := range 3 { // yesterday, today and tomorrow
		note(s.Commit(Round{HalfHours: halfHours(k, (18+day)*48, (19+day)*48), States: []KeyedState{{k, []byte("s")}},
			Samples: []KeyedSample{{k, energy.Sample{At: day0.AddDate(0, 0, 18+day)}}}, Statements: []energy.KeyedStatement{{Key: k, At: day0}},
			Findings: findings(day*60, day*60+3)}))
	}
	note(s.Seal(seq+1, hash(1), []byte("b"), []energy.Span{span(k, 0, 5)}, 0))
	note(s.Acknowledge(seq))
	note(s.Unseal())
	note(s.Adopt(seq, hash(2)))
	note(s.SetMeta("a", []byte("b")))
	note(s.Prune(day0.AddDate(0, 0, 410)))
	note(s.Prune(day0.AddDate(3, 0, 0)))
	return failures
}

// harm spoils a copy of a store's file as power cuts and dying cards do. Where
// open is true, in whole pages only: bbolt believes the head of a page that is
// of the right number and kind, and what a few wrong bits there make it do to
// its memory nothing can catch. Open and Prune find such bits before bbolt sees
// them.
func harm(random *rand.Rand, content []byte, open bool) ([]byte, string) {
	b := append([]byte{}, content...)
	pages := len(b) / 4096
	page := func() []byte { p := random.IntN(pages); return b[p*4096 : p*4096+4096] }
	noise := func(b []byte) {
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	}
	kinds := 9
	if open {
		kinds = 6
	}
	switch random.IntN(kinds) {
	case 0:
		n := random.IntN(len(b))
		return b[:n], fmt.Sprint("cut off at ", n)
	case 1:
		n := random.IntN(pages) * 4096
		return b[:n], fmt.Sprint("cut off at page ", n/4096)
	case 2:
		noise(page())
		return b, "a page of noise"
	case 3:
		clear(page())
		return b, "a page of zeros"
	case 4:
		copy(page(), page())
		return b, "a page in the place of another"
	case 5:
		noise(b[random.IntN(2)*4096:][16:80])
		return b, "noise in a meta page"
	case 6:
		for range 1 + random.IntN(50) {
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		}
		return b, "bits turned over"
	case 7:
		p := page()
		noise(p[:16+random.IntN(200)])
		return b, "noise in the head of a page"
	default:
		p := page()
		for range 1 + random.IntN(3) {
			noise(p[8+random.IntN(24):][:1])
		}
		return b, "a little noise in the head of a page"
	}
}

// Whatever has happened to the file, the store opens and works (law 9).
func TestTornFiles(t *testing.T) {
	const seed, turns = 7, 250
	random := rand.New(rand.NewPCG(seed, 2))
	content, all := fullOfEverything(t)
	dir := fastDir(t)
	aside, partly := 0, 0
	for turn := range turns {
		path := filepath.Join(dir, fmt.Sprint(turn, ".db"))
		bad, what := harm(random, content, false)
		must(t, os.WriteFile(path, bad, 0o600))
		s, report, err := Open(path, options())
		if err != nil {
			t.Fatalf("turn %d (%s): %v", turn, what, err)
		}
		if (report.SetAside != "") != report.Created || (report.Reason != "") != report.Created {
			t.Fatalf("turn %d (%s): %+v", turn, what, report)
		}
		if report.Created {
			aside++
			if kept, err := os.ReadFile(report.SetAside); err != nil || string(kept) != string(bad) {
				t.Fatalf("turn %d (%s): the bad file was not kept as it was: %v", turn, what, err)
			}
		}
		all.only(t, s, fmt.Sprintf("turn %d (%s)", turn, what))
		failures := exercise(s)
		if failures > 0 && report.Created {
			t.Fatalf("turn %d (%s): %d failures in the clean store", turn, what, failures)
		}
		if failures > 0 {
			partly++
		}
		// What was opened, mended or begun anew takes rounds, to the end.
		err = s.Commit(Round{HalfHours: halfHours(gasKey, 100_000, 100_001)})
		if err != nil {
			t.Fatalf("turn %d (%s; %+v): no round is taken any more: %v", turn, what, report, err)
		}
		must(t, s.Close())
		os.Remove(path)
		os.Remove(report.SetAside)
	}
	t.Logf("%d files spoilt: %d set aside, %d opened with values that read as errors, %d opened as if nothing had happened", turns, aside, partly, turns-aside-partly)
	if aside < turns/3 || aside == turns {
		t.Errorf("%d of %d were set aside: the test does not spoil what it should", aside, turns)
	}
}

// A page that goes bad while the store is open becomes errors, never a panic,
// and never a call that does not return; after a restart it works again.
func TestDamageWhileRunning(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be overwritten from outside on Windows")
	}
	const seed, turns = 11, 120
	random := rand.New(rand.NewPCG(seed, 3))
	content, all := fullOfEverything(t)
	dir := fastDir(t)
	damaged := 0
	for turn := range turns {
		path := filepath.Join(dir, fmt.Sprint(turn, ".db"))
		must(t, os.WriteFile(path, content, 0o600))
		s, report, err := Open(path, options())
		must(t, err)
		same(t, "report", report, Report{})
		bad, what := harm(random, content, true)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt(bad, 0)
		must(t, err)
		must(t, f.Truncate(int64(len(bad))))
		must(t, f.Close())
		all.only(t, s, fmt.Sprintf("turn %d (%s)", turn, what))
		if exercise(s) > 0 {
			damaged++
		}
		exercise(s)
		_ = s.Close()
		s, _, err = Open(path, options())
		if err != nil {
			t.Fatalf("turn %d (%s): %v", turn, what, err)
		}
		if err := s.Commit(Round{HalfHours: halfHours(gasKey, 100_000, 100_001)}); err != nil {
			t.Fatalf("turn %d (%s): %v", turn, what, err)
		}
		must(t, s.Close())
	}
	t.Logf("%d of %d kinds of damage were noticed at once", damaged, turns)
	if damaged < turns/5 {
		t.Error("the test does not damage what it should")
	}
}
