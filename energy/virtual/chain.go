package virtual

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// A chain cuts shares out of a register that shows C, one after the other, in
// the order in which they are defined: the first share s1 gets V1 = round(s1*C)
// and leaves R1 = C - V1; the second gets V2 = round(s2/(1-s1) * R1) and leaves
// R2 = R1 - V2; and so on. Each Vk never falls as C rises, so no half-hour is
// negative; together with what is left they are C, always.
//
// (Cutting at round(S*C) for the cumulated shares S, as one would first think
// of, keeps nearer to the exact share but is not monotone: between 0.5 and 0.6
// of 5 there lies 1, and of 6 there lies 0.)
type chain []Part

// of gives Vk of the last share of the chain.
func (c chain) of(n int64) int64 {
	v := int64(0)
	for _, p := range c {
		v = p.of(n)
		n -= v
	}
	return v
}

// era is a time in which the shares of one meter do not change.
type era struct {
	from  time.Time // zero: since ever
	chain chain     // nil: this share does not hold yet
}

// eras gives, for each share of one meter, in the order of definition, its
// chains over time.
func eras(siblings []*Meter) ([][]era, error) {
	var dates []time.Time
	for _, m := range siblings {
		for _, s := range m.Shares {
			dates = append(dates, s.From)
		}
	}
	slices.SortFunc(dates, time.Time.Compare)
	dates = slices.CompactFunc(dates, time.Time.Equal)
	out := make([][]era, len(siblings))
	for _, from := range dates {
		if err := cut(siblings, from, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cut adds the era that begins at from.
func cut(siblings []*Meter, from time.Time, out [][]era) error {
	left := big.NewRat(1, 1)
	var c chain
	var names []string
	for i, m := range siblings {
		s, ok := m.share(from)
		if !ok {
			out[i] = append(out[i], era{from: from})
			continue
		}
		names = append(names, fmt.Sprintf("%s %s", m.ID, s))
		if s.rat().Cmp(left) > 0 {
			return fmt.Errorf("the shares of %s add up to more than 1 from %s on: %s", m.Of[0], dateOf(from), strings.Join(names, ", "))
		}
		next := Part{0, 1}
		if s.Num > 0 {
			var err error
			if next, err = partOf(new(big.Rat).Quo(s.rat(), left)); err != nil {
				return fmt.Errorf("the shares of %s from %s on: %w", m.Of[0], dateOf(from), err)
			}
		}
		left.Sub(left, s.rat())
		c = append(c[:len(c):len(c)], next)
		out[i] = append(out[i], era{from, c})
	}
	return nil
}

// share is the share of m that holds at t; false before the first one.
func (m *Meter) share(t time.Time) (Part, bool) {
	for _, s := range slices.Backward(m.Shares) {
		if !t.Before(s.From) {
			return s.Part, true
		}
	}
	return Part{}, false
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return "the beginning"
	}
	return t.UTC().Format(time.RFC3339)
}
