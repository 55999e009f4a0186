package demo

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// checkProvenance verifies a record with the public signing root alone.
func (d *demo) checkProvenance(raw json.RawMessage) ([]provenance.VerifiedStep, error) {
	r, err := provenance.Parse(d.scheme.TrustFramework(), raw)
	if err != nil {
		return nil, fmt.Errorf("the report's provenance: %w", err)
	}
	steps, err := r.Verify(provenance.Verifier{Roots: d.signingRoots, Now: time.Now})
	if err != nil {
		return nil, fmt.Errorf("the report's provenance: %w", err)
	}
	return steps, nil
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
