package directory

import (
	"context"
	"crypto/x509"
	"database/sql"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
)

const GuessSweep = guessSweep

var Mark = mark

func (s *Service) Audit(tx *sql.Tx, e audit.Event) { s.audit(tx, e) }

func (s *Service) GoodCertificates(ctx context.Context, tx *sql.Tx, gateway string) (map[ca.Hierarchy][]*x509.Certificate, error) {
	return s.goodCertificates(ctx, tx, gateway)
}
