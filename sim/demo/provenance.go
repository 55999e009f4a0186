package demo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// checkReport verifies a report's record with the public signing root alone,
// and that its figures are those that a carbon accounting provider signed.
func (d *demo) checkReport(r *report) ([]provenance.VerifiedStep, error) {
	steps, err := d.verify(r)
	if err != nil {
		return nil, fmt.Errorf("the report's provenance: %w", err)
	}
	return steps, nil
}

func (d *demo) verify(r *report) ([]provenance.VerifiedStep, error) {
	record, err := provenance.Parse(d.scheme.TrustFramework(), r.Provenance)
	if err != nil {
		return nil, err
	}
	steps, err := record.Verify(provenance.Verifier{Roots: d.signingRoots, Now: time.Now})
	if err != nil {
		return nil, err
	}
	if errs := provenance.References(steps); errs != nil {
		return nil, errors.Join(errs...)
	}
	for _, s := range steps {
		if s.Type == "process" && !s.Signed.HasRole(d.scheme.Role(scheme.CAP)) {
			return nil, fmt.Errorf("%s signed a calculation and is no carbon accounting provider", s.Signed.Application)
		}
	}
	return steps, provenance.CheckEmissions(steps, r.Data)
}

// summary counts the kinds of step in the order in which they first come.
func summary(steps []provenance.VerifiedStep) (lines []string) {
	count := map[string]int{}
	var order []string
	for _, s := range steps {
		kind, _ := s.Body["type"].(string)
		if count[kind]++; count[kind] == 1 {
			order = append(order, kind)
		}
	}
	for _, k := range order {
		lines = append(lines, plural(count[k], k+" step"))
	}
	return lines
}

func certificate(c *tls.Certificate) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) { return c, nil }
}
