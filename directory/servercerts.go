package directory

import (
	"context"
	"crypto"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// ServerCertificates keeps a server certificate for its hosts fresh. The key
// is made in memory and never leaves it; each renewal has a new one.
type ServerCertificates struct {
	issue  func(ctx context.Context, pub crypto.PublicKey, hosts []string) (Certificate, error)
	hosts  []string
	now    func() time.Time
	logger *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	retry   time.Time // not before this after a failed renewal
}

// renewRetry is how long after a failed renewal the next one is tried.
const renewRetry = time.Minute

// ServerCertificates issues a certificate for the hosts in process, from the
// Server issuer, and returns its keeper. It fails when the first one cannot be
// issued.
func (s *Service) ServerCertificates(ctx context.Context, hosts ...string) (*ServerCertificates, error) {
	c := &ServerCertificates{issue: s.IssueServer, hosts: slices.Clone(hosts), now: s.Now, logger: s.Logger}
	if err := c.renew(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Certificate returns a certificate that is valid now, for identity.ServerTLS.
// Once half of its life is over it is replaced first; should that fail, the
// old one is returned for as long as it is valid.
func (c *ServerCertificates) Certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, leaf := c.now(), c.current.Leaf
	half := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
	if now.Before(half) || now.Before(c.retry) && now.Before(leaf.NotAfter) {
		return c.current, nil
	}
	// Handshakes wait meanwhile, so not for long.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := c.renew(ctx); err != nil {
		c.retry = now.Add(renewRetry)
		c.logger.Warn("server certificate not renewed", "hosts", c.hosts, "until", leaf.NotAfter, "error", err)
		if now.After(leaf.NotAfter) {
			return nil, err
		}
	}
	return c.current, nil
}

func (c *ServerCertificates) renew(ctx context.Context) error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	cert, err := c.issue(ctx, key.Public(), c.hosts)
	if err != nil {
		return err
	}
	c.current = &tls.Certificate{Certificate: [][]byte{cert.Leaf.Raw, cert.Issuer.Raw}, PrivateKey: key, Leaf: cert.Leaf}
	c.logger.Info("server certificate issued", "hosts", c.hosts, "until", cert.Leaf.NotAfter)
	return nil
}
