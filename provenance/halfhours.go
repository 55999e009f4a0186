package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// Properties of the origin step of a consumption answer. They are ours, not the
// scheme's.
const (
	// HalfHoursSHA256 is the SHA-256, in hexadecimal, of the half-hours as they
	// are served: see the package relay/consumption, or listing in this one.
	HalfHoursSHA256 = "perseus-edge:sha256"
	// HalfHoursQualities is the quality of each half-hour served, in runs:
	// ["1440,measured,1", ..]: how many, the quality's name, the number of the
	// rule that decided (energy.Rule). The API has no place for it, the assurance
	// terms are made of it, and the gateway's statements cover it.
	HalfHoursQualities = "perseus-edge:qualities"
	// HalfHoursType is what the half-hours are of, "electricity" or "gas": the
	// hash is of amounts in base units, which both have.
	HalfHoursType = "perseus-edge:type"
	// HalfHoursStatements opens the gateway's statements of the months served:
	// [{"statement": identifier of its step, "proof": [..]}]; see uplink/month.
	HalfHoursStatements = "perseus-edge:half-hours"
)

// QualityRun is so many half-hours of one quality, decided by one rule.
type QualityRun struct {
	N       int
	Quality energy.Quality
	Rule    energy.Rule
}

// MarshalText writes "1440,measured,1".
func (r QualityRun) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d,%s,%d", r.N, r.Quality, r.Rule), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *QualityRun) UnmarshalText(b []byte) error {
	parts := strings.Split(string(b), ",")
	if len(parts) == 3 {
		n, err1 := strconv.Atoi(parts[0])
		q, err2 := energy.ParseQuality(parts[1])
		rule, err3 := strconv.ParseUint(parts[2], 10, 8)
		if errors.Join(err1, err2, err3) == nil && n > 0 {
			*r = QualityRun{n, q, energy.Rule(rule)}
			return nil
		}
	}
	return fmt.Errorf("%.40q is not of the form 1440,measured,1", b)
}

// StatementProof opens a statement.
type StatementProof struct {
	Statement string   `json:"statement"`
	Proof     []string `json:"proof"`
}

// HalfHour is an entry in the "data" of a consumption answer. A client reads
// the answer into it.
type HalfHour struct {
	Type       string    `json:"type"` // electricity or gas
	From       time.Time `json:"from"` // inclusive
	To         time.Time `json:"to"`   // exclusive
	TakenAt    time.Time `json:"takenAt"`
	Energy     Amount    `json:"energy"`
	Cumulative *Amount   `json:"cumulative"`
}

// Checked says how far the half-hours of an answer are proved.
type Checked struct {
	Gateway  string // the origin
	Provider string // who served it: the application that signed the origin
	Served   int    // half-hours in the answer
	// Stated are those of them that the gateway itself signed for, in a
	// statement of their month.
	Stated int
	// Absent are half-hours of the window of which the gateway's statements say
	// that it delivered none: nobody left them out on the way.
	Absent int
	// Meters are the names of the meter in the gateway's statements, which are
	// the same for as long as the gateway has its store. More than one: either it
	// lost it meanwhile, or the provider put half-hours of several meters together.
	Meters []string
	// Unstated are the stretches of served half-hours without a statement of
	// the gateway; for these there is the provider's word.
	Unstated []Stretch
}

// Stretch is a stretch of time, To exclusive.
type Stretch struct{ From, To time.Time }

// CheckConsumption checks that the half-hours of a consumption answer are those
// of its verified record: that they have the hash which the provider signed,
// that the gateway's own statements of the months, where there are any, are of
// these half-hours and no others, and that the assurance terms are what the
// qualities make them. The error names all that is wrong; Checked says for what
// there is a statement of the gateway and for what there is not, which is no
// error: a month is stated when it is over.
//
// Whether the record is of the meter and the business that was asked for is the
// caller's to judge.
func CheckConsumption(steps []VerifiedStep, data []HalfHour) (Checked, error) {
	var out Checked
	origin, err := servedOrigin(steps)
	if err != nil {
		return out, err
	}
	out.Gateway, out.Provider, out.Served = origin.text("origin"), origin.Signed.Application, len(data)
	c := &consumptionCheck{origin: origin, steps: map[string]VerifiedStep{}, at: map[time.Time]int{}, stated: make([]bool, len(data)), months: map[string]bool{}}
	for _, s := range steps {
		c.steps[s.ID] = s
	}
	if err := c.read(data); err != nil {
		return out, err
	}
	if err := c.assurance(); err != nil {
		c.bad("%w", err)
	}
	var proofs []StatementProof
	if err := reread(origin.Body[HalfHoursStatements], &proofs); err != nil {
		c.bad("%s: %w", HalfHoursStatements, err)
	}
	for _, p := range proofs {
		if err := c.statement(p); err != nil {
			c.bad("statement %s: %w", p.Statement, err)
		}
	}
	out.Absent, out.Meters = c.absent, c.meters
	for i, d := range data {
		if c.stated[i] {
			out.Stated++
		} else if n := len(out.Unstated); n > 0 && out.Unstated[n-1].To.Equal(d.From) {
			out.Unstated[n-1].To = d.To
		} else {
			out.Unstated = append(out.Unstated, Stretch{d.From, d.To})
		}
	}
	return out, errors.Join(c.wrong...)
}

// servedOrigin finds the origin that says what the answer's half-hours are.
func servedOrigin(steps []VerifiedStep) (VerifiedStep, error) {
	var found []VerifiedStep
	for _, s := range steps {
		if _, ok := s.Body[HalfHoursSHA256]; ok && s.Type == "origin" {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return VerifiedStep{}, fmt.Errorf("provenance: %d origins of half-hours (with %s) in the record: one is needed to check the data against", len(found), HalfHoursSHA256)
	}
	return found[0], nil
}

type consumptionCheck struct {
	origin   VerifiedStep
	steps    map[string]VerifiedStep
	from, to time.Time // the window
	values   []month.Value
	at       map[time.Time]int // place in data by start
	kind     string
	stated   []bool
	absent   int
	months   map[string]bool // of which there was a statement
	meters   []string
	wrong    []error
}

func (c *consumptionCheck) bad(format string, a ...any) {
	c.wrong = append(c.wrong, fmt.Errorf("provenance: half-hours: "+format, a...))
}

// read takes the data in and checks its hash. Its error is final.
func (c *consumptionCheck) read(data []HalfHour) error {
	details, _ := c.origin.Body["perseus:scheme"].(map[string]any)
	var ok bool
	if c.from, c.to, ok = period(details["meteringPeriod"]); !ok {
		return fmt.Errorf("provenance: origin %s has no metering period", c.origin.ID)
	}
	var runs []QualityRun
	if err := reread(c.origin.Body[HalfHoursQualities], &runs); err != nil {
		return fmt.Errorf("provenance: origin %s: %s: %w", c.origin.ID, HalfHoursQualities, err)
	}
	var quality []QualityRun
	for _, r := range runs {
		for n := r.N; n > 0 && len(quality) <= len(data); n-- {
			quality = append(quality, r)
		}
	}
	list := newListing()
	for i, d := range data {
		v, err := d.value()
		if err != nil {
			return fmt.Errorf("provenance: half-hour %d of the answer: %w", i+1, err)
		}
		if d.From.Before(c.from) || d.To.After(c.to) || i > 0 && d.From.Before(data[i-1].To) || i > 0 && d.Type != data[0].Type {
			return fmt.Errorf("provenance: half-hour %d of the answer, from %s: outside the window, out of order or of another kind", i+1, stamp(d.From))
		}
		if unit := map[string]string{"electricity": "WHR KWH", "gas": "MTQ"}[d.Type]; !strings.Contains(unit, d.Energy.UnitCode) || d.Cumulative != nil && !strings.Contains(unit, d.Cumulative.UnitCode) {
			return fmt.Errorf("provenance: half-hour %d of the answer, from %s: %.20q in %s", i+1, stamp(d.From), d.Type, d.Energy.UnitCode)
		}
		list.add(d.From, d.TakenAt, v.Energy, v.Cumulative)
		if i < len(quality) {
			v.Quality, v.Rule = quality[i].Quality, quality[i].Rule
		}
		c.values, c.at[d.From.UTC()], c.kind = append(c.values, v), i, d.Type
	}
	if want, got := c.origin.text(HalfHoursSHA256), list.sum(); want != got {
		c.bad("the answer is not what %s signed: its half-hours hash to %s, signed is %s", c.origin.Signed.Application, got, want)
	}
	if want := c.origin.text(HalfHoursType); want != "" && len(data) > 0 && want != c.kind {
		c.bad("the answer is of %s, %s signed for %s", c.kind, c.origin.Signed.Application, want)
	}
	if len(runs) > 0 && len(quality) != len(data) {
		c.bad("the record has qualities of %d half-hours, the answer has %d", len(quality), len(data))
	}
	return nil
}

// value reads an entry's amounts, exactly, in base units.
func (d HalfHour) value() (month.Value, error) {
	v := month.Value{Present: true, Cumulative: -1}
	if !d.To.Equal(d.From.Add(energy.Period)) || d.From.Truncate(energy.Period) != d.From.UTC() {
		return v, fmt.Errorf("%s to %s is not a half-hour", stamp(d.From), stamp(d.To))
	}
	var err error
	if v.Energy, err = base(d.Energy); err != nil {
		return v, fmt.Errorf("energy: %w", err)
	}
	if d.Cumulative != nil {
		if v.Cumulative, err = base(*d.Cumulative); err != nil {
			return v, fmt.Errorf("cumulative: %w", err)
		}
	}
	return v, nil
}

// base is an amount in base units: watt hours or litres.
func base(a Amount) (int64, error) {
	scale, ok := map[string]int64{"WHR": 1, "KWH": 1000, "MTQ": 1000}[a.UnitCode]
	n, good := new(big.Rat).SetString(a.Value.String())
	if !ok || !good || len(a.Value) > 40 || strings.ContainsAny(a.Value.String(), "eE/") {
		return 0, fmt.Errorf("%.40q %.10q is not an amount in WHR, KWH or MTQ", a.Value, a.UnitCode)
	}
	if n.Mul(n, big.NewRat(scale, 1)); !n.IsInt() || !n.Num().IsInt64() || n.Sign() < 0 {
		return 0, fmt.Errorf("%s %s is not a whole number of watt hours or litres", a.Value, a.UnitCode)
	}
	return n.Num().Int64(), nil
}

// reread reads a step's property into a type; what is absent leaves it alone.
func reread(v any, into any) error {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return strictJSON(raw, into)
}
