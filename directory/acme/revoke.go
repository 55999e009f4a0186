package acme

import (
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// reasons that a client may give (RFC 5280, 5.3.1): unspecified, keyCompromise,
// affiliationChanged, superseded, cessationOfOperation.
var reasons = []int{0, 1, 3, 4, 5}

// revoke revokes a certificate (7.6). It may be asked by the account that got
// it, by one that has shown within the hour that it holds all of its names, and
// by whoever has the certificate's key.
func (s *Server) revoke(c *call) error {
	var in struct {
		Certificate string `json:"certificate"`
		Reason      int    `json:"reason"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(in.Certificate)
	if err != nil {
		return problemf(malformed, http.StatusBadRequest, "certificate is not DER in base64url without padding.")
	}
	shown, err := x509.ParseCertificate(der)
	if err != nil {
		return problemf(malformed, http.StatusBadRequest, "certificate cannot be read: it must be one X.509 certificate in DER.")
	}
	if !slices.Contains(reasons, in.Reason) {
		return problemf(badRevocationReason, http.StatusBadRequest, "Reason %d cannot be given here: use 0 (none), 1 (the key is known to others), 3, 4 or 5, or leave it out.", in.Reason)
	}
	leaf, revoked, err := s.Directory.ServerCertificate(c, shown.SerialNumber)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !leaf.Equal(shown) {
		return problemf(malformed, http.StatusNotFound, "This directory did not issue that server certificate.")
	}
	if err != nil {
		return err
	}
	if err := s.mayRevoke(c, leaf); err != nil {
		return err
	}
	if revoked {
		return problemf(alreadyRevoked, http.StatusBadRequest, "The certificate is revoked already.")
	}
	actor := "certificate:" + leaf.SerialNumber.String() // its key
	if c.account != nil {
		actor = "acme:" + c.account.id
	}
	if err := s.Directory.Revoke(audit.WithActor(c, actor), leaf.SerialNumber); err != nil {
		return err
	}
	s.Logger.Info("acme: certificate revoked", "serial", leaf.SerialNumber, "hosts", leaf.DNSNames, "by", c.kid, "reason", in.Reason, "from", s.ClientAddress(c.r))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) mayRevoke(c *call, leaf *x509.Certificate) error {
	if c.account == nil {
		mine, err := thumbprint(c.key)
		its, err2 := thumbprint(&jose.JSONWebKey{Key: leaf.PublicKey})
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if mine == its {
			return nil
		}
		return problemf(unauthorized, http.StatusForbidden, "The request is signed by another key than the certificate's. Sign with that, or in the name of the account that ordered it.")
	}
	var owner string
	err := s.DB.QueryRowContext(c, `SELECT account FROM directory_acme_orders WHERE serial = $1`, leaf.SerialNumber.String()).Scan(&owner)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil && owner == c.account.id {
		return nil
	}
	var missing []string
	for _, h := range leaf.DNSNames {
		var n int
		if err := s.DB.QueryRowContext(c, `SELECT COUNT(*) FROM directory_acme_authorizations WHERE account = $1 AND host = $2 AND status = 'valid' AND tried_at > $3`,
			c.account.id, h, s.Now().Add(-orderLife).Unix()).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			missing = append(missing, h)
		}
	}
	if len(missing) == 0 && len(leaf.DNSNames) > 0 {
		return nil
	}
	return problemf(unauthorized, http.StatusForbidden, "Another account ordered this certificate. Meet the challenges of %s first (an order, without finalizing it), or sign with the certificate's key.",
		orNothing(strings.TrimSpace(list(missing))))
}
