package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Propose writes a configuration with all that was found: a whole one, that
// works as it is and asks for what only people know. What is not sure is said
// in its comments.
func Propose(found []Found) string {
	var buses, meters strings.Builder
	taken := map[string]int{}
	n := 0
	for _, f := range found {
		if len(f.Meters) == 0 {
			continue
		}
		n++
		bus := fmt.Sprintf("bus-%d", n)
		fmt.Fprintf(&buses, "  - {id: %s, driver: modbus, url: %q}\n", bus, f.URL)
		for _, m := range f.Meters {
			writeMeter(&meters, bus, m, taken)
		}
	}
	list := func(key, items string) string {
		if items == "" {
			return key + ": []\n"
		}
		return key + ":\n" + items
	}
	head := "site: {name: \"Name of the site\"}\n" + list("buses", buses.String())
	if len(taken) == 0 { // comments alone make no list
		return head + list("meters", "") + meters.String()
	}
	return head + list("meters", meters.String())
}

func writeMeter(b *strings.Builder, bus string, m Meter, taken map[string]int) {
	best, also, ok := Best(m.Fits)
	if !ok {
		name := ""
		if m.Says != "" { // of a device's own making, yet printable and in one line
			name = " and calls itself " + m.Says
		}
		fmt.Fprintf(b, "  # unit %d on %s answers%s, and no template fits it: give its registers as its manual has them (docs/installer.md)\n", m.Unit, bus, name)
		return
	}
	if strings.HasPrefix(best.Template, "sunspec-") && m.Says != "" {
		fmt.Fprintf(b, "  # unit %d calls itself %s\n", m.Unit, m.Says)
	}
	if best.Sure != Certain {
		fmt.Fprintf(b, "  # %s: %s; compare with the meter itself\n", best.Sure, best.Because)
	}
	if len(also) > 0 {
		fmt.Fprintf(b, "  # the same registers: %s; take the one that is printed on the meter\n", strings.Join(also, ", "))
	}
	short := best.Template
	if _, after, ok := strings.Cut(short, "-"); ok {
		short = after
	}
	taken[short]++
	fmt.Fprintf(b, "  - {id: %s-%d, bus: %s, unit: %d, template: %s", short, taken[short], bus, m.Unit, best.Template)
	if best.Part > 0 {
		fmt.Fprintf(b, ", part: %d", best.Part)
	}
	if list := best.proposed(); list != "" {
		fmt.Fprintf(b, ", measures: [%s]", list)
	}
	if best.Serial != "" {
		fmt.Fprintf(b, ", serial: %q", best.Serial)
	}
	b.WriteString("}\n")
	if best.Transformers {
		b.WriteString("  # this meter works on current transformers: add their ratio, ct: \"200/5\"\n")
	}
}

// proposed names the measures, where the default (import and export) would
// ask for one that the device does not have.
func (c Candidate) proposed() string {
	if !c.lacks {
		return ""
	}
	var names []string
	for _, m := range c.Measures {
		if m != energy.ReactiveImport && m != energy.ReactiveExport {
			names = append(names, m.String())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return strings.Join(names, ", ")
}
