package agent

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// Volumes is what the conversion of gas needs of a store: the volumes, and the
// statements that say by what they are converted.
type Volumes interface {
	HalfHours
	Statements(k *energy.Key) iter.Seq2[energy.KeyedStatement, error]
}

// era is a stretch of time, up to the next one, in which a register's volume
// is converted alike.
type era struct {
	from  time.Time // its half-hours start at or after it; zero: since ever
	meter gas.Meter
	err   error // why it cannot be converted
}

// eras are in the order of their times; the first one holds for what is older, too.
type eras []era

// at is the era that a half-hour is converted by, and its index.
func (e eras) at(start time.Time) int {
	return max(0, sort.Search(len(e), func(i int) bool { return e[i].from.After(start) })-1)
}

// begin lets another way of converting hold from an instant on, whatever held
// from then on before.
func (e eras) begin(from time.Time, m gas.Meter) eras {
	e = slices.DeleteFunc(e, func(x era) bool { return !x.from.Before(from) })
	if n := len(e); n > 0 && e[n-1].meter == m {
		return e
	}
	return append(e, era{from: from, meter: m})
}

// erasOf is how a register's volume was converted and is. The statements of
// baseline say it: what is configured now does not change what was worked out
// by another configuration. Where none says it the configuration does.
func (g *Gas) erasOf(s Volumes, k energy.Key) eras {
	m, ok := g.cfg.Meter(k.Meter)
	if ok && m.Virtual != nil {
		return g.commonEras(s, m)
	}
	var all eras
	for st, err := range s.Statements(&k) {
		if err != nil {
			continue // it is damaged, and those around it are not
		}
		if by, known := statedConversion(st); known {
			all = all.begin(by.from(), by.meter)
		}
	}
	switch {
	case len(all) > 0:
		return all
	case !ok:
		return eras{{err: errors.New("the meter is not in the configuration any more, and no statement says what its volume is converted by")}}
	}
	by, err := g.cfg.Conversion(m)
	return eras{{meter: by, err: err}}
}

// commonEras are those of a virtual meter: it is converted where all that it
// is made of is converted alike.
func (g *Gas) commonEras(s Volumes, m config.Meter) eras {
	inputs := m.Virtual.Inputs()
	of := make([]eras, len(inputs))
	cuts := []time.Time{{}}
	for i, id := range inputs {
		in, ok := g.cfg.Meter(id)
		if !ok || !slices.Contains(in.Measures(), energy.Gas) {
			return eras{{err: fmt.Errorf("meter %s, of which it is made, measures no gas", id)}}
		}
		of[i] = g.erasOf(s, energy.Key{Meter: id, Measure: energy.Gas})
		for _, e := range of[i][1:] { // the first one holds since ever
			cuts = append(cuts, e.from)
		}
	}
	slices.SortFunc(cuts, time.Time.Compare)
	var out eras
	for _, at := range slices.CompactFunc(cuts, time.Time.Equal) {
		e := of[0][of[0].at(at)]
		e.from = at
		for i, id := range inputs {
			x := of[i][of[i].at(at)]
			if x.err != nil && e.err == nil {
				e.err = x.err
			}
			if e.err == nil && !alike(x.meter, e.meter) {
				e.err = fmt.Errorf("meters %s and %s, of which it is made, are converted differently: see each of them", inputs[0], id)
			}
		}
		out = append(out, e)
	}
	return out
}

// alike reports whether two meters are converted alike: a factor that is given
// and the same one by default are no difference.
func alike(a, b gas.Meter) bool {
	one, err1 := a.Factor()
	two, err2 := b.Factor()
	return a.Zone == b.Zone && a.Corrected == b.Corrected && one == two && err1 == nil && err2 == nil
}

// conversionOf is what a gas register's volume is converted by, as a statement
// says it.
type conversionOf struct {
	meter gas.Meter
	since time.Time // as the operator stated it; zero: since the statement
	at    time.Time // of the statement
}

// from is when it begins to hold.
func (c conversionOf) from() time.Time {
	if c.since.IsZero() {
		return c.at
	}
	return c.since
}

// statedConversion reads it from a statement; false where that says nothing of it.
func statedConversion(st energy.KeyedStatement) (c conversionOf, ok bool) {
	s, err := energy.ParseStatement(st.Body)
	if err != nil || s.VCF == "" {
		return c, false
	}
	vcf, err := gas.ParseVCF(s.VCF)
	if err != nil {
		return c, false
	}
	c = conversionOf{meter: gas.Meter{Zone: s.Zone, Corrected: s.Corrected, VCF: vcf}, at: s.At()}
	c.since = s.ConvertedFrom
	return c, true
}
