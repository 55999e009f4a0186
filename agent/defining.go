package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// define states what the virtual meters are made of, and by which rule, where
// no statement says it yet or the last one says something else: no half-hour can
// be made again by its evidence without it, and the configuration may be another
// one by then. The recorder's lock is held.
func (r *recorder) define() {
	a := r.agent
	if a.defined || a.virtual == nil || !a.opt.Clock.Trusted() {
		return
	}
	a.defined = true
	last := lastStatements(a.opt.Store)
	for _, st := range r.round.Statements { // such as the last one of the meter that hung there before
		last[st.Key] = st
	}
	now := a.Now().Truncate(time.Millisecond).UTC()
	for _, m := range a.opt.Config.Meters {
		if m.Virtual == nil {
			continue
		}
		for _, measure := range m.Measures() {
			k := energy.Key{Meter: m.ID, Measure: measure}
			s := a.definition(m, k, now)
			if was, ok := last[k]; ok {
				sum := sha256.Sum256(was.Body)
				s.Previous = hex.EncodeToString(sum[:])
				if of, err := energy.ParseStatement(was.Body); err == nil && of.Made() && of.Kind != energy.ClosingStatement {
					if of.Method == s.Method && of.Register == s.Register {
						continue
					}
					s.Kind = energy.ConfigChangeStatement
				}
			}
			keyed, err := s.Keyed()
			if err != nil {
				a.log.Error("what a virtual meter is made of cannot be stated", "meter", k.Meter, "measure", measure.String(), "error", err)
				continue
			}
			r.round.Statements = append(r.round.Statements, keyed)
		}
	}
}

// definition states what a virtual meter is made of from now on. It has no
// register, so that it begins at nothing.
func (a *Agent) definition(m config.Meter, k energy.Key, now time.Time) energy.Statement {
	s := energy.Statement{
		Kind: energy.OpeningStatement, Meter: k.Meter, Measure: k.Measure, Unit: k.Measure.BaseUnit(), Opening: &energy.Reading{ReadAt: now},
		Method: RuleName(a.virtual.Rule(k.Meter)), Register: energy.MadeOf + a.virtual.Formula(k.Meter),
		Agent: "perseus-agent " + a.opt.Version, Config: a.opt.Config.Hash, ClockSource: string(a.opt.Clock.Status().Source),
	}
	s.Supply(m.MPAN, m.MPRN)
	return s
}

// undefine closes the virtual meters that the configuration does not make any
// more, with the end of the last half-hour that was made.
func (a *Agent) undefine() error {
	last := lastStatements(a.opt.Store)
	for _, k := range slices.SortedFunc(maps.Keys(last), compareKeys) {
		st := last[k]
		if m, ok := a.opt.Config.Meter(k.Meter); ok && m.Virtual != nil && contains(m.Measures(), k.Measure) {
			continue
		}
		was, err := energy.ParseStatement(st.Body)
		if err != nil || !was.Made() || was.Kind == energy.ClosingStatement {
			continue
		}
		s := energy.Statement{
			Kind: energy.ClosingStatement, Meter: k.Meter, Measure: k.Measure, Unit: was.Unit, Method: was.Method, Register: was.Register,
			Agent: "perseus-agent " + a.opt.Version, Config: a.opt.Config.Hash, Note: "not made any more by the configuration",
		}
		if s.Closing, err = a.madeUpTo(k, was); err != nil {
			return err
		}
		sum := sha256.Sum256(st.Body)
		s.Previous = hex.EncodeToString(sum[:])
		keyed, err := s.Keyed()
		if err != nil {
			return err
		}
		a.recorder.round.Statements = append(a.recorder.round.Statements, keyed)
		if _, reg := a.registerOf(k); reg != nil { // a real meter hangs there now: its opening follows
			reg.previous = sha256.Sum256(keyed.Body)
		}
	}
	return nil
}

// madeUpTo is what a virtual meter's register would show at the end of its last
// half-hour.
func (a *Agent) madeUpTo(k energy.Key, was energy.Statement) (*energy.Reading, error) {
	_, last, n, err := a.opt.Store.Bounds(k)
	if err != nil || n == 0 {
		return &energy.Reading{ReadAt: was.At()}, err
	}
	out := &energy.Reading{ReadAt: last.Add(a.opt.Config.Period)}
	for h, err := range a.opt.Store.HalfHours(k, last, out.ReadAt) {
		if err != nil {
			return nil, err
		}
		out.Value, out.Quality = max(0, h.Cumulative), h.Quality
	}
	return out, nil
}

// lastStatements are the last ones of all registers.
func lastStatements(l Ledger) map[energy.Key]energy.KeyedStatement {
	last := map[energy.Key]energy.KeyedStatement{}
	for st, err := range l.Statements(nil) {
		if err == nil {
			last[st.Key] = st
		}
	}
	return last
}
