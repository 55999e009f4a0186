package ingest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// checkSigner makes sure that chain (leaf first) is a signing certificate of
// the gateway at the other end: it held at the instant at, chains to our
// signing roots, is not revoked, and names the same gateway and member.
func (s *Service) checkSigner(chain []*x509.Certificate, peer identity.Peer, at time.Time) (*ecdsa.PublicKey, error) {
	leaf := chain[0]
	p, err := identity.PeerOf(leaf)
	if err != nil {
		return nil, err
	}
	if p.Application != peer.Application || p.Member != peer.Member {
		return nil, fmt.Errorf("signing certificate is for %s of %s, the client certificate for %s of %s",
			p.Application, p.Member, peer.Application, peer.Member)
	}
	if err := identity.CheckPublicKey(leaf.PublicKey); err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("signing certificate: its key usage does not allow signatures")
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: s.c.SigningRoots, Intermediates: identity.Pool(chain[1:]...), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("signing certificate at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	for _, c := range chain {
		if s.c.Revoked(c.SerialNumber) {
			return nil, errors.New("signing certificate is revoked: enrol the gateway again")
		}
	}
	return leaf.PublicKey.(*ecdsa.PublicKey), nil // CheckPublicKey has seen that it is one
}
