package sparql

import (
	"fmt"
	"slices"
	"sort"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// Dataset is a set of triples with three indexes. It does not change, so any
// number of queries may read it at once.
type Dataset struct {
	terms []rdf.Term // by number, from 1
	ids   map[rdf.Term]uint32
	index [3][][3]uint32 // sorted; each triple turned as in turns
}

// turns says which part of a triple (0 subject, 1 predicate, 2 object) stands
// first, second and third in each index. Every choice of known parts is the
// beginning of one of them.
var turns = [3][3]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}}

// Builder makes a Dataset.
type Builder struct {
	d      *Dataset
	graphs int
	all    [][3]uint32
}

// NewBuilder begins an empty dataset.
func NewBuilder() *Builder {
	return &Builder{d: &Dataset{terms: make([]rdf.Term, 1), ids: map[rdf.Term]uint32{}}}
}

// Add adds the statements of a graph. Blank nodes of two graphs are never the
// same.
func (b *Builder) Add(g *rdf.Graph) {
	b.graphs++
	number := func(t rdf.Term) uint32 {
		if t.Kind == rdf.Blank {
			t.Value = fmt.Sprintf("g%dx%s", b.graphs, t.Value)
		}
		id, ok := b.d.ids[t]
		if !ok {
			id = uint32(len(b.d.terms))
			b.d.ids[t] = id
			b.d.terms = append(b.d.terms, t)
		}
		return id
	}
	for _, t := range g.Triples() {
		b.all = append(b.all, [3]uint32{number(t.S), number(t.P), number(t.O)})
	}
}

// Dataset sorts what was added. The Builder is of no use afterwards.
func (b *Builder) Dataset() *Dataset {
	for i, turn := range turns {
		turned := make([][3]uint32, len(b.all))
		for j, t := range b.all {
			turned[j] = [3]uint32{t[turn[0]], t[turn[1]], t[turn[2]]}
		}
		slices.SortFunc(turned, compare)
		b.d.index[i] = slices.Compact(turned)
	}
	return b.d
}

func compare(a, b [3]uint32) int {
	for i := range a {
		if a[i] != b[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// Len counts the statements.
func (d *Dataset) Len() int { return len(d.index[0]) }

// find gives the part of an index that holds the triples with the known parts
// (0 is unknown), and which index it is.
func (d *Dataset) find(t [3]uint32) (which int, part [][3]uint32) {
	known := 0
	for i := range turns {
		n := 0
		for n < 3 && t[turns[i][n]] != 0 {
			n++
		}
		if n >= known {
			if n > known || i == 0 {
				which = i
			}
			known = n
		}
	}
	ix, turn := d.index[which], turns[which]
	cmp := func(x [3]uint32) int {
		for i := range known {
			if k := t[turn[i]]; x[i] != k {
				if x[i] < k {
					return -1
				}
				return 1
			}
		}
		return 0
	}
	lo := sort.Search(len(ix), func(i int) bool { return cmp(ix[i]) >= 0 })
	hi := lo + sort.Search(len(ix)-lo, func(i int) bool { return cmp(ix[lo+i]) > 0 })
	return which, ix[lo:hi]
}
