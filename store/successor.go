package store

import "github.com/perseus-edge/perseus-edge/energy"

// outcome is what becomes of a stored half-hour when another one comes for the
// same register and Start.
type outcome uint8

const (
	stays    outcome = iota // nothing changes
	noted                   // the same value: its evidence is brought up to date where it lies
	replaced                // a new version: the old one is kept, the new one is to be sent
	beside                  // nothing changes, but the one that came is kept as a version, too
)

// successor says what takes the place of old, a half-hour that is already
// stored, when k comes for the same register and Start. A version that is
// replaced is kept among the corrections (V10: both are there).
//
//   - The same value again (energy, quality, rule and register; two missing
//     ones are always the same) changes nothing, but for two things. Flags that
//     it has and old has not are added to old's, which makes a new version;
//     flags are never taken off a value: a rule that spoke has spoken. And its
//     evidence follows, without a new version (no figure has changed), where it
//     is what a virtual difference carries along, or of a Void one: that was made
//     anew of other samples, and its neighbours name them, too.
//   - Void takes the place of anything: the stored value is withdrawn. A missing
//     one is then marked RuleWithdrawn, by which the relay knows that it is to
//     forget what it was told before; of any other missing one it takes no notice.
//   - Otherwise by rank, and within a rank by quality; at equal quality the
//     later one (a corrected file, a re-read, a recalculation).
//
// A substitute that was put where nothing was known yet takes the evidence of the
// missing half-hour that comes for it: the samples around the break.
//
// So the outcome does not depend on the order in which own readings and values
// from elsewhere arrive, except between versions of the same rank and quality.
// Nor do the versions that are kept: what the register counted over a gap of which
// a file has told already goes to the corrections, as though it had come before.
func successor(k KeyedHalfHour, old *energy.HalfHour) (energy.HalfHour, outcome) {
	h := normal(k.offered())
	if !sameValue(&h, old) {
		a, b := rank(&h), rank(old)
		if k.Void || a > b || a == b && h.Quality >= old.Quality {
			return h, replaced
		}
		if a == ownEstimated && b == elsewhereActual {
			return *old, beside
		}
		if h.Quality == energy.Missing && old.Quality == energy.Substituted && !evident(old) && evident(&h) {
			next := *old
			next.Evidence, next.Evidence.Rule = h.Evidence, old.Evidence.Rule
			return next, noted
		}
		return *old, stays
	}
	next := *old
	if carries(&h) || k.Void && h.Quality != energy.Missing {
		next.Evidence = h.Evidence
		next.Evidence.Rule = old.Evidence.Rule // of a missing one it may be another; a withdrawal stays one
	}
	next.Flags |= h.Flags
	switch {
	case next.Flags != old.Flags:
		return next, replaced
	case next.Evidence != old.Evidence:
		return next, noted
	}
	return *old, stays
}

// Stands gives what the store holds once k was committed where old was stored;
// old is nil where nothing was. Who works with half-hours that are not committed
// yet sees by it what others will read.
func (k KeyedHalfHour) Stands(old *energy.HalfHour) energy.HalfHour {
	if old == nil {
		return normal(k.offered())
	}
	h, _ := successor(k, old)
	return h
}

// carries reports whether a half-hour's evidence is more than evidence: a
// virtual difference keeps there what it could not deduct yet, also of a missing
// half-hour (energy/virtual).
func carries(h *energy.HalfHour) bool {
	return evident(h) && (h.Quality == energy.Missing || h.Evidence.Rule == energy.RuleDifference)
}

// evident reports whether a half-hour has samples for evidence.
func evident(h *energy.HalfHour) bool {
	return !isNoSample(h.Evidence.First) || !isNoSample(h.Evidence.Last)
}

// offered gives the half-hour as it would be stored.
func (k KeyedHalfHour) offered() energy.HalfHour {
	h := k.HalfHour
	if k.Void && h.Quality == energy.Missing {
		h.Evidence.Rule = energy.RuleWithdrawn
	}
	return h
}

func sameValue(h, old *energy.HalfHour) bool {
	if h.Quality == energy.Missing && old.Quality == energy.Missing {
		return h.Evidence.Rule != energy.RuleWithdrawn || old.Evidence.Rule == energy.RuleWithdrawn
	}
	return h.Energy == old.Energy && h.Quality == old.Quality && h.Evidence.Rule == old.Evidence.Rule && h.Cumulative == old.Cumulative
}

// rank orders where values come from, from worst to best:
//
//	missing
//	substituted        put in the place of a value by rule (E2, E3, E5)
//	elsewhere, marked  an estimate from a file or a feed
//	own, estimated     the register's exact advance over a gap, spread or shaped (E1, E4), and integrals of power
//	elsewhere, actual  what a file or a feed states was measured in this very half-hour
//	own, interpolated  from samples of the register around it
//	own, measured
//
// An actual that arrives late is thus the first thing that fills a gap
// (feeds.md 3.4, substitution order 1) and never disturbs what the gateway read
// for itself.
func rank(h *energy.HalfHour) int {
	elsewhere := false
	switch h.Evidence.Rule {
	case energy.RuleImported, energy.RuleImportedEst, energy.RuleInterval:
		elsewhere = true
	}
	switch {
	case h.Quality <= energy.Substituted:
		return int(h.Quality)
	case elsewhere && h.Quality == energy.Estimated:
		return 2
	case h.Quality == energy.Estimated:
		return ownEstimated
	case elsewhere:
		return elsewhereActual
	default:
		return 5
	}
}

const (
	ownEstimated    = 3
	elsewhereActual = 4
)
