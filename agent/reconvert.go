package agent

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// restoreConversion looks up what the statements say of how a gas register's
// volume becomes energy, and whether it is configured in another way now. Then
// that is to be stated: what was worked out before keeps its way, and what
// comes after the statement has the new one.
func (a *Agent) restoreConversion(m *meter, r *register) {
	if r.key.Measure != energy.Gas {
		return
	}
	for st, err := range a.opt.Store.Statements(&r.key) {
		if by, ok := statedConversion(st); err == nil && ok {
			r.converts = &by
		}
	}
	by, err := a.opt.Config.Conversion(*m.cfg)
	if err != nil {
		return
	}
	factor, err := by.Factor()
	if err != nil {
		return
	}
	now := gas.Meter{Zone: by.Zone, Corrected: by.Corrected, VCF: factor}
	since := m.cfg.ConvertedFrom
	r.reconvert = r.converts == nil || r.converts.meter != now || !since.IsZero() && !since.Equal(r.converts.since)
}

// reconverted states that a volume becomes energy in another way, once the
// register was read: before was its newest reading until then. The register
// is counted on as ever. The bus's lock is held.
func (b *bus) reconverted(m *meter, reg *register, before, s energy.Sample, raw uint64) {
	if !reg.reconvert || before.At.IsZero() || !s.At.After(before.At) {
		return
	}
	if base, ok := reg.counter.Base(); !ok || !base.At.Equal(s.At) {
		return // it is not believed yet, or comes late
	}
	st, _ := energy.StatementOf(energy.Event{Kind: energy.Opened, At: s.At, After: s.Value, BeforeAt: before.At, Before: before.Value}, reg.key, reg.cfg.Energy())
	st.Kind, st.Gap = energy.ConfigChangeStatement, energy.GapCounted
	b.describe(m, reg, &st)
	if s.At.Equal(reg.last.At) {
		st.Opening.Raw = fmt.Sprintf("0x%X", raw)
		st.Acquisition.Latency = reg.took.Milliseconds()
	}
	b.stateConversion(m, reg, st)
}

// reconvertedIntervals does the same for a feed of half-hours, which has no
// register to read: what is counted are its totals, which begin at nothing.
func (b *bus) reconvertedIntervals(m *meter, reg *register, start, now time.Time) {
	if !reg.reconvert {
		return
	}
	e := energy.Event{Kind: energy.Opened, At: start, Before: -1}
	if reg.converts != nil {
		e.At = now.Truncate(time.Millisecond)
	}
	st, _ := energy.StatementOf(e, reg.key, reg.cfg.Energy())
	if reg.converts != nil {
		st.Kind = energy.ConfigChangeStatement
	}
	b.describe(m, reg, &st)
	st.Method = energy.IntervalTotals
	b.stateConversion(m, reg, st)
}

func (b *bus) stateConversion(m *meter, reg *register, st energy.Statement) {
	if reg.converts != nil {
		since := "what was worked out before stays"
		if !st.ConvertedFrom.IsZero() {
			since = "as configured, from " + st.ConvertedFrom.In(energy.London()).Format("15:04 on 2 January 2006") + " on"
		}
		b.agent.notes.add(st.At(), m.cfg.ID, fmt.Sprintf("Its volume becomes energy in another way: %s; %s.", conversionWords(st), since))
		b.log.Info("gas is converted in another way", "meter", m.cfg.ID, "corrected", st.Corrected, "vcf", st.VCF, "zone", st.Zone)
	}
	b.state(reg, st)
	reg.reconvert = false
}

func conversionWords(s energy.Statement) string {
	zone := "no zone"
	if s.Zone != "" {
		zone = "zone " + s.Zone
	}
	if s.Corrected {
		return "the meter corrects it, " + zone
	}
	return "volume correction factor " + s.VCF + ", " + zone
}
