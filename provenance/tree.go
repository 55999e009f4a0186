package provenance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

var timeZero time.Time

// hand is one signature with what it covers: steps and, before them or between,
// the hands that it includes.
type hand struct {
	sig   Signature
	parts []any // VerifiedStep or *hand
}

// hands puts verified steps back into the lists in which they were signed, the
// outermost first.
func hands(steps []VerifiedStep) *hand {
	var top *hand
	var open []*hand // from the outermost to the one at hand
	for _, s := range steps {
		path := append(slices.Clone(s.IncludedBy), s.Signed)
		n := 0
		for n < len(open) && n < len(path) && sameSignature(open[n].sig, path[n]) {
			n++
		}
		open = open[:n]
		for _, sig := range path[n:] {
			h := &hand{sig: sig}
			if len(open) > 0 {
				open[len(open)-1].parts = append(open[len(open)-1].parts, h)
			} else if top == nil {
				top = h
			}
			open = append(open, h)
		}
		if len(open) > 0 {
			h := open[len(open)-1]
			h.parts = append(h.parts, s)
		}
	}
	return top
}

func sameSignature(a, b Signature) bool {
	return a.Serial.Cmp(b.Serial) == 0 && a.At.Equal(b.At) && a.list == b.list
}

// Tree writes verified steps as a tree for people: who signed for what, and in
// whose word they trusted by including it. Steps are numbered in their order.
func Tree(steps []VerifiedStep) string {
	var b strings.Builder
	top := hands(steps)
	if top == nil {
		return ""
	}
	number := map[string]int{}
	for i, s := range steps {
		number[s.ID] = i + 1
	}
	n := 0
	var walk func(h *hand, first, rest string)
	walk = func(h *hand, first, rest string) {
		fmt.Fprintf(&b, "%s%s (%s) signed at %s\n", first, plain(h.sig.Organisation), plain(h.sig.Application), stamp(h.sig.At))
		for i, p := range h.parts {
			branch, below := "├─ ", "│  "
			if i == len(h.parts)-1 {
				branch, below = "└─ ", "   "
			}
			if in, ok := p.(*hand); ok {
				walk(in, rest+branch, rest+below)
				continue
			}
			s := p.(VerifiedStep)
			n++
			fmt.Fprintf(&b, "%s%s%d. %s, %s", rest, branch, n, s.summary(), stamp(s.At))
			for j, ref := range s.refs() {
				sep := ", "
				if j == 0 {
					sep = " <- "
				}
				if m, ok := number[ref.id]; ok {
					fmt.Fprintf(&b, "%s%s %d", sep, ref.name, m)
				} else {
					fmt.Fprintf(&b, "%s%s NOT IN THE RECORD", sep, ref.name)
				}
			}
			b.WriteByte('\n')
		}
	}
	walk(top, "", "")
	return b.String()
}

// plain is a certificate's text on one line.
func plain(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// Graphviz draws verified steps in the DOT language: a box around what each
// signature covers, an arrow from each step to those that rest on it. Draw it
// with "dot -Tsvg".
func Graphviz(steps []VerifiedStep) string {
	var b strings.Builder
	b.WriteString("digraph provenance {\n  rankdir=LR; compound=true; fontname=\"Helvetica\"; fontsize=11;\n" +
		"  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11];\n" +
		"  edge [fontname=\"Helvetica\", fontsize=9, color=\"#555555\"];\n")
	number := map[string]int{}
	for i, s := range steps {
		number[s.ID] = i + 1
	}
	n, boxes := 0, 0
	var walk func(h *hand, indent string)
	walk = func(h *hand, indent string) {
		boxes++
		fmt.Fprintf(&b, "%ssubgraph cluster_%d {\n%s  style=\"rounded,filled\"; fillcolor=\"%s\"; color=\"#999999\"; label=%s;\n",
			indent, boxes, indent, [2]string{"#f4f7fa", "#e8eef4"}[len(indent)/2%2],
			dotText(h.sig.Organisation, h.sig.Application, "signed "+stamp(h.sig.At)))
		for _, p := range h.parts {
			if in, ok := p.(*hand); ok {
				walk(in, indent+"  ")
				continue
			}
			s := p.(VerifiedStep)
			n++
			fmt.Fprintf(&b, "%s  s%d [label=%s];\n", indent, n, dotText(strconv.Itoa(n)+". "+s.Type, s.about(), stamp(s.At)))
		}
		fmt.Fprintf(&b, "%s}\n", indent)
	}
	if top := hands(steps); top != nil {
		walk(top, "  ")
	}
	for i, s := range steps {
		for _, ref := range s.refs() {
			if m, ok := number[ref.id]; ok {
				fmt.Fprintf(&b, "  s%d -> s%d [label=%s];\n", m, i+1, dotText(ref.name))
			} else {
				fmt.Fprintf(&b, "  missing%d [label=\"not in the record\", fillcolor=\"#ffdddd\"];\n  missing%d -> s%d [label=%s];\n", i+1, i+1, i+1, dotText(ref.name))
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// about is what a step's summary says after its type.
func (s VerifiedStep) about() string {
	if s.Type == month.StepType {
		return s.text("month") + " " + s.text("measure") + ", meter " + s.text("meter")
	}
	kind, rest, _ := strings.Cut(s.summary(), " ")
	if strings.Trim(kind, `"`) != s.Type {
		return ""
	}
	return rest
}

// dotText is lines as a quoted string of DOT. In it a backslash begins an
// escape, so that a stranger's are doubled; control characters go.
func dotText(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" }) {
		if i > 0 {
			b.WriteString(`\n`)
		}
		for _, r := range l {
			switch {
			case r == '"' || r == '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case strconv.IsPrint(r):
				b.WriteRune(r)
			default:
				b.WriteRune('\uFFFD')
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
