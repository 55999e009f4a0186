package directory

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
)

// Enrolment is what a gateway gets for its code.
type Enrolment struct {
	Gateway, Member Named
	Client, Signing Certificate
}

// Named is a thing with its URL and its name.
type Named struct{ URL, Name string }

// Enroll is EnrollAs for a gateway that says nothing of itself.
func (s *Service) Enroll(ctx context.Context, code string, clientCSR, signingCSR []byte) (Enrolment, error) {
	return s.EnrollAs(ctx, "", code, clientCSR, signingCSR)
}

// EnrollAs exchanges a one-time code and two requests (PEM) for a client and a
// signing certificate of the code's gateway. The code is used up only if both
// certificates are issued and recorded. The same code with the same two keys
// again, whose answer was lost, gets the same certificates while the code
// would still be good.
//
// as is the URL of the gateway that the device has been until now; empty: none,
// or it does not mind. A code that is another gateway's is then refused and
// stays good: what was measured for one business shall not be sent for another
// by a slip of the pen.
//
// identity.ErrMistyped: not a code, whoever asks. ErrCode: unknown, used or
// expired. ErrInvalid: a request is not acceptable, which leaves the code
// untouched. *fault.Refusal: it is another gateway's.
func (s *Service) EnrollAs(ctx context.Context, as, code string, clientCSR, signingCSR []byte) (Enrolment, error) {
	code, err := identity.ParseEnrolCode(code)
	if err != nil {
		return Enrolment{}, err
	}
	clientKey, err := ca.RequestKey(clientCSR)
	if err != nil {
		return Enrolment{}, fmt.Errorf("client_csr: %w", err)
	}
	signingKey, err := ca.RequestKey(signingCSR)
	if err != nil {
		return Enrolment{}, fmt.Errorf("signing_csr: %w", err)
	}
	if clientKey.Equal(signingKey) {
		return Enrolment{}, fault.Invalid("client_csr and signing_csr must have different keys")
	}
	hashed, err := CodeHash(code)
	if err != nil {
		return Enrolment{}, err
	}
	var e Enrolment
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		id, used, err := s.takeCode(ctx, tx, hashed)
		if err != nil {
			return err
		}
		g, err := s.gateway(ctx, tx, id)
		if err != nil {
			return err
		}
		m, err := member(ctx, tx, g.Member)
		if err != nil {
			return err
		}
		sub := ca.Subject{URL: s.GatewayURL(g.ID), Member: s.MemberURL(m.ID), Organisation: m.LegalName}
		e.Gateway, e.Member = Named{sub.URL, g.Name}, Named{sub.Member, m.LegalName}
		if used {
			return s.again(ctx, tx, g, clientKey, signingKey, &e)
		}
		if as != "" && !strings.EqualFold(as, sub.URL) {
			return fault.Clash("other_gateway", fmt.Sprintf("This code is for gateway %s of %s, this device is %s. The code is still good: use it on the right device, or have this one give up its present identity.",
				sub.URL, m.LegalName, form.Cut(as, 100)))
		}
		if err := s.unused(ctx, tx, clientKey, signingKey, g.ID); err != nil {
			return err
		}
		who := holder{member: m.ID, application: g.Application, gateway: g.ID}
		if e.Client, err = s.issueMember(ctx, tx, ca.Client, who, sub, clientKey); err != nil {
			return err
		}
		if e.Signing, err = s.issueMember(ctx, tx, ca.Signing, who, sub, signingKey); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `UPDATE directory_gateways SET enrolled_at = $1 WHERE id = $2`, s.Now().Unix(), id); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "gateway.enrol", Subject: "gateway/" + g.ID, Member: g.Member, Detail: "enrolled with its code"})
		return nil
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, nil
}

// takeCode finds a code, locks its gateway, and uses it up: of any number of
// requests at once, one gets it unused. Of a code that was used already, and would
// still be good, used is true.
func (s *Service) takeCode(ctx context.Context, tx *sql.Tx, hashed string) (gateway string, used bool, err error) {
	now := s.Now().Unix()
	err = tx.QueryRowContext(ctx, `SELECT gateway FROM directory_codes WHERE hash = $1 AND expires_at > $2`, hashed, now).Scan(&gateway)
	if err == nil {
		err = lockGateway(ctx, tx, gateway)
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.ErrCode
	}
	if err != nil {
		return "", false, err
	}
	// Now that nothing else happens to the gateway: is the code still there?
	err = tx.QueryRowContext(ctx, `UPDATE directory_codes SET used_at = $1
		WHERE hash = $2 AND used_at IS NULL AND expires_at > $1 RETURNING gateway`, now, hashed).Scan(&gateway)
	if !errors.Is(err, sql.ErrNoRows) {
		return gateway, false, err
	}
	err = tx.QueryRowContext(ctx, `SELECT gateway FROM directory_codes WHERE hash = $1 AND used_at IS NOT NULL AND expires_at > $2`, hashed, now).Scan(&gateway)
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.ErrCode
	}
	return gateway, true, err
}

// again finds the two certificates that were issued for these keys, both good
// still; ErrCode where they were not.
func (s *Service) again(ctx context.Context, tx *sql.Tx, g Gateway, client, signing *ecdsa.PublicKey, e *Enrolment) error {
	cs, err := s.goodCertificates(ctx, tx, g.ID)
	if err != nil {
		return err
	}
	for h, want := range map[ca.Hierarchy]struct {
		key *ecdsa.PublicKey
		to  *Certificate
	}{ca.Client: {client, &e.Client}, ca.Signing: {signing, &e.Signing}} {
		for _, c := range cs[h] {
			if want.key.Equal(c.PublicKey) {
				*want.to = Certificate{c, s.Authorities.Of(h).Issuer}
			}
		}
		if want.to.Leaf == nil {
			return fault.ErrCode
		}
	}
	return nil
}

// unused makes sure that neither key has ever had a certificate of the gateway:
// one that was revoked is perhaps in other hands, and a new code is what the
// gateway gets then.
func (s *Service) unused(ctx context.Context, tx *sql.Tx, client, signing *ecdsa.PublicKey, gateway string) error {
	all, err := texts(ctx, tx, `SELECT pem FROM directory_certificates WHERE gateway = $1`, gateway)
	if err != nil {
		return err
	}
	for _, pem := range all {
		cs, err := identity.ParseCertificates([]byte(pem))
		if err != nil {
			return err
		}
		if client.Equal(cs[0].PublicKey) || signing.Equal(cs[0].PublicKey) {
			return fault.Invalid("this key has had a certificate before: make a new key")
		}
	}
	return nil
}

// goodCertificates are those of a gateway that have not ended and are not
// revoked.
func (s *Service) goodCertificates(ctx context.Context, tx *sql.Tx, gateway string) (map[ca.Hierarchy][]*x509.Certificate, error) {
	rows, err := tx.QueryContext(ctx, `SELECT hierarchy, pem FROM directory_certificates WHERE gateway = $1 AND revoked_at IS NULL AND not_after > $2`, gateway, s.Now().Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[ca.Hierarchy][]*x509.Certificate{}
	for rows.Next() {
		var h, pem string
		if err := rows.Scan(&h, &pem); err != nil {
			return nil, err
		}
		cs, err := identity.ParseCertificates([]byte(pem))
		if err != nil {
			return nil, err
		}
		out[ca.Hierarchy(h)] = append(out[ca.Hierarchy(h)], cs[0])
	}
	return out, rows.Err()
}
