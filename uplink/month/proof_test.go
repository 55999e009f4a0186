package month

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func some(rng *rand.Rand, n int) []Value {
	vs := make([]Value, n)
	for i := range vs {
		if rng.IntN(10) == 0 {
			continue
		}
		vs[i] = Value{true, rng.Int64N(5000), rng.Int64N(1e9) - 1, energy.Quality(1 + rng.IntN(4)), energy.Rule(rng.IntN(18))}
	}
	return vs
}

// Whatever part is opened, and however often a part of a part, the root is the
// one that was signed, the closed places are not asked for, and the proof comes
// back from its text.
func TestProofsHaveTheSignedRoot(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		vs, seed := some(rng, 1344+48*rng.IntN(4)), NewSeed()
		want := Root(seed, List(vs))
		p, open := Whole(seed), func(int) bool { return true }
		for range 1 + rng.IntN(3) {
			from := rng.IntN(1488)
			to, before := from+rng.IntN(1488-from)+1, open
			open = func(i int) bool { return before(i) && i >= from && i < to }
			p = p.Narrow(func(i int) bool { return i >= from && i < to }, List(vs))
			var err error
			if p, err = ParseProof(p.Text()); err != nil {
				t.Fatal(err)
			}
		}
		got := p.Root(func(i int) Value {
			if !open(i) {
				t.Fatalf("place %d is closed and was asked for", i)
			}
			return List(vs)(i)
		})
		if got != want {
			t.Fatalf("root %x, signed %x", got, want)
		}
		for i := range 1488 {
			if p.Open(i) != open(i) {
				t.Fatalf("place %d: open is %v", i, p.Open(i))
			}
		}
		if n := len(p.Text()); n > 4*depth {
			t.Errorf("a run of half-hours takes %d nodes", n)
		}
	}
}

// Any other value, at any open place, gives another root.
func TestProofsRefuseOtherValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	vs, seed := some(rng, 1488), NewSeed()
	vs[100] = Value{true, 5, 100, energy.Measured, energy.RuleBracketed}
	want := Root(seed, List(vs))
	p := Whole(seed).Narrow(func(i int) bool { return i >= 96 && i < 144 }, List(vs))
	for _, other := range []Value{{}, {true, 6, 100, energy.Measured, 1}, {true, 5, 101, energy.Measured, 1}, {true, 5, -1, energy.Measured, 1},
		{true, 5, 100, energy.Estimated, 1}, {true, 5, 100, energy.Measured, 2}} {
		changed := slices.Clone(vs)
		changed[100] = other
		if p.Root(List(changed)) == want {
			t.Errorf("%+v was not noticed", other)
		}
	}
	for range 100 { // two half-hours changed about
		i, j := 96+rng.IntN(48), 96+rng.IntN(48)
		changed := slices.Clone(vs)
		changed[i], changed[j] = changed[j], changed[i]
		if vs[i] != vs[j] && p.Root(List(changed)) == want {
			t.Errorf("%d and %d changed about were not noticed", i, j)
		}
	}
}

// What is closed cannot be tried against guesses: neither the seed of a closed
// leaf, nor that of any node above it, is in the proof or follows from it.
func TestClosedStaysClosed(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	vs, seed := some(rng, 1488), NewSeed()
	p := Whole(seed).Narrow(func(i int) bool { return i >= 10 && i < 20 || i == 700 }, List(vs))
	known := map[Seed]bool{}
	var below func(s Seed, level int)
	below = func(s Seed, level int) {
		known[s] = true
		if level > 0 {
			below(s.child(0), level-1)
			below(s.child(1), level-1)
		}
	}
	for _, n := range p.nodes {
		if n.open {
			below(n.sum, n.level)
		} else {
			known[n.sum] = true
		}
	}
	var walk func(s Seed, level, place int)
	walk = func(s Seed, level, place int) {
		if level == 0 {
			if open := place >= 10 && place < 20 || place == 700; known[s] != open {
				t.Fatalf("place %d: its seed is known: %v", place, known[s])
			}
			return
		}
		if whole := p.Open(place) && p.Open(place+1<<level-1) && level <= 2; known[s] && !whole {
			t.Fatalf("the seed of the node of level %d at %d is known", level, place)
		}
		walk(s.child(0), level-1, place)
		walk(s.child(1), level-1, place+1<<(level-1))
	}
	walk(seed, depth, 0)
	if closed := p.Narrow(func(int) bool { return false }, List(vs)); len(closed.nodes) != 1 || closed.nodes[0] != Closed(Root(seed, List(vs))).nodes[0] {
		t.Errorf("all closed is %v", closed.Text())
	}
}

// The tree to the byte: outsiders write their own.
func TestGolden(t *testing.T) {
	var seed Seed
	for i := range seed {
		seed[i] = byte(i)
	}
	v := List([]Value{{true, 123, 5000, energy.Measured, energy.RuleBracketed}, {}, {true, 0, -1, energy.Substituted, energy.RuleLinear}})
	if got, want := string(v(0).text(nil)), "123,5000,measured,1"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got, want := string(v(2).text(nil)), "0,,substituted,8"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	const want = "c0026d3ac87e6a04bc64417295f384d9a765e19d24b41188cf441e08725cce41"
	if got := fmt.Sprintf("%x", Root(seed, v)); got != want {
		t.Errorf("root %s, want %s", got, want)
	}
}

func TestMonths(t *testing.T) {
	for s, n := range map[string]int{"2026-02": 28 * 48, "2024-02": 29 * 48, "2026-03": 31 * 48, "2026-10": 31 * 48, "2026-11": 30 * 48} {
		m, err := Parse(s)
		if err != nil || m.HalfHours() != n || m.String() != s || Of(m.End().Add(-1)) != m || m.Next() != Of(m.End()) {
			t.Errorf("%s: %v, %d half-hours", s, err, m.HalfHours())
		}
		if i, ok := m.Place(m.At(n - 1)); i != n-1 || !ok {
			t.Errorf("%s: the last is at %d", s, i)
		}
		for _, off := range []time.Time{m.End(), m.Start.Add(-energy.Period), m.Start.Add(time.Second)} {
			if i, ok := m.Place(off); ok {
				t.Errorf("%s: %s is at %d", s, off, i)
			}
		}
	}
	for _, s := range []string{"", "2026-3", "2026-13", "2026-03-01", "1969-12", "9999-01"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	vs := some(rand.New(rand.NewPCG(7, 8)), 1488)
	f.Add(strings.Join(Whole(Seed{1}).Text(), " "))
	f.Add(strings.Join(Whole(Seed{1}).Narrow(func(i int) bool { return i > 100 }, List(vs)).Text(), " "))
	f.Add("open:11:x closed:0:")
	f.Fuzz(func(t *testing.T, text string) {
		in := strings.Split(text, " ")
		p, err := ParseProof(in)
		if err != nil {
			return
		}
		if !slices.Equal(p.Text(), in) {
			t.Fatalf("%q came back as %q", in, p.Text())
		}
		if n := p.Narrow(func(i int) bool { return i%3 == 0 }, List(vs)); n.Root(List(vs)) != p.Root(List(vs)) {
			t.Fatal("a part of it has another root")
		}
	})
}

func BenchmarkRoot(b *testing.B) {
	vs, seed := some(rand.New(rand.NewPCG(1, 1)), 1488), NewSeed()
	for b.Loop() {
		Root(seed, List(vs))
	}
}
