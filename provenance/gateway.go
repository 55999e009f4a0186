package provenance

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// FromStatement makes the record that a gateway's signed statement of a month
// is: one step under its signature. chain is that of its signing certificate,
// leaf first. It also gives the step's identifier.
func FromStatement(trustFramework string, s month.Signed, chain []*x509.Certificate) (*Record, string, error) {
	if s.Framework != trustFramework {
		return nil, "", fmt.Errorf("provenance: the gateway's statement is of the trust framework %q, not of %q", s.Framework, trustFramework)
	}
	if len(chain) == 0 || chain[0].SerialNumber.String() != s.Serial {
		return nil, "", fmt.Errorf("provenance: the gateway's statement is signed with certificate %s, which is not at hand", s.Serial)
	}
	count := 0
	raw, err := json.Marshal(s.List())
	if err != nil {
		return nil, "", err
	}
	l, err := parseList(raw, "steps", 1, &count)
	if err != nil {
		return nil, "", err
	}
	r := New(trustFramework)
	r.signed = l
	r.addChain(chain)
	b, err := base64.URLEncoding.DecodeString(s.Step)
	if err != nil {
		return nil, "", fmt.Errorf("provenance: the gateway's statement: %w", err)
	}
	var head struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, "", fmt.Errorf("provenance: the gateway's statement: %w", err)
	}
	return r, head.ID, r.err
}
