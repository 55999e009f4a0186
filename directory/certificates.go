package directory

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/ocsp"
	"github.com/perseus-edge/perseus-edge/identity"
)

// Certificate is a certificate that the directory issued, with its issuer.
type Certificate struct {
	Leaf, Issuer *x509.Certificate
}

// PEM is the bundle: the leaf, then its issuer.
func (c Certificate) PEM() []byte { return identity.EncodeCertificates(c.Leaf, c.Issuer) }

// IssueClient issues a client certificate (12 months) to an application. Only
// the public key of the request (PEM) counts; every name comes from the
// directory.
func (s *Service) IssueClient(ctx context.Context, application string, csr []byte) (Certificate, error) {
	return s.issueApplication(ctx, ca.Client, application, "", csr)
}

// IssueSigning issues a signing certificate (12 months) to an application.
func (s *Service) IssueSigning(ctx context.Context, application string, csr []byte) (Certificate, error) {
	return s.issueApplication(ctx, ca.Signing, application, "", csr)
}

func (s *Service) issueApplication(ctx context.Context, h ca.Hierarchy, id, label string, csr []byte) (Certificate, error) {
	key, err := ca.RequestKey(csr)
	if err != nil {
		return Certificate{}, err
	}
	var c Certificate
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		a, err := application(ctx, tx, id)
		if err != nil {
			return err
		}
		m, err := member(ctx, tx, a.Member)
		if err != nil {
			return err
		}
		if err := s.roomForCertificate(ctx, tx, m.ID); err != nil {
			return err
		}
		c, err = s.issueMember(ctx, tx, h, holder{member: m.ID, application: a.ID, label: label},
			ca.Subject{URL: s.ApplicationURL(a.ID), Member: s.MemberURL(m.ID), Organisation: m.LegalName, Roles: a.Roles}, key)
		return err
	})
	return c, err
}

// IssueServer issues a server certificate (24 hours) for hosts: DNS names, and
// loopback addresses for demonstrations. The caller answers for the hosts.
func (s *Service) IssueServer(ctx context.Context, pub crypto.PublicKey, hosts []string) (c Certificate, err error) {
	if err := form.Hosts(hosts); err != nil { // not worth a transaction
		return Certificate{}, err
	}
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		c, err = s.IssueServerIn(ctx, tx, pub, hosts)
		return err
	})
	return c, err
}

// IssueServerIn is IssueServer within a transaction of InTx.
func (s *Service) IssueServerIn(ctx context.Context, tx *sql.Tx, pub crypto.PublicKey, hosts []string) (Certificate, error) {
	if err := form.Hosts(hosts); err != nil {
		return Certificate{}, err
	}
	if k, ok := pub.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return Certificate{}, fault.Invalid("server certificate: the key must be ECDSA on P-256")
	}
	now := s.Now()
	leaf, err := s.Authorities.Server.Leaf(ca.ServerTemplate(hosts, now, s.statusURLs(ca.Server)), pub, now)
	if err != nil {
		return Certificate{}, err
	}
	return Certificate{leaf, s.Authorities.Server.Issuer}, s.record(ctx, tx, ca.Server, holder{hosts: strings.Join(hosts, " ")}, leaf)
}

// holder says in the database whose a certificate is.
type holder struct{ member, application, gateway, hosts, label string }

func (s *Service) issueMember(ctx context.Context, tx *sql.Tx, h ca.Hierarchy, who holder, sub ca.Subject, pub crypto.PublicKey) (Certificate, error) {
	now, authority := s.Now(), s.Authorities.Of(h)
	if err := s.notRevoked(ctx, tx, who.member, pub); err != nil {
		return Certificate{}, err
	}
	t, err := ca.MemberTemplate(h, sub, now, s.statusURLs(h))
	if err != nil {
		return Certificate{}, err
	}
	leaf, err := authority.Leaf(t, pub, now)
	if err != nil {
		return Certificate{}, err
	}
	s.Logger.Info("certificate issued", "hierarchy", h, "holder", sub.URL, "serial", leaf.SerialNumber, "until", leaf.NotAfter)
	return Certificate{leaf, authority.Issuer}, s.record(ctx, tx, h, who, leaf)
}

// notRevoked makes sure that a key is of no certificate of the member that was
// revoked: it is perhaps in other hands.
func (s *Service) notRevoked(ctx context.Context, tx *sql.Tx, member string, pub crypto.PublicKey) error {
	all, err := texts(ctx, tx, `SELECT pem FROM directory_certificates WHERE member = $1 AND revoked_at IS NOT NULL`, member)
	if err != nil {
		return err
	}
	for _, pem := range all {
		cs, err := identity.ParseCertificates([]byte(pem))
		if err != nil {
			return err
		}
		if k, ok := pub.(*ecdsa.PublicKey); ok && k.Equal(cs[0].PublicKey) {
			return fault.Invalid("this key had a certificate that was revoked (serial %s), so it may be in other hands: make a new key, and a request with it", cs[0].SerialNumber)
		}
	}
	return nil
}

// record keeps a certificate. What was not recorded could not be revoked, so
// nothing is handed out before this succeeds.
func (s *Service) record(ctx context.Context, tx *sql.Tx, h ca.Hierarchy, who holder, c *x509.Certificate) error {
	holds := c.Subject.CommonName
	if who.hosts != "" {
		holds = who.hosts
	}
	s.audit(tx, audit.Event{Action: "certificate.issue", Subject: "certificate/" + c.SerialNumber.String(), Member: who.member,
		Detail: string(h) + " certificate for " + holds + ", until " + c.NotAfter.UTC().Format(time.RFC3339), After: c.Raw})
	_, err := tx.ExecContext(ctx, `INSERT INTO directory_certificates
		(serial, hierarchy, member, application, gateway, hosts, not_before, not_after, pem, label) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.SerialNumber.String(), string(h), null(who.member), null(who.application), null(who.gateway), who.hosts,
		c.NotBefore.Unix(), c.NotAfter.Unix(), string(identity.EncodeCertificates(c)), who.label)
	return err
}

// withSigning revokes what signing certificates a gateway has when the last of its
// client certificates has been: the gateway is revoked then (Standing), and nothing
// that it goes on signing shall count.
func (s *Service) withSigning(ctx context.Context, tx *sql.Tx, gateway, member string) error {
	serials, err := texts(ctx, tx, `UPDATE directory_certificates SET revoked_at = $1
		WHERE gateway = $2 AND hierarchy = $3 AND revoked_at IS NULL AND not_after > $1
		AND NOT EXISTS (SELECT 1 FROM directory_certificates c WHERE c.gateway = $2 AND c.hierarchy = $4 AND c.revoked_at IS NULL AND c.not_after > $1)
		RETURNING serial`, s.Now().Unix(), gateway, string(ca.Signing), string(ca.Client))
	for _, serial := range serials {
		s.audit(tx, audit.Event{Action: "certificate.revoke", Subject: "certificate/" + serial, Member: member, Detail: "signing certificate, with the last client certificate of gateway/" + gateway})
	}
	return err
}

// Revoke revokes a certificate for good: from now on it stands in its
// hierarchy's revocation list. Revoking twice is no error. ErrNotFound: this
// directory did not issue it.
func (s *Service) Revoke(ctx context.Context, serial *big.Int) error {
	return s.revoke(ctx, serial, "")
}

// revoke is Revoke, limited to certificates of one member unless that is empty.
func (s *Service) revoke(ctx context.Context, serial *big.Int, onlyMember string) error {
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		var h, owner, gateway string
		err := tx.QueryRowContext(ctx, `SELECT hierarchy, COALESCE(member, ''), COALESCE(gateway, '') FROM directory_certificates WHERE serial = $1`,
			serial.String()).Scan(&h, &owner, &gateway)
		if err != nil {
			return missing(err, "certificate", serial.String())
		}
		if onlyMember != "" && owner != onlyMember {
			return fmt.Errorf("certificate %s: %w", serial, fault.ErrNotFound)
		}
		also := h
		if gateway != "" {
			if err := lockGateway(ctx, tx, gateway); err != nil {
				return err
			}
			if h == string(ca.Client) {
				also = string(ca.Signing) // see withSigning
			}
		}
		// The lists' rows first: a process that is making a list holds it,
		// so a revocation is either in that list or marks it stale.
		if _, err := tx.ExecContext(ctx, `UPDATE directory_crls SET stale = TRUE WHERE hierarchy IN ($1, $2)`, h, also); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE directory_certificates SET revoked_at = $1 WHERE serial = $2 AND revoked_at IS NULL`,
			s.Now().Unix(), serial.String())
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err // it was revoked before
		}
		s.audit(tx, audit.Event{Action: "certificate.revoke", Subject: "certificate/" + serial.String(), Member: owner, Detail: h + " certificate"})
		if also != h {
			return s.withSigning(ctx, tx, gateway, owner)
		}
		return nil
	})
	if err == nil {
		s.Logger.Info("certificate revoked", "serial", serial)
	}
	return err
}

// CertificateStatus is what there is to say of a certificate by its serial number
// (decimal): not known where this directory has not issued it.
func (s *Service) CertificateStatus(ctx context.Context, h ca.Hierarchy, serial string) (ocsp.Status, error) {
	var revoked sql.NullInt64
	err := s.DB.QueryRowContext(ctx, `SELECT revoked_at FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`, serial, string(h)).Scan(&revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return ocsp.Status{}, nil
	}
	st := ocsp.Status{Known: true}
	if revoked.Valid {
		st.Revoked = time.Unix(revoked.Int64, 0)
	}
	return st, err
}

// ServerCertificate finds a server certificate; sql.ErrNoRows: there is none.
func (s *Service) ServerCertificate(ctx context.Context, serial *big.Int) (leaf *x509.Certificate, revoked bool, err error) {
	var text string
	err = s.DB.QueryRowContext(ctx, `SELECT pem, revoked_at IS NOT NULL FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`,
		serial.String(), string(ca.Server)).Scan(&text, &revoked)
	if err != nil {
		return nil, false, err
	}
	cs, err := identity.ParseCertificates([]byte(text))
	if err != nil {
		return nil, false, err
	}
	return cs[0], revoked, nil
}
