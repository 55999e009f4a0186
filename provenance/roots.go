package provenance

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// EmissionsRoots gives the gateways' own statements of the months that an
// emissions record's figures were worked out from, each checked to be signed by
// the gateway that the origin names, whole, and of a month of that origin. They
// are not opened: a bank learns nothing of the half-hours. Whoever may see these,
// the business or its carbon accountant, has the same statement in a record of
// its own, opened (CheckConsumption); where the roots agree the figures come from
// the half-hours that the gateway signed.
//
// A month without a statement is no error: gateways of before there were any, and
// months that were corrected by too little to be restated, have none.
func EmissionsRoots(steps []VerifiedStep) ([]month.Statement, error) {
	byID := map[string]VerifiedStep{}
	for _, s := range steps {
		byID[s.ID] = s
	}
	var out []month.Statement
	var wrong []error
	for _, origin := range steps {
		_, served := origin.Body[HalfHoursSHA256]
		list, named := origin.Body[HalfHoursStatements]
		if origin.Type != "origin" || served || !named {
			continue
		}
		var all []StatementProof
		if err := reread(list, &all); err != nil {
			return nil, fmt.Errorf("provenance: origin %s: %s: %w", origin.ID, HalfHoursStatements, err)
		}
		for _, p := range all {
			st, err := rootOf(origin, byID[p.Statement], p)
			if err == nil && slices.ContainsFunc(out, func(o month.Statement) bool {
				return o.Meter == st.Meter && o.Measure == st.Measure && o.Month == st.Month
			}) {
				err = fmt.Errorf("there is another one of the same meter in %s", st.Month)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("provenance: origin %s: statement %.40q: %w", origin.ID, p.Statement, err))
				continue
			}
			out = append(out, st)
		}
	}
	return out, errors.Join(wrong...)
}

func rootOf(origin, step VerifiedStep, p StatementProof) (month.Statement, error) {
	if step.Type != month.StepType {
		return month.Statement{}, errors.New("it is not in the record")
	}
	st, err := month.ReadStep(step.JSON)
	if err != nil {
		return st, err
	}
	gateway := origin.text("origin")
	details, _ := origin.Body["perseus:scheme"].(map[string]any)
	from, to, ok := period(details["meteringPeriod"])
	switch {
	case len(p.Proof) > 0:
		return st, errors.New("it is opened: half-hours can be told from it")
	case st.Gateway != gateway || step.Signed.Application != gateway:
		return st, fmt.Errorf("it is of %s, signed by %s: the figures are said to be of %s", st.Gateway, step.Signed.Application, gateway)
	case !slices.ContainsFunc(step.IncludedBy, func(s Signature) bool { return sameSignature(s, origin.Signed) }):
		return st, errors.New("it is not under the signature of who worked the figures out")
	case !ok || st.Month.Start.Before(from) || st.Month.End().After(to):
		return st, fmt.Errorf("it is of %s, which is outside of what the origin speaks of", st.Month)
	case len(st.Spans) != 1 || !st.Spans[0].From.Equal(st.Month.Start) || !st.Spans[0].To.Equal(st.Month.End()):
		return st, fmt.Errorf("it is of a part of %s", st.Month)
	}
	return st, nil
}
