package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
)

// shares are how many half-hours of a span, and how much energy, are of which
// quality.
type shares struct {
	halfHours [energy.Measured + 1]int // Missing: also those of which nothing is stored
	energy    [energy.Measured + 1]int64
	flagged   int // half-hours against which a validation rule spoke
}

// bestFirst are the qualities in the order in which people read them.
var bestFirst = []energy.Quality{energy.Measured, energy.Interpolated, energy.Estimated, energy.Substituted, energy.Missing}

// sharesOf counts half-hours that start in [from, to). Those between the first
// and the last one that are not there count as missing; before the first one
// nobody was counting.
func sharesOf(l agent.Ledger, k energy.Key, from, to time.Time, period time.Duration) (s shares, err error) {
	first, _, n, err := l.Bounds(k)
	if err != nil || n == 0 {
		return s, err
	}
	next := from
	if first.After(next) {
		next = first
	}
	for h, err := range l.HalfHours(k, from, to) {
		if err != nil {
			return s, err
		}
		if gap := h.Start.Sub(next); gap > 0 {
			s.halfHours[energy.Missing] += int(gap / period)
		}
		next = h.Start.Add(period)
		s.halfHours[h.Quality]++
		if h.Quality != energy.Missing {
			s.energy[h.Quality] += h.Energy
		}
		if h.Flags != 0 {
			s.flagged++
		}
	}
	return s, nil
}

func (s shares) total() (halfHours int, sum int64) {
	for q := range s.halfHours {
		halfHours += s.halfHours[q]
		sum += s.energy[q]
	}
	return halfHours, sum
}

// words gives the qualities that there are, best first: "98 % measured, 2 %
// estimated". Empty where there is no half-hour.
func (s shares) words() string {
	all, _ := s.total()
	var out []string
	for _, q := range bestFirst {
		if n := s.halfHours[q]; n > 0 {
			out = append(out, percent(int64(n), int64(all))+" "+qualityWord(q))
		}
	}
	return strings.Join(out, ", ")
}

// bar is the shares as one stacked bar. It draws what words say.
func (s shares) bar() template.HTML {
	all, _ := s.total()
	if all == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d 6" preserveAspectRatio="none" role="img" aria-label="%s">`, chartWidth, s.words())
	x := 0.0
	for _, q := range bestFirst {
		if n := s.halfHours[q]; n > 0 {
			w := chartWidth * float64(n) / float64(all)
			fmt.Fprintf(&b, `<rect class="%s" x="%.2f" y="0" width="%.2f" height="6"/>`, q, x, max(w, 1))
			x += w
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers and our own words only
}

// shareRow is one line of the table on a meter's own page.
type shareRow struct {
	Class, Word           string
	HalfHours, Share      string
	Energy, ShareOfEnergy string // empty where missing: nobody knows
}

func (s shares) rows(m energy.Measure) []shareRow {
	all, sum := s.total()
	var out []shareRow
	for _, q := range bestFirst {
		n := s.halfHours[q]
		if n == 0 {
			continue
		}
		r := shareRow{Class: q.String(), Word: qualityWord(q), HalfHours: grouped(int64(n)), Share: percent(int64(n), int64(all))}
		if q != energy.Missing {
			r.Energy = amount(m, s.energy[q])
			r.ShareOfEnergy = percent(s.energy[q], sum)
		}
		out = append(out, r)
	}
	return out
}

// percent is a share in whole per cent that never says all where there is more,
// or none where there is some.
func percent(n, of int64) string {
	switch {
	case of <= 0:
		return "0 %"
	case n >= of:
		return "100 %"
	case n > 0 && n*100 < of:
		return "under 1 %"
	case n*100 > of*99:
		return "over 99 %"
	}
	return fmt.Sprintf("%d %%", (n*100+of/2)/of)
}

func qualityWord(q energy.Quality) string {
	if q == energy.Missing {
		return "not known"
	}
	return q.String()
}
