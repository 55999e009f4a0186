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
	points  []int // indexes into the device's points
}

// plan puts points whose registers touch or overlap into one request. Holes
// are never read: a device may refuse registers that it does not have.
func plan(points []point) []request {
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		p, q := points[a], points[b]
		if p.input != q.input {
			if p.input {
				return 1
			}
			return -1
		}
		return cmp.Compare(p.address, q.address)
	})
	var out []request
	for _, i := range order {
		p := points[i]
		end := int(p.address) + int(p.words)
		if n := len(out); n > 0 {
			last := &out[n-1]
			lastEnd := int(last.address) + int(last.words)
			if last.input == p.input && int(p.address) <= lastEnd && end-int(last.address) <= maxWords {
				last.words = uint16(max(end, lastEnd) - int(last.address))
				last.points = append(last.points, i)
				continue
			}
		}
		out = append(out, request{p.input, p.address, p.words, []int{i}})
	}
	return out
}

// apart is the plan for a device that refuses merged reads: a request a point.
func apart(points []point) []request {
	out := make([]request, len(points))
	for i, p := range points {
		out[i] = request{p.input, p.address, p.words, []int{i}}
	}
	return out
}
