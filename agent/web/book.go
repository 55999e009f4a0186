package web

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// What the page looks back on: all meters on one page less far than a meter's
// own page.
const (
	lookBack    = 7
	lookBackOne = 30
	findingsAll = 3 // per meter
	mostListed  = 50
)

// book is what the page needs of the ledger, read once for all meters.
type book struct {
	statements map[energy.Key][]statementView // newest first
	findings   map[string][]findingView       // by meter, newest first
	trouble    string
}

type statementView struct {
	At, Words, Hash string
	Kind            energy.StatementKind
}

type findingView struct {
	When, Words, Advice, Rule, Class string
	Measure                          energy.Measure
	from, to                         time.Time
	severity                         validate.Severity
}

// readBook reads statements, and the findings of the last days.
func readBook(l agent.Ledger, now time.Time, days int) (b book) {
	b = book{statements: map[energy.Key][]statementView{}, findings: map[string][]findingView{}}
	for s, err := range l.Statements(nil) {
		if err != nil {
			b.trouble = "Not all statements of baseline can be read from the store: see the agent's log."
			continue
		}
		b.statements[s.Key] = append(b.statements[s.Key], viewStatement(s))
	}
	for _, all := range b.statements {
		slices.Reverse(all)
	}
	// Without an end: rules speak of readings that are dated in the future, too.
	for f, err := range Findings(l, agent.Query{From: now.AddDate(0, 0, -days), To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}) {
		if err != nil {
			b.trouble = "The findings cannot be read from the store: see the agent's log."
			break
		}
		b.findings[f.Meter] = append(b.findings[f.Meter], viewFinding(f))
	}
	for _, all := range b.findings {
		slices.SortStableFunc(all, func(x, y findingView) int { return y.from.Compare(x.from) })
	}
	return b
}

func viewStatement(k energy.KeyedStatement) statementView {
	v := statementView{At: minute(k.At), Hash: energy.StatementHash(k.Body)}
	s, err := energy.ParseStatement(k.Body)
	if err != nil {
		v.Words = "This version cannot read it: " + err.Error() + "."
		return v
	}
	v.Kind, v.Words = s.Kind, StatementWords(s)
	return v
}

func viewFinding(f Finding) findingView {
	class := map[validate.Severity]string{validate.Info: "plain", validate.Warning: "warn", validate.Error: "bad"}[f.Severity]
	return findingView{When: stretch(f.From, f.To), Words: f.Words(), Advice: f.Advice, Rule: f.Rule, Class: class, Measure: f.Measure, from: f.From, to: f.To, severity: f.Severity}
}

// detail fills in what the ledger tells of a meter.
func (s *server) detail(b book, v *meterView, now time.Time, one bool) {
	found, most := b.findings[v.ID], findingsAll
	days := lookBack
	if one {
		most, days = mostListed, lookBackOne
	}
	v.Findings, v.MoreFindings = found, 0
	if len(found) > most {
		v.Findings, v.MoreFindings = found[:most], len(found)-most
	}
	for i := range v.Registers {
		r := &v.Registers[i]
		k := energy.Key{Meter: v.ID, Measure: v.MeterStatus.Registers[i].Measure}
		r.Statements = b.statements[k]
		if len(r.Statements) > mostListed {
			r.Statements = r.Statements[:mostListed]
		}
		from := now.AddDate(0, 0, -days).Truncate(s.agent.Period())
		sh, err := sharesOf(s.book, k, from, now, s.agent.Period())
		if err != nil {
			r.Error = "its half-hours cannot be read from the store"
			continue
		}
		r.Shares, r.Bar, r.Rows = sh.words(), sh.bar(), sh.rows(k.Measure)
		if sh.flagged > 0 {
			r.Flagged = fmt.Sprintf("Against %s of these a check spoke.", halfHours(sh.flagged))
		}
		if !one {
			continue
		}
		if k.Measure == energy.Gas {
			r.Gas = s.gasView(k, from, now)
		}
		if old, err := s.book.Corrections(k, from, now); err == nil && len(old) > 0 {
			r.Corrected = fmt.Sprintf("Of these, %s replaced; what stood there before is kept.", was(len(old)))
			r.Replaced = s.replacedOf(k, old)
		}
	}
}

func halfHours(n int) string {
	if n == 1 {
		return "1 half-hour"
	}
	return grouped(int64(n)) + " half-hours"
}

func was(n int) string {
	if n == 1 {
		return "1 value was"
	}
	return grouped(int64(n)) + " values were"
}
