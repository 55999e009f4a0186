package virtual

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Plan holds the virtual meters of a site, checked and in the order in which
// they can be made. It is not changed by anything after New, and safe for use
// by several goroutines.
type Plan struct {
	period time.Duration
	order  []*node // inputs first
	byID   map[string]*node
}

type node struct {
	Meter
	eras     []era    // of a Share
	siblings []*Meter // of a Share: those of the same meter that are cut before it
}

// New checks the definitions and puts them in order. The period must divide 24
// hours; anything else is taken as energy.Period. An input that is not defined
// here is a real meter. Refused: an id twice, a definition that is incomplete,
// shares of one meter that add up to more than 1, and meters that are made of
// themselves, however far around.
//
// The order of the definitions decides which share of a meter is cut first:
// adding one at the end leaves the others as they are to the Wh.
func New(period time.Duration, defs []Meter) (*Plan, error) {
	if period <= 0 || 24*time.Hour%period != 0 {
		period = energy.Period
	}
	p := &Plan{period: period, byID: map[string]*node{}}
	var nodes []*node
	siblings := map[string][]*Meter{}
	var parents []string
	for i := range defs {
		m := defs[i]
		m.Of, m.Shares = slices.Clone(m.Of), slices.Clone(m.Shares)
		if err := m.check(); err != nil {
			return nil, err
		}
		if p.byID[m.ID] != nil {
			return nil, fmt.Errorf("virtual meter %s is defined twice", m.ID)
		}
		n := &node{Meter: m}
		p.byID[m.ID], nodes = n, append(nodes, n)
		if m.Kind == Share {
			if siblings[m.Of[0]] == nil {
				parents = append(parents, m.Of[0])
			}
			siblings[m.Of[0]] = append(siblings[m.Of[0]], &n.Meter)
		}
	}
	for _, parent := range parents {
		all, err := eras(siblings[parent])
		if err != nil {
			return nil, err
		}
		for i, m := range siblings[parent] {
			p.byID[m.ID].eras, p.byID[m.ID].siblings = all[i], siblings[parent][:i]
		}
	}
	done := map[*node]bool{}
	for _, n := range nodes {
		if err := p.sort(n, nil, done); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sort appends n to the order, after all that it is made of. path is how it
// was come by.
func (p *Plan) sort(n *node, path []string, done map[*node]bool) error {
	if i := slices.Index(path, n.ID); i >= 0 {
		return fmt.Errorf("virtual meter %s is made of itself: %s -> %s", n.ID, strings.Join(path[i:], " -> "), n.ID)
	}
	if done[n] {
		return nil
	}
	path = append(path, n.ID)
	for _, id := range n.Of {
		if in := p.byID[id]; in != nil {
			if err := p.sort(in, path, done); err != nil {
				return err
			}
		}
	}
	done[n] = true
	p.order = append(p.order, n)
	return nil
}

// Order lists the virtual meters, each after its inputs.
func (p *Plan) Order() []string {
	out := make([]string, len(p.order))
	for i, n := range p.order {
		out[i] = n.ID
	}
	return out
}

// Inputs lists the meters that a virtual meter is made of, real or virtual;
// nil where the id is not a virtual meter's.
func (p *Plan) Inputs(id string) []string {
	if n := p.byID[id]; n != nil {
		return slices.Clone(n.Of)
	}
	return nil
}
