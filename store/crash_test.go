package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// crashes looks over a store's shoulder and takes down what a power cut would
// leave of its two files at each of its writes.
type crashes struct {
	path   string
	random *rand.Rand
	points []moment
	before []byte // the bbolt file before the call at hand
	loose  []loose
	synced []byte // the checkpoint file as it is on the disk for sure
	unsafe bool   // a new file was written and is not synced yet
}

// moment is what both files may hold; no checkpoint file where that is nil.
type moment struct {
	what      string
	db, paper []byte
}

// loose is a write that was not synced yet.
type loose struct {
	at   int64
	data []byte
}

type watched struct {
	slotFile
	*crashes
	temp bool // it is not yet in its place
}

func (c *crashes) watch(f slotFile) slotFile {
	name := f.(dataFile).Name()
	if name == c.path+checkpointSuffix { // opened, or put in its place: it was synced
		if c.unsafe {
			panic("a file was put in its place that is not on the disk yet")
		}
		c.synced, _ = os.ReadFile(name)
		c.loose = nil
	}
	return &watched{f, c, name != c.path+checkpointSuffix}
}

func (w *watched) WriteAt(b []byte, at int64) (int, error) {
	if w.temp {
		w.point("while a new file is made", w.synced)
		w.unsafe = true
		return w.slotFile.WriteAt(b, at)
	}
	// Of what is not synced any sectors may be there, or the first so many bytes of each.
	w.loose = append(w.loose, loose{at, bytes.Clone(b)})
	for range 3 {
		image := bytes.Clone(w.synced)
		for _, l := range w.loose {
			n := w.random.IntN(len(l.data) + 1)
			copy(image[l.at:], l.data[:n])
		}
		w.point("a part of a slot, cut off", image)
		image = bytes.Clone(w.synced)
		for _, l := range w.loose {
			for i := 0; i < len(l.data); i += 512 {
				if w.random.IntN(2) == 0 {
					copy(image[l.at+int64(i):], l.data[i:min(i+512, len(l.data))])
				}
			}
		}
		w.point("some sectors of a slot", image)
	}
	return w.slotFile.WriteAt(b, at)
}

func (w *watched) Sync() error {
	err := w.slotFile.Sync()
	if w.unsafe = false; !w.temp {
		w.synced, _ = os.ReadFile(w.path + checkpointSuffix)
		w.loose = nil
		w.point("a slot is synced", w.synced)
	}
	return err
}

func (c *crashes) point(what string, paper []byte) {
	c.points = append(c.points, moment{what, c.before, paper})
}

// around makes a call and gives what a power cut within it could leave.
func (c *crashes) around(t *testing.T, call func() error) []moment {
	t.Helper()
	var err error
	c.before, err = os.ReadFile(c.path)
	must(t, err)
	c.points = nil
	must(t, call())
	after, err := os.ReadFile(c.path)
	must(t, err)
	paper, err := os.ReadFile(c.path + checkpointSuffix)
	if err != nil {
		paper = nil
	}
	if len(c.loose) > 0 { // what was not synced need not be there
		paper = c.synced
	}
	if !bytes.Equal(c.before, after) {
		for range 6 {
			c.points = append(c.points, moment{"a part of bbolt's transaction", tornPages(c.before, after, c.random), paper})
		}
	}
	return append(c.points, moment{"all of it", after, paper})
}

// tornPages is what a file can hold when the power goes within one transaction
// of bbolt: some sectors of the changed pages and no meta page, or all of the
// pages and a part of the meta page.
func tornPages(before, after []byte, random *rand.Rand) []byte {
	out := bytes.Clone(before)
	if len(after) > len(out) {
		out = append(out, make([]byte, len(after)-len(out))...)
	}
	all := random.IntN(2) == 0
	for at := 2 * 4096; at+512 <= len(after); at += 512 {
		if all || random.IntN(2) == 0 {
			copy(out[at:at+512], after[at:])
		}
	}
	if all {
		for meta := range 2 {
			n := random.IntN(100)
			copy(out[meta*4096:meta*4096+n], after[meta*4096:])
		}
	}
	return out
}

// contents is everything that the rounds brought, in words.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	keys, err := s.Keys()
	must(t, err)
	for _, k := range keys {
		state, err := s.State(k)
		must(t, err)
		fmt.Fprintf(&b, "%s state %x of %d\n", k, state[:min(8, len(state))], len(state))
		n := 0
		for h, err := range s.HalfHours(k, time.Time{}, forever) {
			must(t, err)
			if n++; h.Start.IsZero() {
				t.Fatal("a half-hour at no time")
			}
		}
		if state != nil && int(binary.BigEndian.Uint32(state)) != n {
			t.Fatalf("%s: its state is of %d half-hours, and %d are stored", k, binary.BigEndian.Uint32(state), n)
		}
		fmt.Fprintf(&b, "%d half-hours; samples", n)
		var last time.Time
		for v, err := range s.Samples(k, time.Time{}, forever) {
			must(t, err)
			if !v.At.After(last) {
				t.Fatalf("%s: a sample at %s after one at %s", k, v.At, last)
			}
			last = v.At
			fmt.Fprintf(&b, " %d:%d", v.At.UnixMilli(), v.Value)
		}
		before, after, err := s.SamplesAround(k, last)
		must(t, err)
		if !before.At.Equal(last) || !after.At.IsZero() {
			t.Fatalf("%s: around its last sample %s lie %v and %v", k, last, before, after)
		}
		b.WriteByte('\n')
	}
	seq, _, err := s.Chain()
	must(t, err)
	oldest, _, err := s.Oldest()
	must(t, err)
	meta, err := s.Meta("m")
	must(t, err)
	fmt.Fprintf(&b, "chain %d %d meta %x", seq, oldest, meta)
	return b.String()
}

// Law 3, and law 9: wherever the power is cut within whatever call, and
// whatever part of it is on the disk, the store that is opened again holds what
// it held before the call or what it holds after it, half-hours, states and
// samples of one instant.
func TestPowerCutAtEveryWrite(t *testing.T) {
	runs, steps := 14, 60
	if testing.Short() {
		runs = 4
	}
	seen := map[string]int{}
	var early, late int
	for run := range runs {
		random := rand.New(rand.NewPCG(uint64(run), 77))
		dir := fastDir(t)
		path := filepath.Join(dir, "agent.db")
		c := &crashes{path: path, random: random}
		o := options()
		o.wrap = c.watch
		s, _, err := Open(path, o)
		must(t, err)
		f := &siteAt{t: t, random: random, keys: []energy.Key{main_, gasKey}, half: map[energy.Key]int{}}
		for step := range steps {
			before := contents(t, s)
			what, call := f.step(s)
			points := c.around(t, call)
			after := contents(t, s)
			where := fmt.Sprintf("run %d, step %d, %s", run, step, what)
			for i, p := range points {
				last := i == len(points)-1
				if !last && random.IntN(3) > 0 {
					continue
				}
				got := opened(t, dir, p, fmt.Sprintf("%s: %s", where, p.what))
				switch {
				case got == after:
					late++
				case got == before && !last:
					early++
				default:
					t.Fatalf("%s: %s: the store holds\n%s\nneither what it held before\n%s\nnor after\n%s", where, p.what, got, before, after)
				}
				seen[p.what]++
			}
			if random.IntN(8) == 0 { // and the site goes on from one of them, whose clock is later
				p := points[random.IntN(len(points))]
				s.abandon()
				restore(t, path, p)
				s, _, err = Open(path, o)
				must(t, err)
				for _, k := range f.keys {
					state, err := s.State(k)
					must(t, err)
					if f.half[k] = 0; state != nil {
						f.half[k] = int(binary.BigEndian.Uint32(state))
					}
				}
			}
		}
		must(t, s.Close())
	}
	t.Logf("%v; %d times as before the call, %d times as after it", seen, early, late)
	if early < 200 || late < 200 || len(seen) < 6 {
		t.Errorf("the test cuts the power too seldom")
	}
}

// abandon lets go of the files as a process does that is killed.
func (s *Store) abandon() {
	s.since.file.close()
	s.db.Close()
}

func restore(t *testing.T, path string, p moment) {
	t.Helper()
	must(t, os.WriteFile(path, p.db, 0o600))
	os.Remove(path + checkpointSuffix)
	if p.paper != nil {
		must(t, os.WriteFile(path+checkpointSuffix, p.paper, 0o600))
	}
}

func opened(t *testing.T, dir string, p moment, where string) string {
	t.Helper()
	path := filepath.Join(dir, "copy.db")
	restore(t, path, p)
	s, report, err := Open(path, options())
	if err != nil || report != (Report{}) {
		t.Fatalf("%s: %+v %v", where, report, err)
	}
	defer s.abandon()
	return contents(t, s)
}
