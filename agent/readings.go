package agent

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

// Reading is one half-hour as the API and the commands give it.
type Reading struct {
	Meter      string         `json:"meter"`
	Measure    energy.Measure `json:"measure"`
	From       time.Time      `json:"from"`
	To         time.Time      `json:"to"`
	TakenAt    *time.Time     `json:"takenAt"`    // null when missing
	Energy     *Amount        `json:"energy"`     // null when missing
	Cumulative *Amount        `json:"cumulative"` // the register at To; null when not known
	Quality    energy.Quality `json:"quality"`
	Derived    *Derived       `json:"derived,omitempty"` // of gas: its energy
	Flags      []string       `json:"flags,omitempty"`   // the validation rules that spoke against it, e.g. "V05"
	Evidence   *Evidence      `json:"evidence"`          // null when missing
}

// Amount is a quantity: an exact decimal and its UN/CEFACT unit code.
type Amount struct {
	Value    json.Number `json:"value"`
	UnitCode string      `json:"unitCode"`
}

// Evidence lets a third party redo the sum.
type Evidence struct {
	Rule    string `json:"rule"`
	Samples int    `json:"samples"`
	First   *Point `json:"first,omitempty"`
	Last    *Point `json:"last,omitempty"`
	Start   *Point `json:"start,omitempty"` // the other reading around its start, where it or the half-hour before is missing
}

// Point is one sample of evidence, in the unit of the reading.
type Point struct {
	At    time.Time   `json:"at"`
	Value json.Number `json:"value"`
}

// HalfHours is the part of a store that Readings takes from.
type HalfHours interface {
	HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error]
	Keys() ([]energy.Key, error)
}

// Query says which readings are wanted.
type Query struct {
	Meter    string         // empty: every meter
	Measure  energy.Measure // 0: every measure
	From, To time.Time      // half-hours that start in [From, To)
}

// Readings gives the stored half-hours, register by register, oldest first.
// Half-hours that are missing between two that are there are given as missing.
func Readings(s HalfHours, q Query, period time.Duration) iter.Seq2[Reading, error] {
	return readings(s, q, period, nil)
}

// readings is Readings with the energy of gas, where convert is not nil.
func readings(s HalfHours, q Query, period time.Duration, convert func(energy.Key, time.Time) (*conversion, error)) iter.Seq2[Reading, error] {
	return func(yield func(Reading, error) bool) {
		keys, err := s.Keys()
		if err != nil {
			yield(Reading{}, err)
			return
		}
		slices.SortFunc(keys, func(a, b energy.Key) int {
			if a.Meter != b.Meter {
				if a.Meter < b.Meter {
					return -1
				}
				return 1
			}
			return int(a.Measure) - int(b.Measure)
		})
		for _, k := range keys {
			if q.Meter != "" && q.Meter != k.Meter || q.Measure != 0 && q.Measure != k.Measure {
				continue
			}
			var c *conversion
			if convert != nil && k.Measure == energy.Gas {
				if c, err = convert(k, q.From); err != nil {
					yield(Reading{}, err)
					return
				}
			}
			give := func(h energy.HalfHour, r Reading) bool {
				if c != nil {
					r.Derived = derivedOf(c.next(h))
				}
				return yield(r, nil)
			}
			var next time.Time
			for h, err := range s.HalfHours(k, q.From, q.To) {
				if err != nil {
					yield(Reading{}, err)
					return
				}
				for ; !next.IsZero() && next.Before(h.Start); next = next.Add(period) {
					if !give(energy.HalfHour{Start: next}, missing(k, next, period)) {
						return
					}
				}
				next = h.Start.Add(period)
				if !give(h, ReadingOf(k, h, period)) {
					return
				}
			}
		}
	}
}

func missing(k energy.Key, start time.Time, period time.Duration) Reading {
	return Reading{Meter: k.Meter, Measure: k.Measure, From: start, To: start.Add(period), Quality: energy.Missing}
}

// ReadingOf is a half-hour as the API gives it.
func ReadingOf(k energy.Key, h energy.HalfHour, period time.Duration) Reading {
	r := missing(k, h.Start, period)
	r.Quality, r.Flags = h.Quality, h.Flags.List()
	amount := func(v int64) *Amount {
		return &Amount{json.Number(k.Measure.Present(v)), k.Measure.UnitCode()}
	}
	point := func(s energy.Sample) *Point {
		if s.At.IsZero() || s.Value < 0 && !virtual.Made(h) { // -1 stands for a register that nobody read
			return nil
		}
		return &Point{s.At, json.Number(k.Measure.Present(s.Value))}
	}
	if !h.TakenAt.IsZero() {
		r.TakenAt = &h.TakenAt
	}
	if h.Quality != energy.Missing {
		r.Energy = amount(h.Energy)
	}
	if h.Quality != energy.Missing && h.Cumulative >= 0 {
		r.Cumulative = amount(h.Cumulative)
	}
	r.Evidence = &Evidence{Rule: RuleName(h.Evidence.Rule), Samples: h.Evidence.Samples, First: point(h.Evidence.First), Last: point(h.Evidence.Last), Start: point(h.Evidence.Start)}
	return r
}

// ruleNames are what APIs call the rules, by their numbers.
var ruleNames = [...]string{
	energy.RuleNone: "none", energy.RuleBracketed: "bracketed", energy.RuleInterpolate: "interpolated", energy.RuleSpread: "spread",
	energy.RuleImported: "imported", energy.RuleImportedEst: "imported-estimate", energy.RulePower: "power", energy.RuleCheckMeter: "check-meter",
	energy.RuleLinear: "linear", energy.RuleProfileScaled: "profile-scaled", energy.RuleProfile: "profile", energy.RuleExchange: "exchange",
	energy.RuleSum: "sum", energy.RuleDifference: "difference", energy.RuleShareArea: "share-area", energy.RuleShareHeads: "share-heads",
	energy.RuleShareOther: "share-other", energy.RuleInterval: "interval", energy.RuleWithdrawn: "withdrawn",
	energy.RuleShareMeter: "share-metering",
}

// RuleName is what APIs call a rule that decided a half-hour.
func RuleName(r energy.Rule) string {
	if int(r) < len(ruleNames) {
		return ruleNames[r]
	}
	return fmt.Sprintf("rule-%d", r)
}

// Readings is Readings of the agent's own store, with the energy of gas.
func (a *Agent) Readings(q Query) iter.Seq2[Reading, error] {
	return a.gas.Readings(a.opt.Store, q, a.opt.Config.Period)
}

// HasMeter reports whether the configuration has a meter, or the store
// something of one that it had.
func (a *Agent) HasMeter(id string) bool {
	if _, ok := a.opt.Config.Meter(id); ok {
		return true
	}
	keys, err := a.opt.Store.Keys()
	return err == nil && slices.ContainsFunc(keys, func(k energy.Key) bool { return k.Meter == id })
}

// HalfHours gives the stored half-hours of one register, for the page.
func (a *Agent) HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error] {
	return a.opt.Store.HalfHours(k, from, to)
}

// Period is the length of a settlement period here.
func (a *Agent) Period() time.Duration { return a.opt.Config.Period }

// Now is the clock that dates readings.
func (a *Agent) Now() time.Time { return a.opt.Clock.Now() }
