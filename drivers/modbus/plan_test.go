package modbus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// written gives a plan as "i4+6 h8+2".
func written(requests []request) string {
	var all []string
	for _, r := range requests {
		all = append(all, fmt.Sprintf("%s%d+%d", map[bool]string{true: "i", false: "h"}[r.input], r.address, r.words))
	}
	return strings.Join(all, " ")
}

func TestPlan(t *testing.T) {
	holding := Point{Measure: energy.Export, Address: 6, Type: "uint32", Unit: "Wh"}
	wide := Point{Measure: energy.Import, Address: 4, Table: "input", Type: "uint64", Unit: "Wh"}
	long := make([]Point, 100)
	for i := range long {
		long[i] = pt(uint16(2 * i))
	}
	for _, c := range []struct {
		name         string
		points       []Point
		side, across string
	}{
		{"one", []Point{pt(4)}, "i4+2", "i4+2"},
		{"touching", []Point{pt(6), pt(4), pt(8)}, "i4+6", "i4+6"},
		{"a hole", []Point{pt(4), pt(8)}, "i4+2 i8+2", "i4+6"},
		{"a hole too wide", []Point{pt(4), pt(128)}, "i4+2 i128+2", "i4+2 i128+2"},
		{"the widest hole", []Point{pt(4), pt(127)}, "i4+2 i127+2", "i4+125"},
		{"the fewest registers", []Point{pt(0), pt(100), pt(200)}, "i0+2 i100+2 i200+2", "i0+102 i200+2"},
		{"overlap", []Point{pt(4), pt(5)}, "i4+3", "i4+3"},
		{"one within another", []Point{pt(5), wide, pt(8)}, "i4+6", "i4+6"},
		{"tables apart", []Point{pt(4), holding}, "h6+2 i4+2", "h6+2 i4+2"},
		{"the end of the table", []Point{pt(0xFFFE), pt(0xFFFA)}, "i65530+2 i65534+2", "i65530+6"},
		{"200 registers", long, "i0+124 i124+76", "i0+124 i124+76"},
	} {
		points := compiled(t, c.points)
		if side, across := written(plan(points, false)), written(plan(points, true)); side != c.side || across != c.across {
			t.Errorf("%s: got %q and across holes %q, want %q and %q", c.name, side, across, c.side, c.across)
		}
	}
}

func compiled(t interface{ Fatal(...any) }, all []Point) []point {
	out := make([]point, len(all))
	for i, p := range all {
		var err error
		if out[i], err = p.compile(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// anyPoints draws points that lie as registers do: in clumps, with holes, some
// on top of one another.
func anyPoints(most int) *rapid.Generator[[]point] {
	return rapid.Custom(func(t *rapid.T) []point {
		out := make([]point, rapid.IntRange(1, most).Draw(t, "points"))
		at := rapid.IntRange(0, 0xFFFF-8*150).Draw(t, "first")
		for i := range out {
			step := rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(0, 130)).Draw(t, "step")
			out[i].address = uint16(at)
			out[i].words = rapid.SampledFrom([]uint16{1, 2, 2, 4, 4, 32}).Draw(t, "words")
			out[i].input = rapid.IntRange(0, 4).Draw(t, "table") == 0
			at += step
		}
		return rapid.Permutation(out).Draw(t, "order")
	})
}

// law says what is wrong with a plan that does not do what it must.
func law(points []point, requests []request, across bool) error {
	seen := map[int]bool{}
	for _, r := range requests {
		if r.words == 0 || r.words > maxWords {
			return fmt.Errorf("%d registers at once", r.words)
		}
		has := make([]bool, r.words)
		for _, k := range r.points {
			p := points[k]
			if seen[k] || p.input != r.input || p.address < r.address || int(p.address)+int(p.words) > r.end() {
				return fmt.Errorf("point %d (%+v) twice, or not within %+v", k, p.layout, r)
			}
			seen[k] = true
			for i := range p.words {
				has[p.address-r.address+i] = true
			}
		}
		if !across && slices.Contains(has, false) || !has[0] || !has[len(has)-1] {
			return fmt.Errorf("%+v reads registers that nobody asked for", r)
		}
	}
	if len(seen) != len(points) {
		return fmt.Errorf("%d of %d points are read", len(seen), len(points))
	}
	return nil
}

// cheapest tries every way to put points into groups, and gives the fewest
// requests and the fewest registers that these can have.
func cheapest(points []point, across bool) (requests, words int) {
	requests = len(points) + 1
	var groups [][]int
	var put func(k int)
	put = func(k int) {
		if k == len(points) {
			n, w := len(groups), 0
			for _, g := range groups {
				r := cover(points, request{input: points[g[0]].input, points: g})
				w += int(r.words)
				of := make([]point, len(g))
				r.points = make([]int, len(g))
				for i, k := range g {
					of[i], r.points[i] = points[k], i
				}
				if law(of, []request{r}, across) != nil {
					return
				}
			}
			if c := cmp.Or(cmp.Compare(n, requests), cmp.Compare(w, words)); c < 0 {
				requests, words = n, w
			}
			return
		}
		for i := range groups {
			groups[i] = append(groups[i], k)
			put(k + 1)
			groups[i] = groups[i][:len(groups[i])-1]
		}
		groups = append(groups, []int{k})
		put(k + 1)
		groups = groups[:len(groups)-1]
	}
	put(0)
	return requests, words
}

// No plan has fewer requests, nor as few with fewer registers: all are tried.
func TestPlanIsTheCheapest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points, across := anyPoints(6).Draw(t, "points"), rapid.Bool().Draw(t, "across")
		got := plan(points, across)
		if err := law(points, got, across); err != nil {
			t.Fatal(err)
		}
		words := 0
		for _, r := range got {
			words += int(r.words)
		}
		if n, w := cheapest(points, across); len(got) != n || words != w {
			t.Fatalf("%s: %d requests of %d registers, there is a plan with %d of %d", written(got), len(got), words, n, w)
		}
	})
}

// However often a request is split, its points are read once each, and it
// ends with one request a point.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := anyPoints(12).Draw(t, "points")
		all := plan(points, true)
		for i := 0; i < len(all); i++ {
			if len(all[i].points) > 1 && rapid.IntRange(0, 3).Draw(t, "refused") > 0 {
				before := all[i]
				parts := split(points, before)
				if len(parts) != 2 || len(parts[0].points) == 0 || len(parts[1].points) == 0 {
					t.Fatalf("%+v became %+v", before, parts)
				}
				all = slices.Replace(all, i, i+1, parts...)
				i--
			}
		}
		if err := law(points, all, true); err != nil {
			t.Fatal(err)
		}
	})
}
