package modbus

import (
	"cmp"
	"slices"
)

// maxWords is the most registers that one request may ask for (Modbus
// application protocol 1.1b3, section 6.3).
const maxWords = 125

// request is one read on the wire and the points that it answers.
type request struct {
	input   bool
	address uint16
	words   uint16
	points  []int // indexes into the device's points, by address
}

// plan gives the fewest requests that read all points, and of such plans one
// with the fewest registers. Across says whether it may read across holes,
// registers that no point has: a device may refuse those.
func plan(points []point, across bool) []request {
	leads := spans(points)
	type cost struct{ requests, words, from int }
	best := make([]cost, len(leads)+1) // of the first so many leads; from is where the last request of them begins
	for i := 1; i <= len(leads); i++ {
		last := leads[i-1]
		for j := i - 1; j >= 0; j-- {
			first := leads[j]
			words := last.end() - int(first.address)
			hole := j < i-1 && int(leads[j+1].address) > first.end()
			if first.input != last.input || words > maxWords || hole && !across {
				break
			}
			c := cost{best[j].requests + 1, best[j].words + words, j}
			if j == i-1 || c.requests < best[i].requests || c.requests == best[i].requests && c.words < best[i].words {
				best[i] = c
			}
		}
	}
	var out []request
	for i := len(leads); i > 0; i = best[i].from {
		first := leads[best[i].from]
		r := request{input: first.input, address: first.address, words: uint16(leads[i-1].end() - int(first.address))}
		for _, s := range leads[best[i].from:i] {
			r.points = append(r.points, s.points...)
		}
		out = append(out, r)
	}
	slices.Reverse(out)
	return out
}

func (r request) end() int { return int(r.address) + int(r.words) }

// spans gives one request for each point, by address, but that a point whose
// registers another one has too comes along with it. Their beginnings and
// their ends both rise, so that the best plan cuts this row into pieces.
func spans(points []point) []request {
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		p, q := &points[a], &points[b]
		if p.input != q.input {
			if p.input {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(p.address, q.address), cmp.Compare(q.words, p.words))
	})
	var out []request
	for _, i := range order {
		p := &points[i]
		if n := len(out); n > 0 && out[n-1].input == p.input && int(p.address)+int(p.words) <= out[n-1].end() {
			out[n-1].points = append(out[n-1].points, i)
			continue
		}
		out = append(out, request{p.input, p.address, p.words, []int{i}})
	}
	return out
}

// split makes two of a request of several points: on both sides of the largest
// hole that it reads across, or in the middle where it has none.
func split(points []point, r request) []request {
	of := make([]point, len(r.points))
	for i, k := range r.points {
		of[i] = points[k]
	}
	leads := spans(of)
	at, widest := len(leads)/2, 0
	for i := 1; i < len(leads); i++ {
		if hole := int(leads[i].address) - leads[i-1].end(); hole > widest {
			at, widest = i, hole
		}
	}
	if len(leads) == 1 { // one point has the registers of all the others
		rest := request{input: r.input, points: r.points[1:]}
		return []request{cover(points, request{input: r.input, points: r.points[:1]}), cover(points, rest)}
	}
	var parts [2]request
	for i, l := range leads {
		p := &parts[min(1, i/at)]
		p.input = r.input
		for _, k := range l.points {
			p.points = append(p.points, r.points[k])
		}
	}
	return []request{cover(points, parts[0]), cover(points, parts[1])}
}

// cover sets the registers of a request to those of its points.
func cover(points []point, r request) request {
	first := &points[r.points[0]]
	from, to := int(first.address), 0
	for _, k := range r.points {
		from, to = min(from, int(points[k].address)), max(to, int(points[k].address)+int(points[k].words))
	}
	r.address, r.words = uint16(from), uint16(to-from)
	return r
}
