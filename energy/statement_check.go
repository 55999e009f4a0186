package energy

import (
	"errors"
	"fmt"
	"time"
)

// Supply notes whose supply the register counts: an MPAN (electricity) or an
// MPRN (gas), and whether its check digit is right. Empty ones change nothing.
func (s *Statement) Supply(mpan, mprn string) {
	if mpan == "" && mprn == "" {
		return
	}
	s.MPAN, s.MPRN = mpan, mprn
	ok := s.digitsRight()
	s.CheckDigit = &ok
}

func (s Statement) digitsRight() bool {
	if s.MPAN != "" {
		return CheckMPAN(s.MPAN) == nil
	}
	return CheckMPRN(s.MPRN) == nil
}

// check says what is wrong with a statement, before it is written or after it
// was read.
func (s Statement) check() error {
	for _, r := range []*Reading{s.Opening, s.Closing} {
		if r == nil {
			continue
		}
		switch {
		case r.Value < 0 || r.ReadAt.Location() != time.UTC || r.DeviceTime.Location() != time.UTC:
			return errors.New("statement of baseline: a reading is negative or its time is not UTC")
		case r.Source != "" && r.Source != OperatorSource:
			return fmt.Errorf("statement of baseline: a reading's source is %q: it is %q or left out", r.Source, OperatorSource)
		case !r.Quality.Valid():
			return errors.New("statement of baseline: a reading's quality is not known")
		}
	}
	switch s.Kind {
	case OpeningStatement, ClosingStatement, ExchangeStatement, ResetStatement, RolloverStatement, ConfigChangeStatement, ClockStatement:
	default:
		return fmt.Errorf("statement of baseline: unknown kind %q", s.Kind)
	}
	switch s.Gap {
	case "", GapCounted, GapEstimated, GapUnknown:
	default:
		return fmt.Errorf("statement of baseline: unknown gap %q", s.Gap)
	}
	switch {
	case s.Meter == "" || !s.Measure.Valid() || s.Unit != s.Measure.BaseUnit():
		return errors.New("statement of baseline: meter, measure and its base unit must be given")
	case s.Kind != ClosingStatement && s.Opening == nil:
		return fmt.Errorf("statement of baseline: %q needs an opening reading", s.Kind)
	case s.Kind == ClosingStatement && s.Closing == nil:
		return errors.New("statement of baseline: \"closing\" needs a closing reading")
	case s.Gap != "" && (s.Opening == nil || s.Closing == nil):
		return errors.New("statement of baseline: a gap lies between a closing and an opening reading: one is absent")
	case s.Shift != 0 && s.Kind != ClockStatement:
		return fmt.Errorf("statement of baseline: %q has no shift_ms: only \"clock\" has", s.Kind)
	case s.Modulus < 0 || s.Resolution < 0 || s.Acquisition != nil && s.Acquisition.Latency < 0:
		return errors.New("statement of baseline: modulus, resolution and latency are not negative")
	}
	return s.checkSupply()
}

func (s Statement) checkSupply() error {
	switch {
	case s.MPAN != "" && s.Measure == Gas || s.MPRN != "" && s.Measure != Gas:
		return errors.New("statement of baseline: an MPAN is of electricity, an MPRN of gas")
	case s.Measure != Gas && (s.Corrected || s.VCF != "" || s.Zone != "" || !s.ConvertedFrom.IsZero()):
		return errors.New("statement of baseline: corrected, vcf, zone and converted_from are of gas")
	case s.ConvertedFrom.Location() != time.UTC:
		return errors.New("statement of baseline: converted_from is not UTC")
	case (s.MPAN != "" || s.MPRN != "") != (s.CheckDigit != nil):
		return errors.New("statement of baseline: check_digit_ok stands beside an MPAN or MPRN, and only there")
	case s.CheckDigit != nil && *s.CheckDigit != s.digitsRight():
		return errors.New("statement of baseline: check_digit_ok is not what the digits say")
	}
	return nil
}
