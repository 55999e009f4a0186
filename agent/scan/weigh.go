package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Sure says how sure a guess at a meter is.
type Sure string

// How sure.
const (
	Certain  Sure = "certain"  // it says so itself
	Likely   Sure = "likely"   // its voltage and frequency are where this model has them
	Possible Sure = "possible" // its totals could be where this model has them
)

// Candidate is a template that fits what a device answered.
type Candidate struct {
	Template string           `json:"template"`
	Title    string           `json:"title"`
	Sure     Sure             `json:"sure"`
	Because  string           `json:"because"`
	Measures []energy.Measure `json:"-"` // those that it answers, of the template's
	Serial   string           `json:"serial,omitempty"`

	Transformers bool `json:"transformers,omitempty"` // it works on current transformers
	Part         int  `json:"part,omitempty"`         // of several meters in one SunSpec device, which; 0: the only one

	lacks bool // an import or export that the template has, the device has not
	score int
}

// question is what a device is asked to see whether it is of a template: its
// registers first, then its signs.
type question struct {
	template config.Template
	signs    Signs
	points   []modbus.Point
}

func ask(t config.Template, s Signs) question {
	q := question{template: t, signs: s}
	for _, r := range t.Registers {
		q.points = append(q.points, r.Point)
	}
	for _, p := range []*modbus.Point{s.Volts, s.Hertz, s.Power} {
		if p != nil {
			q.points = append(q.points, *p)
		}
	}
	return q
}

// model is what a model register said.
type model int

const (
	modelUnknown model = iota
	modelYes
	modelNo
)

// weigh judges the answers to a question; ok is false where the template does
// not fit. A main register must hold something that was counted, or zero where
// there is other evidence.
func (q question) weigh(answers []drivers.Reading, m model, serial string) (c Candidate, ok bool) {
	c = Candidate{Template: q.template.Name, Title: q.template.Title, Serial: serial, Transformers: q.template.Transformers}
	if m == modelNo || len(answers) < len(q.points) {
		return c, false
	}
	at := make([]drivers.Reading, len(q.points))
	for _, a := range answers {
		at[a.Point] = a
	}
	var because []string
	counted := 0
	for i, r := range q.template.Registers {
		seen := doctor.Seen{Point: r.Point, First: doctor.Look{Value: at[i].Sample.Value, Raw: at[i].Raw, Err: at[i].Err}}
		switch sense, _ := doctor.Judge(seen, ceiling(q.template)); {
		case r.Power && doctor.Held(at[i].Err):
			c.Measures = append(c.Measures, r.Measure)
		case sense == doctor.Absent && i > 0, sense < doctor.Zero && i > 0 && m == modelYes:
			c.lacks = c.lacks || r.Measure == energy.Export // a model of the family without it
		case sense < doctor.Zero:
			return c, false
		default:
			c.Measures = append(c.Measures, r.Measure)
			if c.score++; sense.Believable() {
				c.score += 2
				counted++
			}
		}
	}
	live := 0
	i := len(q.template.Registers)
	for _, s := range []struct {
		p         *modbus.Point
		low, high int64
		what      string
	}{{q.signs.Volts, 180, 280, "V"}, {q.signs.Hertz, 47, 53, "Hz"}, {q.signs.Power, -maxWatts, maxWatts, "W"}} {
		if s.p == nil {
			continue
		}
		a := at[i]
		i++
		if a.Err != nil || a.Sample.Value < s.low || a.Sample.Value > s.high {
			c.score -= 10 // less likely; but a sign may be wrong, or the voltage a transformer's
			continue
		}
		if c.score += 10; s.what != "W" { // a power says little: nearly anything could be one
			live++
			because = append(because, fmt.Sprintf("%d %s", a.Sample.Value, s.what))
		}
	}
	switch {
	case m == modelYes:
		c.Sure, c.score = Certain, c.score+1000
		because = append([]string{"it says so itself"}, because...)
	case live > 0 && c.score > 0 && len(c.Measures) > 0:
		c.Sure, c.score = Likely, c.score+100
		because = append(because, "where this model has them")
	case counted > 0:
		c.Sure = Possible
		because = append(because, fmt.Sprintf("%d of its totals hold what a total can be", counted))
	default:
		return c, false
	}
	if serial != "" {
		c.score += 5
	}
	c.Because = strings.Join(because, ", ")
	return c, true
}

const maxWatts = 10_000_000

// ceiling is what a meter of a template can count in an hour, in Wh; generous.
func ceiling(t config.Template) int64 {
	if t.MaxCurrent == 0 {
		return config.Unrated
	}
	return t.MaxCurrent * 230 * int64(max(t.Phases, 1)) * 3 / 2
}

// rank sorts candidates, best first.
func rank(cs []Candidate) []Candidate {
	slices.SortStableFunc(cs, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.Template, b.Template))
	})
	return cs
}

// Best splits ranked candidates into the best one, those that fit as well (the
// same registers under another name), and the rest is dropped.
func Best(cs []Candidate) (best Candidate, also []string, ok bool) {
	if len(cs) == 0 {
		return best, nil, false
	}
	for _, c := range cs[1:] {
		if c.score == cs[0].score && c.Sure == cs[0].Sure {
			also = append(also, c.Template)
		}
	}
	return cs[0], also, true
}
