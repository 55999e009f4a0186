package server

import (
	"context"
	"crypto"
	"crypto/x509"
	"database/sql"
	"errors"
	"math/big"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// ACMEConfig says how the ACME server asks the members' servers, and how much
// it does for whom.
type ACMEConfig struct {
	Validator acme.Validator
	Limits    acme.Limits
}

// openACME makes the ACME server, from which members' servers get the
// certificates of the Server hierarchy.
func (s *Server) openACME(ctx context.Context) (err error) {
	v := s.ACME.Validator
	if v.Agent == "" {
		v.Agent = "perseus-edge directory (+" + s.BaseURL + "/)"
	}
	s.acme, err = acme.New(ctx, acme.Config{
		DB: s.DB, BaseURL: s.BaseURL + "/acme", Website: s.BaseURL + "/", Directory: acmeDirectory{s}, Validator: v, Limits: s.ACME.Limits,
		Now: s.Now, Logger: s.Logger, ClientAddress: s.ClientAddress,
	})
	return err
}

// acmeDirectory is the directory as its ACME server sees it.
type acmeDirectory struct{ s *Server }

// KnownHost and the rest are acme.Directory's.
func (d acmeDirectory) KnownHost(ctx context.Context, host string) ([]string, error) {
	return d.s.Listing.KnownHost(ctx, host)
}

func (d acmeDirectory) InTx(ctx context.Context, f func(*sql.Tx) error) error {
	return d.s.InTx(ctx, f)
}

func (d acmeDirectory) ServerCertificate(ctx context.Context, serial *big.Int) (leaf *x509.Certificate, revoked bool, err error) {
	return d.s.ServerCertificate(ctx, serial)
}

func (d acmeDirectory) IssueServer(ctx context.Context, tx *sql.Tx, pub crypto.PublicKey, hosts []string) (leaf, issuer *x509.Certificate, err error) {
	c, err := d.s.IssueServerIn(ctx, tx, pub, hosts)
	return c.Leaf, c.Issuer, err
}

func (d acmeDirectory) Revoke(ctx context.Context, serial *big.Int) error {
	err := d.s.Revoke(ctx, serial)
	if errors.Is(err, fault.ErrNotFound) {
		return sql.ErrNoRows
	}
	return err
}
