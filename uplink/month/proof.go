package month

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Proof opens a part of a month's tree: the seeds of the nodes under which all
// is open, and the hashes of those under which all is closed. Its nodes stand
// in the order of their half-hours and cover the tree without gap or overlap.
type Proof struct{ nodes []node }

type node struct {
	level int // its half-hours: 2^level
	open  bool
	sum   [32]byte // the seed where it is open, else the hash
}

// Whole opens the whole month.
func Whole(s Seed) Proof { return Proof{[]node{{depth, true, s}}} }

// Closed opens nothing.
func Closed(root Hash) Proof { return Proof{[]node{{depth, false, root}}} }

// Root works out the root hash from the values of the half-hours that are open;
// v is not asked for others. A proof that is good gives the root that was
// signed only with the values that were signed.
func (p Proof) Root(v Values) Hash {
	type done struct {
		level int
		hash  Hash
	}
	var stack []done
	place := 0
	for _, n := range p.nodes {
		d := done{n.level, n.sum}
		if n.open {
			d.hash = root(n.sum, n.level, place, v)
		}
		place += 1 << n.level
		for len(stack) > 0 && stack[len(stack)-1].level == d.level {
			d = done{d.level + 1, join(stack[len(stack)-1].hash, d.hash)}
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, d)
	}
	if len(stack) != 1 {
		return Hash{} // a Proof that nobody made: Whole, Closed, Narrow and ParseProof cover the tree
	}
	return stack[0].hash
}

// Open reports whether the half-hour at a place is open.
func (p Proof) Open(place int) bool {
	for _, n := range p.nodes {
		if place -= 1 << n.level; place < 0 {
			return n.open
		}
	}
	return false
}

// Narrow closes all that keep does not want: their seeds are not in the proof
// it returns, and cannot be worked out from it. v is asked for what was open.
func (p Proof) Narrow(keep func(place int) bool, v Values) Proof {
	var out Proof
	place := 0
	for _, n := range p.nodes {
		if n.open {
			out.split(n.sum, n.level, place, keep, v)
		} else {
			out.add(n)
		}
		place += 1 << n.level
	}
	return out
}

func (p *Proof) split(s Seed, level, place int, keep func(int) bool, v Values) {
	all, none := true, true
	for i := place; i < place+1<<level && (all || none); i++ {
		if keep(i) {
			none = false
		} else {
			all = false
		}
	}
	switch {
	case all:
		p.add(node{level, true, s})
	case none:
		p.add(node{level, false, root(s, level, place, v)})
	default:
		p.split(s.child(0), level-1, place, keep, v)
		p.split(s.child(1), level-1, place+1<<(level-1), keep, v)
	}
}

// add puts a node at the end. Two closed halves of one node become that node:
// how a part was closed is of no use to anybody.
func (p *Proof) add(n node) {
	p.nodes = append(p.nodes, n)
	for {
		k := len(p.nodes)
		if k < 2 || p.nodes[k-1].open || p.nodes[k-2].open || p.nodes[k-1].level != p.nodes[k-2].level {
			return
		}
		place := 0
		for _, m := range p.nodes[:k-2] {
			place += 1 << m.level
		}
		l := p.nodes[k-2]
		if place%(2<<l.level) != 0 {
			return // neighbours, not halves of one
		}
		p.nodes = append(p.nodes[:k-2], node{l.level + 1, false, join(l.sum, p.nodes[k-1].sum)})
	}
}

// Text writes a proof: each node as "open:LEVEL:SEED" or "closed:LEVEL:HASH",
// in base64url without padding.
func (p Proof) Text() []string {
	out := make([]string, len(p.nodes))
	for i, n := range p.nodes {
		kind := "closed"
		if n.open {
			kind = "open"
		}
		out[i] = kind + ":" + strconv.Itoa(n.level) + ":" + base64.RawURLEncoding.EncodeToString(n.sum[:])
	}
	return out
}

// maxNodes bounds a proof: one whose open places alternate.
const maxNodes = leaves

// ParseProof reads what Text wrote. It refuses what does not cover the tree.
func ParseProof(text []string) (Proof, error) {
	if len(text) > maxNodes {
		return Proof{}, fmt.Errorf("proof: %d nodes: at most %d", len(text), maxNodes)
	}
	var p Proof
	place := 0
	for i, t := range text {
		kind, rest, _ := strings.Cut(t, ":")
		level, sum, _ := strings.Cut(rest, ":")
		n := node{open: kind == "open"}
		b, err := base64.RawURLEncoding.Strict().DecodeString(sum)
		if err != nil || len(b) != len(n.sum) || strings.ContainsAny(sum, "\r\n") || kind != "open" && kind != "closed" {
			return Proof{}, fmt.Errorf("proof: node %d is not of the form open:LEVEL:SEED or closed:LEVEL:HASH", i)
		}
		copy(n.sum[:], b)
		if n.level, err = strconv.Atoi(level); err != nil || n.level < 0 || n.level > depth || strconv.Itoa(n.level) != level || place%(1<<n.level) != 0 {
			return Proof{}, fmt.Errorf("proof: node %d has the level %.5q, which does not fit there", i, level)
		}
		place += 1 << n.level
		p.nodes = append(p.nodes, n)
	}
	if place != leaves {
		return Proof{}, errors.New("proof: it does not cover the month")
	}
	return p, nil
}
