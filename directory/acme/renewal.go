package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Renewal information (RFC 9773): when a certificate is best renewed. The
// clients that ask spread over a window after half of its life, and come at
// once when it was revoked.
const (
	renewalWindow = 2 * time.Hour // from half of the life on
	renewalAsk    = time.Hour     // how often clients should ask
)

// getRenewal serves GET /renewal-info/{id} (4.1, 4.2).
func (s *Server) getRenewal(c *call) error {
	leaf, revoked, err := s.certificateOf(c, c.r.PathValue("id"))
	if errors.Is(err, sql.ErrNoRows) {
		return problemf(malformed, http.StatusNotFound, "This directory did not issue that server certificate.")
	}
	if err != nil {
		return err
	}
	start := leaf.NotBefore.Add((leaf.NotAfter.Sub(leaf.NotBefore) + time.Second) / 2)
	if revoked {
		start = leaf.NotBefore.Add(-2 * renewalWindow) // long past: now
	}
	h := c.w.Header()
	h.Set("Retry-After", strconv.Itoa(int(renewalAsk/time.Second)))
	h.Set("Cache-Control", "public, max-age=300")
	return c.json(http.StatusOK, map[string]any{"suggestedWindow": map[string]string{
		"start": start.UTC().Format(time.RFC3339), "end": start.Add(renewalWindow).UTC().Format(time.RFC3339)}})
}

// certificateOf finds the server certificate of a renewal's identifier: the key
// identifier of its issuer and its serial number as DER has it, each in
// base64url. sql.ErrNoRows for any that names none.
func (s *Server) certificateOf(ctx context.Context, id string) (leaf *x509.Certificate, revoked bool, err error) {
	issuer, serial, ok := parseCertificateID(id)
	if !ok {
		return nil, false, sql.ErrNoRows
	}
	leaf, revoked, err = s.Directory.ServerCertificate(ctx, serial)
	if err == nil && !bytes.Equal(leaf.AuthorityKeyId, issuer) {
		return nil, false, sql.ErrNoRows
	}
	return leaf, revoked, err
}

func parseCertificateID(id string) (issuer []byte, serial *big.Int, ok bool) {
	first, second, found := strings.Cut(id, ".")
	issuer, err := decode(first)
	der, err2 := decode(second)
	if !found || err != nil || err2 != nil || len(issuer) == 0 || len(issuer) > 64 || len(der) == 0 || len(der) > 21 {
		return nil, nil, false
	}
	// As DER has a positive number: a zero byte in front only where the next
	// would make it negative.
	if der[0] >= 0x80 || der[0] == 0 && (len(der) == 1 || der[1] < 0x80) {
		return nil, nil, false
	}
	return issuer, new(big.Int).SetBytes(der), true
}

// replaces gives what a new order repeats of the certificate that it says it
// replaces (5): the identifier, where it is one of the account's certificates,
// shares a name with the order, and no other order replaces it yet. Else
// nothing: a client that is wrong about the past must get its certificate all
// the same.
func (s *Server) replaces(c *call, id string, hosts []string) (string, error) {
	if id == "" {
		return "", nil
	}
	leaf, _, err := s.certificateOf(c, id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	shares := false
	for _, h := range hosts {
		shares = shares || leaf.VerifyHostname(h) == nil
	}
	var mine, taken int
	now := s.Now()
	err = s.DB.QueryRowContext(c, `SELECT (SELECT COUNT(*) FROM directory_acme_orders WHERE serial = $1 AND account = $2),
		(SELECT COUNT(*) FROM directory_acme_orders WHERE account = $3 AND replaces = $4 AND (issued_at <> 0 OR expires_at > $5))`,
		leaf.SerialNumber.String(), c.account.id, c.account.id, id, now.Unix()).Scan(&mine, &taken)
	if err != nil || !shares || mine == 0 || taken > 0 {
		return "", err
	}
	return id, nil
}
