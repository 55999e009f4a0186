package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// lightRound is a minute of ten meters in which no half-hour ends.
func lightRound(minute int, r *Round) {
	keys := tenMeters()
	r.States, r.Samples = r.States[:0], r.Samples[:0]
	for i, k := range keys {
		r.States = append(r.States, KeyedState{k, fmt.Appendf(nil, "state of %d at %d", i, minute)})
		r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: day0.Add(time.Duration(minute) * time.Minute), Value: int64(minute * i)}})
	}
}

// commitLight commits minutes [from, to). The first ever goes to bbolt.
func commitLight(t testing.TB, s *Store, from, to int) {
	t.Helper()
	var r Round
	for m := from; m < to; m++ {
		lightRound(m, &r)
		must(t, s.Commit(r))
	}
}

// holdsLight checks that the minutes [0, to) are there, to the last.
func holdsLight(t *testing.T, s *Store, to int) {
	t.Helper()
	for i, k := range tenMeters() {
		state, err := s.State(k)
		must(t, err)
		same(t, "state", string(state), fmt.Sprintf("state of %d at %d", i, to-1))
		got := collect(t, s.Samples(k, day0, forever))
		if len(got) != to || got[to-1].Value != int64((to-1)*i) || !got[to-1].At.Equal(day0.Add(time.Duration(to-1)*time.Minute)) {
			t.Fatalf("%d samples of %d, the last %+v", len(got), to, got[len(got)-1])
		}
	}
}

// copyOf puts the files of an open store, as they are, under another name.
func copyOf(t *testing.T, s *Store) (path string) {
	t.Helper()
	path = filepath.Join(fastDir(t), "copy.db")
	for _, suffix := range []string{"", checkpointSuffix} {
		b, err := os.ReadFile(s.path + suffix)
		must(t, err)
		must(t, os.WriteFile(path+suffix, b, 0o600))
	}
	return path
}

func logged(t *testing.T, path string) (*Store, *quiet) {
	t.Helper()
	log := &quiet{}
	o := options()
	o.Logger = newLogger(log)
	s, report, err := Open(path, o)
	must(t, err)
	same(t, "report", report, Report{})
	t.Cleanup(func() { s.Close() })
	return s, log
}

// Light rounds lie in the checkpoint, are read from there, outlive a kill, and
// are taken in by the next half-hour and by closing.
func TestLightRounds(t *testing.T) {
	s := fastStore(t)
	commitLight(t, s, 0, 20)
	if w := s.Written(); w.Commits != 1 || w.Checkpoints != 19 {
		t.Errorf("%+v", w)
	}
	holdsLight(t, s, 20)
	before, after, err := s.SamplesAround(tenMeters()[3], day0.Add(12*time.Minute+30*time.Second))
	must(t, err)
	same(t, "around", []int64{before.Value, after.Value}, []int64{36, 39})

	killed, log := logged(t, copyOf(t, s))
	holdsLight(t, killed, 20)
	commitLight(t, killed, 20, 25)
	holdsLight(t, killed, 25)
	if w := killed.Written(); w.Commits != 0 || w.Checkpoints != 5 {
		t.Errorf("it went on with %+v", w)
	}
	same(t, "log", len(log.lines), 0)

	must(t, s.Commit(Round{HalfHours: halfHours(tenMeters()[0], 0, 1)}))
	same(t, "left in the checkpoint", s.since.touched, 0)
	holdsLight(t, s, 20)
	commitLight(t, s, 20, 22)
	must(t, s.SetMeta("a", []byte("b"))) // the checkpoint goes along
	holdsLight(t, s, 22)
	killed, _ = logged(t, copyOf(t, s))
	holdsLight(t, killed, 22)
	must(t, s.Close())
	must(t, os.Remove(s.path+checkpointSuffix))
	alone, log := logged(t, s.path)
	holdsLight(t, alone, 22)
	if !log.has("amiss") {
		t.Error("nobody says that the checkpoint has gone")
	}
}

// Where there is no checkpoint, or none that is this store's, the half-hours
// and what they took in are there; it is said, and the store goes on.
func TestCheckpointAmiss(t *testing.T) {
	s := fastStore(t)
	commitLight(t, s, 0, 10)
	must(t, s.Commit(Round{HalfHours: halfHours(tenMeters()[0], 0, 1)}))
	commitLight(t, s, 10, 15)
	other := fastStore(t)
	commitLight(t, other, 0, 10)
	must(t, other.Commit(Round{HalfHours: halfHours(tenMeters()[0], 0, 1)}))
	commitLight(t, other, 10, 19)
	foreign, err := os.ReadFile(other.path + checkpointSuffix)
	must(t, err)
	for name, c := range map[string]struct {
		harm func(path string, b []byte) error
		left int // minutes
	}{
		"gone":  {func(path string, _ []byte) error { return os.Remove(path) }, 10},
		"empty": {func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) }, 10},
		"words": {func(path string, _ []byte) error { return os.WriteFile(path, []byte("not ours\n"), 0o600) }, 10},
		"noise": {func(path string, b []byte) error {
			return os.WriteFile(path, bytes.Repeat([]byte{0xA5}, len(b)), 0o600)
		}, 10},
		"another's":      {func(path string, _ []byte) error { return os.WriteFile(path, foreign, 0o600) }, 10},
		"a folder":       {func(path string, _ []byte) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, 10},
		"one slot: A":    {func(path string, b []byte) error { b[100] ^= 1; return os.WriteFile(path, b, 0o600) }, -1},
		"one slot: B":    {func(path string, b []byte) error { b[len(b)/2+100] ^= 1; return os.WriteFile(path, b, 0o600) }, -1},
		"later versions": {func(path string, b []byte) error { b[8], b[len(b)/2+8] = 9, 9; return os.WriteFile(path, b, 0o600) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			path := copyOf(t, s)
			b, err := os.ReadFile(path + checkpointSuffix)
			must(t, err)
			must(t, c.harm(path+checkpointSuffix, b))
			again, log := logged(t, path)
			if !log.has("amiss with the checkpoint") {
				t.Errorf("nothing is said: %q", log.lines)
			}
			left := c.left
			if left < 0 {
				left = len(collect(t, again.Samples(tenMeters()[0], day0, forever)))
				if left != 14 && left != 15 {
					t.Fatalf("%d minutes of 15 with one slot of two", left)
				}
			}
			holdsLight(t, again, left)
			commitLight(t, again, left, left+3)
			holdsLight(t, again, left+3)
			must(t, again.Close())
			again, _ = logged(t, path)
			holdsLight(t, again, left+3)
		})
	}
}

// A program of before there were checkpoints commits to the file: what lies
// beside it is out of date from then on, whatever it says.
func TestCheckpointAfterAnOlderProgram(t *testing.T) {
	s := fastStore(t)
	commitLight(t, s, 0, 10)
	path := copyOf(t, s)
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error { // it knows no marks: the one in the file stays
		key := be32(1)
		return tx.Bucket(bucketStates).Put(key, pack(smallVersion, key, []byte("its own")))
	}))
	must(t, db.Close())
	again, _ := logged(t, path)
	state, err := again.State(tenMeters()[0])
	must(t, err)
	same(t, "state", string(state), "its own")
	same(t, "samples", len(collect(t, again.Samples(tenMeters()[0], day0, forever))), 1)
}

// The file is made larger when more is to be kept than its slots hold, and is
// its owner's alone.
func TestCheckpointGrows(t *testing.T) {
	s := fastStore(t)
	var sizes []int64
	r := Round{}
	for i, long := range []int{10, 10, 20_000, 100, 150_000} {
		r.States = r.States[:0]
		for _, k := range tenMeters() {
			r.States = append(r.States, KeyedState{k, bytes.Repeat([]byte{byte(i)}, long)})
		}
		must(t, s.Commit(r))
		if i == 0 {
			continue
		}
		info, err := os.Stat(s.path + checkpointSuffix)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %v", info.Mode())
		}
		sizes = append(sizes, info.Size())
		again, _ := logged(t, copyOf(t, s))
		state, err := again.State(tenMeters()[9])
		must(t, err)
		if !bytes.Equal(state, r.States[9].State) {
			t.Fatalf("after %d bytes: %d are read", long, len(state))
		}
		must(t, again.Close())
	}
	if !slices.IsSorted(sizes) || sizes[0] != 2*slotPage || sizes[3] < 3_000_000 {
		t.Errorf("%v", sizes)
	}
}

// A store that is set aside takes its checkpoint along.
func TestCheckpointIsSetAside(t *testing.T) {
	s := fastStore(t)
	commitLight(t, s, 0, 10)
	path := copyOf(t, s)
	must(t, os.WriteFile(path, []byte("a card that died"), 0o600))
	want, err := os.ReadFile(path + checkpointSuffix)
	must(t, err)
	again, report := mustOpen(t, path)
	got, err := os.ReadFile(report.SetAside + checkpointSuffix)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path + checkpointSuffix); !os.IsNotExist(err) {
		t.Errorf("it still lies beside the new store: %v", err)
	}
	commitLight(t, again, 0, 3)
	holdsLight(t, again, 3)
}

// Who only looks changes nothing.
func TestLookingLeavesTheCheckpoint(t *testing.T) {
	s := fastStore(t)
	commitLight(t, s, 0, 10)
	path := copyOf(t, s)
	before, err := os.ReadFile(path)
	must(t, err)
	o := options()
	o.LeaveDamaged = true
	looking, _, err := Open(path, o)
	must(t, err)
	holdsLight(t, looking, 10)
	must(t, looking.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the store was written to")
	}
}

// In the steady state a round costs no allocation.
func TestLightRoundAllocatesNothing(t *testing.T) {
	s := fastStore(t)
	var r Round
	minute := 0
	lightRound(0, &r)
	round := func() {
		minute++
		for i := range r.States {
			r.States[i].State[0]++
			r.Samples[i].At, r.Samples[i].Value = day0.Add(time.Duration(minute)*time.Minute), int64(minute*i)
		}
		must(t, s.Commit(r))
	}
	for range 40 {
		round()
	}
	must(t, s.Commit(Round{HalfHours: halfHours(tenMeters()[0], 0, 1)}))
	was := s.Written()
	if n := testing.AllocsPerRun(28, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	if w := s.Written(); w.Checkpoints != was.Checkpoints+29 || w.Bytes != was.Bytes+29*slotPage || w.Syncs != was.Syncs+29 {
		t.Errorf("%+v after %+v: not what was to be measured", w, was)
	}
}
