package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// statement checks one of the gateway's statements against the data.
func (c *consumptionCheck) statement(p StatementProof) error {
	step, ok := c.steps[p.Statement]
	if !ok || step.Type != month.StepType {
		return errors.New("it is not in the record")
	}
	st, err := month.ReadStep(step.JSON)
	if err != nil {
		return err
	}
	gateway := c.origin.text("origin")
	if st.Gateway != gateway || step.Signed.Application != gateway {
		return fmt.Errorf("it is of %s, signed by %s: the half-hours are said to be of %s", st.Gateway, step.Signed.Application, gateway)
	}
	if !slices.ContainsFunc(step.IncludedBy, func(s Signature) bool { return sameSignature(s, c.origin.Signed) }) {
		return errors.New("it is not under the signature of who served the half-hours")
	}
	if want := c.measure(); len(c.values) > 0 && st.Measure.String() != want {
		return fmt.Errorf("it is of %s, the half-hours are of %s", st.Measure, want)
	}
	proof, err := month.ParseProof(p.Proof)
	if err != nil {
		return err
	}
	// Of two statements of a month each could open its part, and the whole be
	// half-hours of two meters.
	if c.months[st.Month.String()] {
		return fmt.Errorf("there is another one of %s: one month has one", st.Month)
	}
	c.months[st.Month.String()] = true
	if !slices.Contains(c.meters, st.Meter) {
		c.meters = append(c.meters, st.Meter)
	}
	outside := false
	got := proof.Root(func(place int) month.Value {
		if place >= st.Month.HalfHours() {
			return month.Value{}
		}
		start := st.Month.At(place)
		if start.Before(c.from) || start.Add(energy.Period).After(c.to) {
			outside = true
			return month.Value{}
		}
		if i, ok := c.at[start]; ok {
			return c.values[i]
		}
		return month.Value{}
	})
	if outside {
		return fmt.Errorf("it opens half-hours of %s outside the window", st.Month)
	}
	if got != st.Root {
		return fmt.Errorf("the half-hours of %s are not those that the gateway signed: one was changed, added or left out", st.Month)
	}
	for place := range st.Month.HalfHours() {
		start := st.Month.At(place)
		i, served := c.at[start]
		switch {
		case !proof.Open(place):
		case served:
			c.stated[i] = true
		case st.Within(start):
			c.absent++
		}
	}
	return nil
}

// measure is what the half-hours are of, by the gateway's name for it.
func (c *consumptionCheck) measure() string {
	if c.kind == "gas" {
		return energy.Gas.String()
	}
	for _, s := range c.steps {
		if s.Type == "transfer" && s.text("of") == c.origin.ID && sameSignature(s.Signed, c.origin.Signed) { // not what a later hand says
			p, _ := s.Body["parameters"].(map[string]any)
			m, _ := p["measure"].(string)
			return m
		}
	}
	return ""
}

// assurance works out the terms of the scheme's assurance from the qualities
// and compares them with those of the record.
func (c *consumptionCheck) assurance() error {
	said, _ := c.origin.Body["perseus:assurance"].(map[string]any)
	if _, ok := c.origin.Body[HalfHoursQualities]; !ok || said == nil {
		return nil
	}
	worst, method, derived := energy.Measured, energy.OriginExact, ""
	if len(c.values) == 0 {
		worst, method = energy.Missing, ""
	}
	for _, v := range c.values {
		worst = energy.Worst(worst, v.Quality)
		h := energy.HalfHour{Quality: v.Quality, Evidence: energy.Evidence{Rule: v.Rule}}
		m, d := h.Origin()
		if m == energy.OriginDerived {
			method = m
		}
		if d != "" && derived != "" && d != derived {
			d = energy.DerivedOther
		}
		if d != "" {
			derived = d
		}
	}
	first, end := c.from.Truncate(energy.Period), c.to.Truncate(energy.Period)
	if first.Before(c.from) {
		first = first.Add(energy.Period)
	}
	expected := int(max(end.Sub(first), 0) / energy.Period)
	missing := energy.MissingData(expected, len(c.values), worst)
	for _, x := range [...]struct{ name, want string }{{"missingData", missing}, {"originMethod", method}, {"originMethodDerived", derived}} {
		got, _ := said[x.name].(string)
		if got != "" {
			got = lastPart(got)
		}
		if got != x.want {
			return fmt.Errorf("the record says %s %q, the qualities of the half-hours make it %q", x.name, got, x.want)
		}
	}
	return nil
}

// listing is the canonical form of half-hours as they are served, of which the
// provider signs the hash. It has one line for each, in order:
//
//	from,takenAt,energy,cumulative\n
//
// times to the second with Z, whole numbers in base units (watt hours, litres),
// cumulative empty where none is served.
type listing struct{ h hash.Hash }

func newListing() listing { return listing{sha256.New()} }

func (l listing) add(from, taken time.Time, energy, cumulative int64) {
	b := append(append([]byte(stamp(from)), ','), stamp(taken)...)
	b = append(strconv.AppendInt(append(b, ','), energy, 10), ',')
	if cumulative >= 0 {
		b = strconv.AppendInt(b, cumulative, 10)
	}
	l.h.Write(append(b, '\n')) // never fails (hash.Hash)
}

func (l listing) sum() string { return hex.EncodeToString(l.h.Sum(nil)) }

// HashHalfHours is the hash of half-hours as an answer has them, which its
// provider signs as HalfHoursSHA256; "" where one cannot be read.
func HashHalfHours(data []HalfHour) string {
	l := newListing()
	for _, d := range data {
		v, err := d.value()
		if err != nil {
			return ""
		}
		l.add(d.From, d.TakenAt, v.Energy, v.Cumulative)
	}
	return l.sum()
}
