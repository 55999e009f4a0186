package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// statement makes the statement of baseline that an event calls for; ok is
// false where it calls for none. The bus's lock is held.
func (b *bus) statement(m *meter, reg *register, e energy.Event, raw uint64) (s energy.Statement, ok bool) {
	if s, ok = energy.StatementOf(e, reg.key, reg.cfg.Energy()); !ok {
		return s, false
	}
	if reg.cfg.Power { // what is counted is the integral, which begins at nothing
		s.Closing, s.Opening.Value = nil, 0
	}
	if e.Kind == energy.Opened && reg.breakKind != "" {
		s.Kind, s.Closing = reg.breakKind, reg.before
		if s.Closing != nil {
			s.Gap = energy.GapUnknown
		}
	}
	b.found(reg, b.unstated(m, reg, e))
	reg.breakKind, reg.before = "", nil
	b.describe(m, reg, &s)
	if s.Opening != nil && e.At.Equal(reg.last.At) {
		s.Opening.Raw = fmt.Sprintf("0x%X", raw)
		if !reg.deviceAt.IsZero() {
			s.Opening.DeviceTime, s.Opening.ClockOffset = reg.deviceAt.UTC(), reg.deviceAt.Sub(e.At).Milliseconds()
		}
		s.Acquisition.Latency = reg.took.Milliseconds()
	}
	if e.Kind == energy.ClockBack {
		s.Shift = reg.shift.Milliseconds()
	}
	if x := reg.stated; x != nil && e.Kind == energy.Exchanged {
		s.OldSerial, s.Note, s.Gap = x.exchange.OldSerial, x.exchange.Note, x.gap
		if x.exchange.NewSerial != "" {
			s.Serial = x.exchange.NewSerial
		}
		s.Opening.Source = energy.OperatorSource
		if s.Closing != nil {
			s.Closing.Source = energy.OperatorSource
		}
	} else if e.Kind == energy.Exchanged && s.Closing != nil {
		s.OldSerial = reg.oldSerial
		if s.Gap == "" {
			s.Gap = energy.GapUnknown
		}
	}
	reg.stated, reg.oldSerial = nil, ""
	return s, true
}

// unstated is V17 for a register that begins anew because the configuration is
// another one: nobody has said what became of the energy in between.
func (b *bus) unstated(m *meter, reg *register, e energy.Event) []validate.Finding {
	switch {
	case e.Kind != energy.Opened || reg.before == nil:
		return nil
	case reg.breakKind == energy.ExchangeStatement:
		return reg.check.Change(reg.before.ReadAt, e.At, "serial number "+m.cfg.Serial+" in the configuration", "the one before", b.words[:0])
	case reg.breakKind == energy.ConfigChangeStatement:
		return reg.check.Change(reg.before.ReadAt, e.At, "read as "+originWords(&b.cfg, m.cfg, reg.cfg)+", in another way than before", "no change", b.words[:0])
	}
	return nil
}

// describe fills in what a third party must know of the register.
func (b *bus) describe(m *meter, reg *register, s *energy.Statement) {
	s.Agent = "perseus-agent " + b.agent.opt.Version
	s.Config, s.Register, s.Serial = b.agent.opt.Config.Hash, originWords(&b.cfg, m.cfg, reg.cfg), m.cfg.Serial
	if reg.serial != "" {
		s.Serial = reg.serial
	}
	s.CT, s.VT, s.Primary, s.Resolution = m.cfg.CT, m.cfg.VT, m.cfg.Primary, reg.cfg.StepAt(max(0, reg.last.Value))
	if reg.cfg.Learnt {
		s.Resolution = max(1, reg.cfg.Step)
	}
	s.Multiplier = multiplier(reg.cfg)
	s.Supply(m.cfg.MPAN, m.cfg.MPRN)
	s.Acquisition = &energy.Acquisition{Endpoint: endpoint(b.cfg.URL), Poll: config.FormatDuration(m.cfg.Poll), Protocol: b.cfg.Driver}
	s.ClockSource = string(b.agent.opt.Clock.Status().Source)
	if reg.cfg.Power {
		s.Method = "power-integral"
	}
	if c, err := b.agent.opt.Config.Conversion(*m.cfg); err == nil && reg.key.Measure == energy.Gas {
		s.Factor, s.Corrected, s.Zone, s.ConvertedFrom = b.agent.gas.Factor(), m.cfg.Corrected, m.cfg.Zone, m.cfg.ConvertedFrom
		if f, err := c.Factor(); err == nil {
			s.VCF = f.String()
		}
	}
}

// multiplier is what the register is multiplied with for its transformers;
// empty where it is not.
func multiplier(r *config.Register) string {
	f, err := r.Transformers()
	if err != nil || r.Primary || f.Cmp(big.NewRat(1, 1)) == 0 {
		return ""
	}
	return f.RatString()
}

// endpoint is a bus's address without what may be secret in it.
func endpoint(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// state adds a statement to the register's chain.
func (b *bus) state(reg *register, s energy.Statement) {
	if reg.previous != ([32]byte{}) {
		s.Previous = hex.EncodeToString(reg.previous[:])
	}
	keyed, err := s.Keyed()
	if err != nil {
		b.log.Error("statement of baseline cannot be made", "meter", reg.key.Meter, "measure", reg.key.Measure.String(), "error", err)
		return
	}
	reg.previous = sha256.Sum256(keyed.Body)
	if by, ok := statedConversion(keyed); ok {
		reg.converts, reg.reconvert = &by, false
	}
	reg.seq++ // so that the hash is kept with the statement
	b.said = append(b.said, keyed)
	b.agent.recorder.wake()
}

// close states the last reading of registers that the configuration does not
// name any more, or makes out of others, and lets go of their states.
func (a *Agent) close() error {
	if err := a.undefine(); err != nil {
		return err
	}
	keys, err := a.opt.Store.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		why := "not in the configuration any more"
		if m, ok := a.opt.Config.Meter(k.Meter); ok && contains(m.Measures(), k.Measure) {
			if m.Virtual == nil {
				continue
			}
			why = "made of other meters from here on"
		}
		b, err := a.opt.Store.State(k)
		if err != nil || len(b) == 0 {
			continue
		}
		old, err := parseKept(b)
		if err != nil || old.base == nil {
			continue
		}
		s := energy.Statement{
			Kind: energy.ClosingStatement, Meter: k.Meter, Measure: k.Measure, Unit: k.Measure.BaseUnit(), Closing: old.base,
			Agent: "perseus-agent " + a.opt.Version, Config: a.opt.Config.Hash, Note: why,
		}
		if old.previous != ([32]byte{}) {
			s.Previous = hex.EncodeToString(old.previous[:])
		}
		keyed, err := s.Keyed()
		if err != nil {
			return err
		}
		a.recorder.closing(k, keyed)
		a.notes.add(a.started, k.Meter, fmt.Sprintf("%s is %s: its last reading, of %s, closes it.", k.Measure, why, old.base.ReadAt.Format(time.RFC3339)))
		a.log.Info("register closed", "meter", k.Meter, "measure", k.Measure.String(), "read_at", old.base.ReadAt)
	}
	return nil
}

func contains(all []energy.Measure, m energy.Measure) bool {
	for _, x := range all {
		if x == m {
			return true
		}
	}
	return false
}
