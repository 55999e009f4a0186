package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Of whatever is put on, the first and the last are there, in order, evenly
// spaced, and never more than there is room for.
func TestShelf(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		most := rapid.IntRange(4, 40).Draw(r, "most")
		n := rapid.IntRange(0, 5000).Draw(r, "n")
		shift := time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(r, "shift"))
		s := Shelf[int]{Most: most}
		for i := range n {
			s.Put(day(noon).Add(time.Duration(i)*tick), i)
			if s.Len() > most || s.Came() != i+1 {
				r.Fatalf("%d on a shelf for %d, %d came of %d", s.Len(), most, s.Came(), i+1)
			}
		}
		length := s.Len()
		var got []int
		for at, v := range s.Take(shift) {
			if want := day(noon).Add(time.Duration(v)*tick + shift); at != want {
				r.Fatalf("%d is dated %s, want %s", v, at, want)
			}
			got = append(got, v)
		}
		if len(got) != length || s.Len() != 0 || s.Came() != 0 {
			r.Fatalf("took %d of %d, %d stay", len(got), length, s.Len())
		}
		if n == 0 {
			return
		}
		if got[0] != 0 || got[len(got)-1] != n-1 {
			r.Fatalf("from %d to %d, want 0 to %d", got[0], got[len(got)-1], n-1)
		}
		stride := 1
		if len(got) > 1 {
			stride = got[1]
		}
		if stride > max(1, 4*n/most) || n < most && len(got) != n {
			r.Fatalf("%d of %d are left, each %dth, with room for %d", len(got), n, stride, most)
		}
		for i := 1; i < len(got)-1; i++ {
			if got[i]-got[i-1] != stride {
				r.Fatalf("not even: %v", got)
			}
		}
		if len(got) > 1 {
			if last := got[len(got)-1] - got[len(got)-2]; last < 1 || last > stride {
				r.Fatalf("the last is %d after the one before, where each %dth is kept", last, stride)
			}
		}
		s.Put(day(noon), 7)
		for _, v := range s.Take(0) {
			if v != 7 {
				r.Fatal("not empty after all was taken")
			}
		}
	})
}

// Every number of things on every small shelf: the last is always the newest.
func TestShelfEndsWithTheNewest(t *testing.T) {
	for most := 4; most < 10; most++ {
		for n := 1; n < 100; n++ {
			s := Shelf[int]{Most: most}
			for i := range n {
				s.Put(day(noon).Add(time.Duration(i)), i)
			}
			first, last := -1, -1
			for _, v := range s.Take(0) {
				if first < 0 {
					first = v
				}
				last = v
			}
			if first != 0 || last != n-1 {
				t.Errorf("room for %d, %d came: from %d to %d", most, n, first, last)
			}
		}
	}
}

func TestShelfHasADefaultSize(t *testing.T) {
	for _, most := range []int{0, 3, -1} {
		s := Shelf[int]{Most: most}
		for i := range 10 * ShelfSize {
			s.Put(day(noon).Add(time.Duration(i)), i)
			if s.Len() > ShelfSize || i < ShelfSize-1 && s.Len() != i+1 {
				t.Fatalf("%d after %d", s.Len(), i+1)
			}
		}
		if s.Len() < ShelfSize/2 {
			t.Errorf("only %d are left", s.Len())
		}
		for range s.Take(0) {
			break // what is not ranged over is gone too
		}
		if s.Len() != 0 {
			t.Error("not empty")
		}
	}
}

// Two values of one instant: only the first is ever given, however much was
// thinned out. (Found by the simulation: a meter that gave a second, wrong
// value in the same answer, and of the two the wrong one was left.)
func TestShelfTakesTheFirstOfOneInstant(t *testing.T) {
	for n := 1; n < 100; n++ {
		s := Shelf[int]{Most: 8}
		for i := range n {
			s.Put(day(noon).Add(time.Duration(i)*tick), i)
			s.Put(day(noon).Add(time.Duration(i)*tick), -1)
		}
		if s.Came() != 2*n {
			t.Errorf("%d came of %d", s.Came(), 2*n)
		}
		last := 0
		for at, v := range s.Take(0) {
			if last = v; v < 0 || at != day(noon).Add(time.Duration(v)*tick) {
				t.Fatalf("of %d: %d at %s", n, v, at)
			}
		}
		if last != n-1 {
			t.Errorf("of %d: up to %d", n, last)
		}
	}
}
