package sparql

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// run is one evaluation. Solutions are found one at a time in row, depth
// first: a query with a LIMIT stops when it has enough.
type run struct {
	d     *Dataset
	q     *Query
	ctx   context.Context
	row   []uint32 // by slot; 0: unbound
	steps int
	held  int // rows in memory
	alone map[pattern][][]uint32
	err   error
}

// step counts work, and says whether to go on.
func (e *run) step(n int) bool {
	before := e.steps >> 10
	e.steps += n
	if e.steps > e.q.limits.Steps {
		e.stop(fmt.Errorf("%w after %d steps: begin with what is known, such as a subject or an object, or ask for less", ErrRefused, e.q.limits.Steps))
	} else if e.steps>>10 != before && e.ctx.Err() != nil {
		e.stop(context.Cause(e.ctx))
	}
	return e.err == nil
}

// hold counts a row that is kept, and says whether to go on.
func (e *run) hold() bool {
	if e.held++; e.held > e.q.limits.Rows {
		e.stop(fmt.Errorf("%w at %d rows: add a LIMIT (with ORDER BY and OFFSET, page by page), or ask more exactly", ErrRefused, e.q.limits.Rows))
	}
	return e.err == nil
}

func (e *run) stop(err error) {
	if e.err == nil {
		e.err = err
	}
}

// extend finds every solution of p that fits the row, calling yield with the
// row extended by it. Both return false to stop. The row is afterwards as it
// was.
func (e *run) extend(p pattern, yield func() bool) bool {
	if !e.step(1) {
		return false
	}
	if p.scope().alone {
		return e.joinAlone(p, yield)
	}
	return e.within(p, yield)
}

// within is extend without a look at whether p must be worked out alone.
func (e *run) within(p pattern, yield func() bool) bool {
	switch p := p.(type) {
	case *bgp:
		return e.match(p.triples, 1<<len(p.triples)-1, yield)
	case *join:
		return e.extend(p.left, func() bool { return e.extend(p.right, yield) })
	case *union:
		for _, a := range p.alts {
			if !e.extend(a, yield) {
				return false
			}
		}
	case *filter:
		return e.extend(p.inner, func() bool { return !e.holds(p.tests) || yield() })
	case *leftJoin:
		return e.extend(p.left, func() bool {
			found := false
			ok := e.extend(p.right, func() bool {
				if !e.holds(p.test) {
					return true
				}
				found = true
				return yield()
			})
			return ok && e.err == nil && (found || yield())
		})
	}
	return e.err == nil
}

// joinAlone works a pattern out by itself, once, and joins the row with it.
func (e *run) joinAlone(p pattern, yield func() bool) bool {
	rows, ok := e.alone[p]
	if !ok {
		outer := e.row
		e.row = make([]uint32, len(outer))
		e.within(p, func() bool {
			rows = append(rows, slices.Clone(e.row))
			return e.hold()
		})
		e.row = outer
		if e.err != nil {
			return false
		}
		e.alone[p] = rows
	}
	for _, r := range rows {
		if !e.step(1) {
			return false
		}
		if !e.merge(r, yield) {
			return false
		}
	}
	return true
}

// merge calls yield with the row joined with r, where the two agree.
func (e *run) merge(r []uint32, yield func() bool) bool {
	for i, v := range r {
		if v != 0 && e.row[i] != 0 && e.row[i] != v {
			return true
		}
	}
	var set []int
	for i, v := range r {
		if v != 0 && e.row[i] == 0 {
			e.row[i] = v
			set = append(set, i)
		}
	}
	ok := yield()
	for _, i := range set {
		e.row[i] = 0
	}
	return ok
}

// match finds the solutions of the triple patterns whose bit is set in left.
// The one with the fewest candidates goes first: which that is depends on what
// is bound by then, so it is asked at each step.
func (e *run) match(triples [][3]part, left uint64, yield func() bool) bool {
	if left == 0 {
		return yield()
	}
	best, which, found := -1, 0, [][3]uint32(nil)
	for todo := left; todo != 0; todo &= todo - 1 {
		i := bits.TrailingZeros64(todo)
		known, ok := e.known(triples[i])
		if !ok {
			return true // a term that no statement has
		}
		w, candidates := e.d.find(known)
		if best < 0 || len(candidates) < len(found) {
			best, which, found = i, w, candidates
		}
		if !e.step(1) {
			return false
		}
	}
	t, turn := triples[best], turns[which]
	for _, c := range found {
		if !e.step(1) {
			return false
		}
		var set [3]int
		n, fits := 0, true
		for i, value := range c {
			slot := t[turn[i]].slot
			switch {
			case slot < 0 || e.row[slot] == value:
			case e.row[slot] == 0:
				e.row[slot] = value
				set[n] = slot
				n++
			default:
				fits = false
			}
		}
		ok := !fits || e.match(triples, left&^(1<<best), yield)
		for _, slot := range set[:n] {
			e.row[slot] = 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// known gives the numbers of the parts of a triple pattern, 0 for those that
// are not bound yet; false when it has a term that the dataset does not have.
func (e *run) known(t [3]part) (out [3]uint32, ok bool) {
	for i, x := range t {
		if x.slot >= 0 {
			out[i] = e.row[x.slot]
		} else if out[i] = e.d.ids[x.term]; out[i] == 0 {
			return out, false
		}
	}
	return out, true
}

// rows gives the rows of a SELECT, in order, without doubles where that is
// asked, from OFFSET to LIMIT.
func (e *run) rows() [][]rdf.Term {
	q := e.q
	if q.limit == 0 {
		return nil
	}
	var kept []sortable
	seen := map[string]bool{}
	skip := q.offset
	e.extend(q.where, func() bool {
		r := sortable{row: make([]uint32, len(q.project))}
		for i, slot := range q.project {
			r.row[i] = e.row[slot]
		}
		if len(q.order) == 0 {
			if q.distinct && !e.fresh(seen, r.row) {
				return e.err == nil
			}
			if skip > 0 {
				skip--
				return true
			}
			kept = append(kept, r)
			return e.hold() && len(kept) != q.limit
		}
		for _, k := range q.order {
			t, _ := e.eval(k.by) // an error sorts as unbound
			r.keys = append(r.keys, t)
		}
		kept = append(kept, r)
		return e.hold()
	})
	if e.err != nil {
		return nil
	}
	if len(q.order) > 0 {
		kept = e.sort(kept, seen)
	}
	out := make([][]rdf.Term, len(kept))
	for i, r := range kept {
		out[i] = make([]rdf.Term, len(r.row))
		for j, id := range r.row {
			out[i][j] = e.d.terms[id]
		}
	}
	return out
}

type sortable struct {
	row  []uint32
	keys []rdf.Term
}

// sort orders the rows, drops doubles, and cuts out OFFSET and LIMIT.
func (e *run) sort(rows []sortable, seen map[string]bool) []sortable {
	slices.SortStableFunc(rows, func(a, b sortable) int {
		for i, k := range e.q.order {
			if c := order(a.keys[i], b.keys[i]); c != 0 {
				if k.down {
					return -c
				}
				return c
			}
		}
		return 0
	})
	if e.q.distinct {
		rows = slices.DeleteFunc(rows, func(r sortable) bool { return !e.fresh(seen, r.row) })
	}
	rows = rows[min(e.q.offset, len(rows)):]
	if e.q.limit >= 0 {
		rows = rows[:min(e.q.limit, len(rows))]
	}
	return rows
}

// fresh reports whether a row is seen for the first time.
func (e *run) fresh(seen map[string]bool, row []uint32) bool {
	var b strings.Builder
	for _, v := range row {
		b.Write(binary.BigEndian.AppendUint32(nil, v))
	}
	if seen[b.String()] {
		return false
	}
	seen[b.String()] = true
	return len(e.q.order) > 0 || e.hold()
}
