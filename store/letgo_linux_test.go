package store

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// mapped is how much of the mapping of a file is in memory, KiB.
func mapped(t *testing.T, path string) (kib int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, found := false, false
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		switch {
		case strings.Contains(w[0], "-"):
			in = strings.HasSuffix(s.Text(), path)
			found = found || in
		case in && w[0] == "Rss:":
			n, err := strconv.Atoi(w[1])
			if err != nil {
				t.Fatal(err)
			}
			kib += n
		}
	}
	if !found {
		t.Fatalf("%s is not mapped", path)
	}
	return kib
}

// What was read of the file is let go of, and is there when it is read again,
// while others read and write.
func TestLetGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	s, _, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	k := energy.Key{Meter: "m", Measure: energy.Import}
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	write := func(n int) {
		var r Round
		for i := range 480 {
			r.HalfHours = append(r.HalfHours, KeyedHalfHour{Key: k, HalfHour: energy.HalfHour{Start: begin.Add(time.Duration(480*n+i) * energy.Period), Energy: int64(i), Quality: energy.Measured}})
		}
		if err := s.Commit(r); err != nil {
			t.Error(err)
		}
	}
	read := func() (n int) {
		for _, err := range s.HalfHours(k, begin, begin.Add(400*24*time.Hour)) {
			if err != nil {
				t.Error(err)
				return n
			}
			n++
		}
		return n
	}
	for n := range 20 {
		write(n)
	}
	if got := read(); got != 20*480 {
		t.Fatalf("%d half-hours, want %d", got, 20*480)
	}
	before := mapped(t, path)
	s.LetGo()
	if after := mapped(t, path); after >= before {
		t.Errorf("%d KiB of the file in memory before, %d KiB after", before, after)
	}
	var others sync.WaitGroup
	others.Go(func() {
		for n := range 20 {
			write(20 + n)
		}
	})
	others.Go(func() {
		for range 20 {
			if got := read(); got < 20*480 {
				t.Errorf("%d half-hours, want at least %d", got, 20*480)
			}
		}
	})
	others.Go(func() {
		for range 200 {
			s.LetGo()
		}
	})
	others.Wait()
	if got := read(); got != 40*480 {
		t.Errorf("%d half-hours, want %d", got, 40*480)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.LetGo() // of a closed store: nothing
}
