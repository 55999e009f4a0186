package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/substitute"
)

// explainMeter says what is read of a meter, and what is made of it.
func explainMeter(w io.Writer, c *config.Config, m config.Meter) {
	var what []string
	if heard(m) {
		for _, r := range m.Registers {
			what = append(what, hears(r))
		}
		fmt.Fprintf(w, "    %s, there called %q: %s; a fault when it is silent for %s\n", m.ID, m.Device, strings.Join(what, ", "), config.FormatDuration(m.Poll))
		for _, s := range particulars(c, m) {
			fmt.Fprintf(w, "      %s\n", s)
		}
		return
	}
	for _, r := range m.Registers {
		if m.SunSpec != nil {
			what = append(what, fmt.Sprintf("%s (by SunSpec: the device says where it is and by what to multiply it)", r.Measure))
			continue
		}
		what = append(what, fmt.Sprintf("%s (%s %#04x, %s, %s)", r.Measure, r.Table, r.Address, r.Type, counts(r)))
	}
	fmt.Fprintf(w, "    %s, unit %d, every %s: %s", m.ID, m.Unit, config.FormatDuration(m.Poll), strings.Join(what, ", "))
	if m.Template != "" {
		fmt.Fprintf(w, "; template %s", m.Template)
	}
	fmt.Fprintln(w, transformers(m))
	for _, s := range particulars(c, m) {
		fmt.Fprintf(w, "      %s\n", s)
	}
}

// heard reports whether a meter is on a bus that speaks by itself.
func heard(m config.Meter) bool { return len(m.Registers) > 0 && m.Registers[0].Heard != nil }

// hears says where a register is in what a bus says.
func hears(r config.Register) string {
	h := r.Heard
	var of []string
	for _, s := range []string{h.Name, h.Topic, h.Value, r.Unit} {
		if s != "" {
			of = append(of, s)
		}
	}
	if len(of) == 0 {
		return r.Measure.String() + " (as the feed has it)"
	}
	return fmt.Sprintf("%s (%s)", r.Measure, strings.Join(of, ", "))
}

// shownModulus is the largest modulus, in base units, that a person is told of:
// a display has nine digits of kWh at most.
const shownModulus = 1_000_000_000_000

// counts says what a count of a register is, and where it starts again at 0.
func counts(r config.Register) string {
	s := r.Unit
	if r.Pulse != "" {
		s = "pulses of " + r.Pulse
	}
	if r.Scale != "" {
		s += " x " + r.Scale
	}
	if r.Modulus > 0 && r.Modulus <= shownModulus && !r.Power {
		value, unit := agent.Shown(r.Measure.Present(r.Modulus), r.Measure.UnitCode())
		s += fmt.Sprintf(", 0 again at %s %s", value, unit)
	}
	return s
}

// transformers says what a meter's values are multiplied with.
func transformers(m config.Meter) string {
	var of []string
	if m.CT != "" {
		of = append(of, m.CT+" for its current transformers")
	}
	if m.VT != "" {
		of = append(of, m.VT+" for its voltage transformers")
	}
	switch {
	case len(of) == 0:
		return ""
	case m.Primary:
		return "; not multiplied, as its values are primary ones: " + strings.Join(of, " and ") + " are in them"
	}
	return "; times " + strings.Join(of, " and ")
}

// particulars are the lines about one meter, each a whole sentence's worth.
func particulars(c *config.Config, m config.Meter) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, r := range m.Registers {
		if r.Power {
			add("power only: half-hours are integrals of it, always marked as estimated, and missing where it is silent for more than %s; a register that counts energy is better", config.FormatDuration(r.MaxGap))
			break
		}
	}
	if limit := energy.DefaultClose(c.Period); m.Poll > 2*limit && !heard(m) {
		add("it is asked so seldom that half-hours rest on one reading near each boundary: every %s or less is better", config.FormatDuration(limit))
	}
	if len(m.Registers) > 0 {
		r := m.Registers[0]
		if m.Rating.Known(r.Measure) {
			add("readings beyond what it can deliver, %s, are not believed; more than %s in %s is spoken about (V05)",
				perHour(r.MaxPower, r.Measure), shownAmount(r.MaxEnergy, r.Measure), config.FormatDuration(c.Period))
		} else {
			add("nothing is known of its size, so that readings are believed up to %s: write %s", perHour(r.MaxPower, r.Measure), ratingHint(r.Measure))
		}
	}
	if m.SerialRegister != nil {
		add("its serial number is read each minute and after each silence (%s %#04x, %s), so that an exchanged meter is noticed",
			m.SerialRegister.Table, m.SerialRegister.Address, m.SerialRegister.Type)
	}
	if m.SunSpec != nil {
		add("%s number %d of the device; its maker, model and serial number are read when it is first asked, so that an exchanged one is noticed", m.SunSpec.Kind, m.SunSpec.Part)
	}
	if stays := notSent(m); stays != "" && c.Uplink != nil {
		add("%s", stays)
	}
	lines = append(lines, gasLines(c, m)...)
	if m.MPAN != "" {
		add("MPAN %s: its check digit is right", m.MPAN)
	}
	if m.MPRN != "" {
		add("MPRN %s: its check digits are right", m.MPRN)
	}
	for _, a := range m.Alarms {
		bit := ""
		if a.Table == "holding" || a.Table == "input" {
			bit = fmt.Sprintf(" bit %d", a.Bit)
		}
		does := "it is told to people, and readings are counted all the same"
		if a.Invalid {
			does = "readings are shown and not counted (V14)"
		}
		add("alarm %q (%s %#04x%s is %d): %s", a.Means, a.Table, a.Address, bit, map[bool]int{true: 0, false: 1}[a.Clear], does)
	}
	if m.CheckMeter != "" {
		add("compared with meter %s (V09)", m.CheckMeter)
	}
	if p := m.CheckPower; p != nil {
		where := "as the bus says it"
		if p.Heard == nil {
			where = fmt.Sprintf("%s %#04x, %s, %s", p.Table, p.Address, p.Type, counts(*p))
		}
		add("its power (%s) tells whether a total stands still (V07)", where)
	}
	for _, e := range m.Exchanges {
		add("exchanged at %s", e.At.In(energy.London()).Format("15:04 MST on 2 January 2006"))
	}
	if off := m.Off.List(); len(off) > 0 {
		add("not checked for %s", strings.Join(off, ", "))
	}
	if how := fills(m); len(how) > 0 {
		add("missing half-hours are filled after %s (%s), and marked as substituted", config.FormatDuration(m.SubstituteAfter), strings.Join(how, ", then "))
	} else if len(m.Substitute) > 0 {
		add("nothing fills its missing half-hours: %s need half-hours that are no estimates, and those of a power alone are", strings.Join(m.Substitute, " and "))
	}
	return lines
}

// fills is how a meter's missing half-hours can be filled.
func fills(m config.Meter) []string {
	totals := func(r config.Register) bool { return !r.Power }
	if len(m.Registers) == 0 || slices.ContainsFunc(m.Registers, totals) {
		return m.Substitute
	}
	return slices.DeleteFunc(slices.Clone(m.Substitute), func(how string) bool { return how != substitute.CheckMeter.String() })
}

// notSent says which measures never go to the relay; "" where all can.
func notSent(m config.Meter) string {
	var names []string
	for _, x := range m.Measures() {
		if !x.Carried() {
			names = append(names, x.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, " and ") + ": recorded here and never sent, as the scheme has no place for it"
}

// explainVirtual lists the meters that are made of others.
func explainVirtual(w io.Writer, c *config.Config) {
	head := "\nMake further meters out of them:\n"
	for _, m := range c.Meters {
		if m.Virtual == nil {
			continue
		}
		fmt.Fprint(w, head)
		head = ""
		names := make([]string, 0, 4)
		for _, x := range m.Measures() {
			names = append(names, x.String())
		}
		fmt.Fprintf(w, "    %s, %s: %s\n", m.ID, strings.Join(names, ", "), m.Virtual.Words())
		if stays := notSent(m); stays != "" && c.Uplink != nil {
			fmt.Fprintf(w, "      %s\n", stays)
		}
		for _, s := range gasLines(c, m) {
			fmt.Fprintf(w, "      %s\n", s)
		}
	}
}

// perHour shows a ceiling as people know it: kW, kvar or m3/h.
func perHour(base int64, m energy.Measure) string {
	unit := map[string]string{"Wh": "kW", "varh": "kvar", "L": "m3/h"}[m.BaseUnit()]
	return fmt.Sprintf("%d %s", base/1000, unit)
}

func shownAmount(base int64, m energy.Measure) string {
	unit := map[string]string{"Wh": "kWh", "varh": "kvarh", "L": "m3"}[m.BaseUnit()]
	return fmt.Sprintf("%d.%d %s", base/1000, base%1000/100, unit)
}

// ratingHint is what to write so that a meter's size is known.
func ratingHint(m energy.Measure) string {
	switch m.Kind() {
	case "gas", "water":
		return "rating: {qmax: 6} (m3/h, on its plate)"
	case "heat":
		return "rating: {kw: 100} (the largest power, of its plate or of the boiler)"
	}
	return "rating: {amps: 100} (its fuse or breaker), or rating: {kva: 69} (the agreed capacity)"
}
