package energy

import "testing"

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		rule            Rule
		quality         Quality
		method, derived string
	}{
		{RuleNone, Missing, "", ""},
		{RuleBracketed, Missing, "", ""},
		{RuleNone, Measured, OriginDerived, DerivedOther},
		{RuleBracketed, Measured, OriginExact, ""},
		{RuleInterpolate, Interpolated, OriginExact, ""},
		{RuleSpread, Estimated, OriginDerived, DerivedOther},
		{RuleImported, Measured, OriginExact, ""},
		{RuleImported, Interpolated, OriginExact, ""},
		{RuleImported, Estimated, OriginDerived, DerivedOther},
		{RuleImportedEst, Estimated, OriginDerived, DerivedOther},
		{RulePower, Estimated, OriginDerived, DerivedOther},
		{RuleCheckMeter, Substituted, OriginDerived, DerivedOther},
		{RuleLinear, Substituted, OriginDerived, DerivedOther},
		{RuleProfileScaled, Estimated, OriginDerived, DerivedOther},
		{RuleProfile, Substituted, OriginDerived, DerivedOther},
		{RuleExchange, Measured, OriginExact, ""},
		{RuleExchange, Interpolated, OriginExact, ""},
		{RuleExchange, Estimated, OriginDerived, DerivedOther},
		{RuleExchange, Substituted, OriginDerived, DerivedOther},
		{RuleSum, Measured, OriginDerived, DerivedMeter},
		{RuleDifference, Interpolated, OriginDerived, DerivedMeter},
		{RuleShareArea, Measured, OriginDerived, DerivedArea},
		{RuleShareHeads, Estimated, OriginDerived, DerivedHeads},
		{RuleShareOther, Measured, OriginDerived, DerivedOther},
		{RuleShareMeter, Measured, OriginDerived, DerivedMeter},
		{RuleInterval, Measured, OriginExact, ""},
		{RuleInterval, Substituted, OriginDerived, DerivedOther},
		{200, Measured, OriginDerived, DerivedOther}, // a rule of a later version is not taken for a measurement
	} {
		h := HalfHour{Quality: c.quality, Evidence: Evidence{Rule: c.rule}}
		if method, derived := h.Origin(); method != c.method || derived != c.derived {
			t.Errorf("rule %d, %s: %q %q, want %q %q", c.rule, c.quality, method, derived, c.method, c.derived)
		}
	}
}

func TestMissingData(t *testing.T) {
	for _, c := range []struct {
		expected, present int
		worst             Quality
		want              string
	}{
		{0, 0, Missing, "Complete"},
		{-1, 0, Missing, "Complete"},
		{1, 0, Missing, "Missing"},
		{1, 1, Missing, "Missing"},
		{1, 1, Measured, "Complete"},
		{48, 47, Measured, "Missing"},
		{48, 47, Substituted, "Missing"},
		{48, 48, Substituted, "Substituted"},
		{48, 48, Estimated, "Complete"},
		{48, 49, Interpolated, "Complete"},
	} {
		if got := MissingData(c.expected, c.present, c.worst); got != c.want {
			t.Errorf("MissingData(%d, %d, %s) = %s, want %s", c.expected, c.present, c.worst, got, c.want)
		}
	}
}
