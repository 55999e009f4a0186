package directory

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
)

// A gateway may get so many certificates of a hierarchy in any 24 hours,
// enrolment included: enough for an installer who begins again, too few to
// fill the database with a stolen key.
const (
	RenewMost = 6
	renewSpan = 24 * time.Hour
)

// TooOften is the error of a renewal beyond renewMost.
type TooOften struct{ Wait time.Duration }

// Error says how long to wait.
func (e *TooOften) Error() string {
	return fmt.Sprintf("too many certificates in a day: the next one in %s", e.Wait)
}

// Renew gives the gateway whose client certificate was shown a new certificate
// of a hierarchy (Client or Signing) for the key of a request (PEM). As at
// enrolment only that key counts: gateway, member and application are the
// directory's. The key must be new; the same request again, whose answer was
// lost, gets the same certificate for a day.
//
// The earlier certificates hold until their own end: a gateway that has not
// got the answer still has an identity, and what the old signing certificate
// signed stays proven. ErrInvalid: the request. *fault.Refusal: the shown
// certificate does not entitle to anything, in words for the gateway's owner.
// *tooOften: beyond the allowance.
func (s *Service) Renew(ctx context.Context, shown *x509.Certificate, h ca.Hierarchy, csr []byte) (Certificate, error) {
	if h != ca.Client && h != ca.Signing {
		return Certificate{}, fmt.Errorf("hierarchy %s: %w", h, fault.ErrNotFound)
	}
	key, err := ca.RequestKey(csr)
	if err != nil {
		return Certificate{}, err
	}
	ctx = audit.WithActor(ctx, "gateway:"+strings.TrimPrefix(shown.Subject.CommonName, s.GatewayURL("")))
	var c Certificate
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		g, err := s.entitled(ctx, tx, shown)
		if err != nil {
			return err
		}
		again, err := s.renewedBefore(ctx, tx, g.ID, h, shown, key)
		if err != nil || again != nil {
			c = Certificate{again, s.Authorities.Of(h).Issuer}
			return err
		}
		m, err := member(ctx, tx, g.Member)
		if err != nil {
			return err
		}
		c, err = s.issueMember(ctx, tx, h, holder{member: m.ID, application: g.Application, gateway: g.ID},
			ca.Subject{URL: s.GatewayURL(g.ID), Member: s.MemberURL(m.ID), Organisation: m.LegalName}, key)
		return err
	})
	if err != nil {
		return Certificate{}, err
	}
	return c, nil
}

// entitled finds the gateway of a client certificate that was shown, and locks
// both against renewals and revocations beside this one.
func (s *Service) entitled(ctx context.Context, tx *sql.Tx, shown *x509.Certificate) (Gateway, error) {
	var id, owner, pem string
	var revoked sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT COALESCE(gateway, '') FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`,
		shown.SerialNumber.String(), string(ca.Client)).Scan(&id)
	if err == nil && id != "" {
		err = lockGateway(ctx, tx, id)
	}
	if err == nil {
		// A statement that changes nothing: it takes the row's lock on PostgreSQL
		// and the writer's lock on SQLite.
		err = tx.QueryRowContext(ctx, `UPDATE directory_certificates SET hosts = hosts WHERE serial = $1 AND hierarchy = $2
			RETURNING COALESCE(gateway, ''), COALESCE(member, ''), pem, revoked_at`, shown.SerialNumber.String(), string(ca.Client)).Scan(&id, &owner, &pem, &revoked)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && pem != string(identity.EncodeCertificates(shown)):
		return Gateway{}, fault.Forbid("unknown_certificate", "This directory has no record of the certificate that was shown. Enrol the gateway again with a new code.")
	case err != nil:
		return Gateway{}, err
	case revoked.Valid:
		return Gateway{}, fault.Forbid("certificate_revoked", "The gateway's certificate was revoked on "+
			time.Unix(revoked.Int64, 0).UTC().Format(time.DateOnly)+". Ask for a new code and enrol the gateway again.")
	case id == "":
		return Gateway{}, fault.Forbid("not_a_gateway", "The certificate that was shown is an application's. Only gateways renew here; an application sends a CSR with its member's token.")
	}
	g, err := s.gateway(ctx, tx, id)
	if err == nil && g.Member != owner {
		err = fault.Forbid("other_member", "The gateway belongs to another member than its certificate says. Ask for a new code and enrol it again.")
	}
	return g, err
}

// renewedBefore looks through the gateway's certificates that have not ended:
// one of this hierarchy that was issued for this very key within a day is the
// answer; any other use of the key, or too many certificates, is an error.
func (s *Service) renewedBefore(ctx context.Context, tx *sql.Tx, gateway string, h ca.Hierarchy, shown *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	now := s.Now()
	since := now.Add(-renewSpan - ca.Backdate).Unix()
	rows, err := tx.QueryContext(ctx, `SELECT hierarchy, not_before, revoked_at IS NOT NULL, pem FROM directory_certificates
		WHERE gateway = $1 AND not_after >= $2 ORDER BY not_before, serial`, gateway, now.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	recent, oldest := 0, int64(0)
	for rows.Next() {
		var of, pem string
		var from int64
		var revoked bool
		if err := rows.Scan(&of, &from, &revoked, &pem); err != nil {
			return nil, err
		}
		cs, err := identity.ParseCertificates([]byte(pem))
		if err != nil {
			return nil, err
		}
		if key.Equal(cs[0].PublicKey) {
			if of == string(h) && !revoked && from > since && !cs[0].Equal(shown) {
				return cs[0], nil
			}
			return nil, fault.Invalid("this key has had a certificate before: make a new key")
		}
		if of == string(h) && from > since {
			if recent++; recent == 1 {
				oldest = from
			}
		}
	}
	if err := rows.Err(); err != nil || recent < RenewMost {
		return nil, err
	}
	return nil, &TooOften{time.Unix(oldest, 0).Sub(time.Unix(since, 0)) + time.Second}
}
