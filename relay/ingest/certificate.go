package ingest

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// signer is a signing certificate with what does not change about it: whom it
// names, its key, and from when to when its chain to our roots holds.
type signer struct {
	chain    []*x509.Certificate // leaf first
	peer     identity.Peer
	key      *ecdsa.PublicKey
	from, to time.Time // a chain to our roots holds in between; both zero: none was found yet
}

// signers remembers the signing certificates that batches came with: to read
// and check a chain anew costs as much as half a batch. It holds nothing that
// can be taken back: revocation is asked for at every use.
type signers struct {
	mu  sync.Mutex
	all map[signerName]*signer
}

type signerName struct{ gateway, serial string }

// signersMost is how many are remembered, at some 5 KiB each.
const signersMost = 4096

func (c *signers) get(n signerName) *signer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[n]
}

func (c *signers) put(n signerName, s *signer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= signersMost {
		c.all = map[signerName]*signer{}
	}
	c.all[n] = s
}

// readSigner reads what a chain (leaf first) says.
func readSigner(chain []*x509.Certificate) (*signer, error) {
	leaf := chain[0]
	p, err := identity.PeerOf(leaf)
	if err != nil {
		return nil, err
	}
	if err := identity.CheckPublicKey(leaf.PublicKey); err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("signing certificate: its key usage does not allow signatures")
	}
	return &signer{chain: chain, peer: p, key: leaf.PublicKey.(*ecdsa.PublicKey)}, nil // CheckPublicKey has seen that it is one
}

// holds makes sure that a chain to our roots holds at an instant. It gives the
// signer with what was found out.
func (g *signer) holds(roots *x509.CertPool, at time.Time) (*signer, error) {
	if !g.to.IsZero() && !at.Before(g.from) && !at.After(g.to) {
		return g, nil
	}
	chains, err := g.chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: identity.Pool(g.chain[1:]...), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, fmt.Errorf("signing certificate at %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	found := *g
	found.from, found.to = chains[0][0].NotBefore, chains[0][0].NotAfter
	for _, c := range chains[0][1:] {
		if c.NotBefore.After(found.from) {
			found.from = c.NotBefore
		}
		if c.NotAfter.Before(found.to) {
			found.to = c.NotAfter
		}
	}
	return &found, nil
}

// checkSigner makes sure that a signing certificate is of the gateway at the
// other end: it held at the instant at, chains to our signing roots, is not
// revoked, and names the same gateway and member.
func (s *Service) checkSigner(g *signer, peer identity.Peer, at time.Time) (*signer, error) {
	if g.peer.Application != peer.Application || g.peer.Member != peer.Member {
		return nil, fmt.Errorf("signing certificate is for %s of %s, the client certificate for %s of %s",
			g.peer.Application, g.peer.Member, peer.Application, peer.Member)
	}
	g, err := g.holds(s.c.SigningRoots, at)
	if err != nil {
		return nil, err
	}
	for _, c := range g.chain {
		if s.c.Revoked(c.SerialNumber) {
			return nil, errors.New("signing certificate is revoked: enrol the gateway again")
		}
	}
	return g, nil
}

// signed makes sure that the gateway at the other end signed a batch, with a
// certificate that it registered and that held when the batch was made. It
// gives the certificate's key.
func (s *Service) signed(ctx context.Context, b *batch.Signed, peer identity.Peer) (*ecdsa.PublicKey, error) {
	name := signerName{b.Gateway, new(big.Int).SetBytes(b.Serial).String()}
	if known := s.signers.get(name); known != nil {
		// What is remembered may be behind what the gateway registered since, at
		// another process perhaps: then what is stored counts.
		if key, err := s.signedBy(name, known, b, peer); err == nil {
			return key, nil
		}
	}
	var text string
	err := s.db.QueryRowContext(ctx, `SELECT chain FROM signing_certificate WHERE gateway = $1 AND serial = $2`, name.gateway, name.serial).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, refuse(http.StatusForbidden, "unknown_certificate", "the signing certificate is not known here: send PUT /gateway/v1/site first")
	} else if err != nil {
		return nil, err
	}
	chain, err := identity.ParseCertificates([]byte(text))
	if err != nil {
		return nil, err
	}
	g, err := readSigner(chain)
	if err != nil {
		return nil, refuse(http.StatusForbidden, "invalid_certificate", "%v", err)
	}
	return s.signedBy(name, g, b, peer)
}

func (s *Service) signedBy(name signerName, g *signer, b *batch.Signed, peer identity.Peer) (*ecdsa.PublicKey, error) {
	found, err := s.checkSigner(g, peer, b.Made)
	if err != nil {
		return nil, refuse(http.StatusForbidden, "invalid_certificate", "%v", err)
	}
	if err := b.Verify(found.key); err != nil {
		return nil, refuse(http.StatusBadRequest, "invalid_batch", "%v", err)
	}
	if found != g {
		s.signers.put(name, found)
	}
	return found.key, nil
}
