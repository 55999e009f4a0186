package main

import (
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
	"github.com/perseus-edge/perseus-edge/energy"
)

// checks compares a meter's registers with one another: import with export,
// the total with its phases, energy with power. What its template does not
// hold is said, so that silence is not taken for agreement.
func (p *prober) checks(b config.Bus, pt *patient) (found []advice) {
	say := func(wrong bool, format string, args ...any) {
		found = append(found, advice{Bus: b.ID, Meter: pt.meter.ID, Says: fmt.Sprintf(format, args...), Wrong: wrong})
	}
	moved := map[energy.Measure]bool{}
	for i, r := range pt.meter.Registers {
		if seen := pt.seen(i); !r.Power && seen.Apart > 0 {
			sense, _ := doctor.Judge(seen, r.MaxPower)
			moved[r.Measure] = sense == doctor.Moves
		}
	}
	power, phases, ok := pt.power(0)
	after, _, later := pt.power(1)
	way := doctor.Unknown
	if ok && later {
		way = doctor.WayOf(power, after)
	}
	turned, sure := doctor.Flow(moved[energy.Import], moved[energy.Export], way, pt.meter.Template != "")
	if says := doctor.Turned(phases); says != "" && !sure {
		turned = says
	}
	if turned != "" {
		say(sure, "%s", turned)
	}
	if !pt.answers() {
		return found
	}
	if lacks := pt.lacks(); lacks != "" {
		say(false, "%s", lacks)
	}
	if !ok {
		return found
	}
	if says := doctor.Phases(power, phases); says != "" {
		say(true, "%s", says)
	}
	if !later || turned != "" {
		return found
	}
	for i, r := range pt.meter.Registers {
		seen := pt.seen(i)
		out := r.Measure == energy.Export
		if r.Power || seen.Apart <= 0 || r.Measure != energy.Import && !out || out != (way == doctor.Out) || way == doctor.Unknown {
			continue
		}
		c := doctor.Advance(seen.Second.Value-seen.First.Value, r.StepAt(seen.Second.Value), power, after, seen.Apart)
		if c.Says != "" {
			say(c.Done, "%s against power: %s", r.Measure, c.Says)
		}
	}
	return found
}

// power gives the meter's own power at the first or second reading, and its
// phases', each in W.
func (pt *patient) power(k int) (total int64, phases []int64, ok bool) {
	got := byPoint(pt.live[k], len(pt.livePoints()))
	if len(got) == 0 || got[0].Err != nil {
		return 0, nil, false
	}
	for _, g := range got[1:] {
		if g.Err != nil {
			return got[0].Sample.Value, nil, true
		}
		phases = append(phases, g.Sample.Value)
	}
	return got[0].Sample.Value, phases, true
}

// answers reports whether any register was read.
func (pt *patient) answers() bool {
	for _, r := range pt.first {
		if r.Err == nil {
			return true
		}
	}
	return false
}

// lacks says which checks cannot be done, and why.
func (pt *patient) lacks() string {
	m := pt.meter
	var what []string
	switch {
	case m.Type() != "electricity", allPower(m):
		return ""
	case m.Template == "" && m.CheckPower != nil:
		return ""
	case m.SunSpec != nil:
		return "not checked against its power and phases: that is not done for SunSpec devices"
	case m.Template == "":
		return "not checked against its power and phases: its registers are given by hand, and only a template knows where those are; check_power says where its power is"
	case pt.signs.Power == nil:
		what = append(what, "power", "phases")
	case len(pt.signs.Phases) == 0 && threePhase(m.Template):
		what = append(what, "phases")
	}
	if len(what) > 0 {
		return fmt.Sprintf("not checked against its %s: the template %s does not say where they are", strings.Join(what, " and "), m.Template)
	}
	if got := byPoint(pt.live[0], len(pt.livePoints())); got[0].Err != nil {
		return fmt.Sprintf("not checked against its power: %v", got[0].Err)
	}
	return ""
}

func allPower(m config.Meter) bool {
	for _, r := range m.Registers {
		if !r.Power {
			return false
		}
	}
	return true
}

func threePhase(template string) bool {
	t, err := config.TemplateNamed(template)
	return err == nil && t.Phases == 3
}
