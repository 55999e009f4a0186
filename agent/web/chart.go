package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The chart's own units; the page stretches it to its width.
const (
	chartWidth  = 480
	chartHeight = 72
)

// chart draws one day of half-hours as an SVG bar chart. Bars are coloured by
// quality; what is missing is a mark on the floor, never a bar of height zero.
// also has what else is to be said of half-hours, by their start; nil: nothing.
func chart(measure energy.Measure, from, to time.Time, period time.Duration, have map[int64]energy.HalfHour, also map[int64]string) template.HTML {
	n := int(to.Sub(from) / period)
	if n <= 0 || n > 2000 {
		return ""
	}
	most := int64(1)
	for _, h := range have {
		if h.Quality != energy.Missing {
			most = max(most, h.Energy)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s today, %d half-hours so far">`, chartWidth, chartHeight, measure, len(have))
	fmt.Fprintf(&b, `<line class="floor" x1="0" y1="%d" x2="%d" y2="%d"/>`, chartHeight-1, chartWidth, chartHeight-1)
	w := float64(chartWidth) / float64(n)
	for i := range n {
		start := from.Add(time.Duration(i) * period)
		h, ok := have[start.Unix()]
		if !ok {
			continue
		}
		label := start.In(energy.London()).Format("15:04") + " to " + start.Add(period).In(energy.London()).Format("15:04")
		x := w * float64(i)
		if h.Quality == energy.Missing {
			fmt.Fprintf(&b, `<rect class="missing" x="%.1f" y="%d" width="%.1f" height="6"><title>%s: not known</title></rect>`, x, chartHeight-7, w*0.8, label)
			continue
		}
		height := max(1, float64(h.Energy)/float64(most)*(chartHeight-4))
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %s, %s%s</title></rect>`,
			h.Quality, x, chartHeight-1-height, w*0.8, height, label, amount(measure, h.Energy), h.Quality, template.HTMLEscapeString(also[start.Unix()]))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // numbers and our own words only
}

// amount writes base units for people: kWh, kvarh or m3, exactly.
func amount(m energy.Measure, base int64) string {
	sign := ""
	if base < 0 {
		sign, base = "-", -base
	}
	unit := map[string]string{"Wh": "kWh", "varh": "kvarh", "L": "m³"}[m.BaseUnit()]
	return fmt.Sprintf("%s%s.%03d %s", sign, grouped(base/1000), base%1000, unit)
}

// grouped writes a number with thin spaces between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
