package energy

// What the scheme calls the origin of a value (scheme.md, assurance). The
// names are the last parts of its URLs: .../assurance/origin-method/Exact.
const (
	OriginExact   = "Exact"   // processed to accurate half-hours
	OriginDerived = "Derived" // may involve estimation
)

// How a Derived value was derived: .../assurance/origin-method-derived/Other.
const (
	DerivedArea  = "AreaOccupied"       // a share by the area occupied
	DerivedHeads = "NumberOfOccupants"  // a share by the number of occupants
	DerivedMeter = "AdditionalMetering" // from other meters: their sum, or a meter less its sub-meters
	DerivedOther = "Other"              // anything else: estimates, substitutes, power integrals, other shares
)

// How much of a window is there: .../assurance/missing-data/Complete.
const (
	DataComplete    = "Complete"
	DataMissing     = "Missing"
	DataSubstituted = "Substituted"
)

// Origin gives the scheme's originMethod and originMethodDerived of the
// half-hour; derived is "" where the method is Exact.
//
// Exact is what a meter counted, with boundaries known well enough: at least
// Interpolated, by a rule that looks at this meter only. All else is Derived,
// so that an estimate can never pass for a measurement (law 2). A Missing
// half-hour has no value and hence no origin: both are "".
func (h HalfHour) Origin() (method, derived string) {
	if h.Quality == Missing {
		return "", ""
	}
	switch h.Evidence.Rule {
	case RuleBracketed, RuleInterpolate, RuleImported, RuleInterval, RuleExchange:
		if h.Quality >= Interpolated {
			return OriginExact, ""
		}
	case RuleShareArea:
		return OriginDerived, DerivedArea
	case RuleShareHeads:
		return OriginDerived, DerivedHeads
	case RuleSum, RuleDifference, RuleShareMeter:
		return OriginDerived, DerivedMeter
	}
	return OriginDerived, DerivedOther
}

// MissingData gives the scheme's missingData of a window in which expected
// half-hours lie and present of them have a value, the worst of which is of
// the given quality. What is absent outweighs what was put in its place: a
// window with both is Missing. An empty window lacks nothing.
func MissingData(expected, present int, worst Quality) string {
	switch {
	case expected <= 0:
		return DataComplete
	case present < expected || worst == Missing:
		return DataMissing
	case worst == Substituted:
		return DataSubstituted
	default:
		return DataComplete
	}
}
