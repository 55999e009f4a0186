package acme

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// order is one wish for a certificate.
type order struct {
	id, account string
	hosts       []string
	expires     time.Time
	issued      bool // the certificate was made, or is being made in a transaction
	chain       string
	replaces    string          // identifier of the certificate that it renews
	parts       []authorization // of the hosts, in order
}

// status follows from what the order has and from its authorisations.
func (o *order) status(now time.Time) string {
	if o.chain != "" {
		return valid
	}
	if !now.Before(o.expires) {
		return invalid
	}
	all := ready
	for _, a := range o.parts {
		switch a.status {
		case valid:
		case pending:
			all = pending
		default:
			return invalid
		}
	}
	return all
}

type orderJSON struct {
	Status         string       `json:"status"`
	Expires        string       `json:"expires"`
	Identifiers    []identifier `json:"identifiers"`
	Authorizations []string     `json:"authorizations"`
	Finalize       string       `json:"finalize"`
	Certificate    string       `json:"certificate,omitempty"`
	Replaces       string       `json:"replaces,omitempty"`
	Error          *problem     `json:"error,omitempty"`
}

func (s *Server) orderURL(id string) string { return s.url("/order/", id) }

func (s *Server) writeOrder(c *call, status int, o *order) error {
	out := orderJSON{Status: o.status(s.Now()), Expires: o.expires.UTC().Format(time.RFC3339), Finalize: s.orderURL(o.id) + "/finalize", Replaces: o.replaces}
	for _, h := range o.hosts {
		out.Identifiers = append(out.Identifiers, identifier{"dns", h})
	}
	for _, a := range o.parts {
		out.Authorizations = append(out.Authorizations, s.url("/authorization/", a.id))
		if out.Error == nil {
			out.Error = a.problem()
		}
	}
	switch out.Status {
	case valid:
		out.Certificate, out.Error = s.url("/certificate/", o.id), nil
	case invalid:
		if out.Error == nil {
			out.Error = problemf(malformed, http.StatusForbidden, "The order's time is over: an hour. Make a new one.")
		}
	}
	c.w.Header().Set("Location", s.orderURL(o.id))
	return c.json(status, out)
}

// newOrder takes a wish for a certificate (7.4).
func (s *Server) newOrder(c *call) error {
	var in struct {
		Identifiers []identifier    `json:"identifiers"`
		NotBefore   json.RawMessage `json:"notBefore"`
		NotAfter    json.RawMessage `json:"notAfter"`
		Replaces    string          `json:"replaces"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	if in.NotBefore != nil || in.NotAfter != nil {
		return problemf(malformed, http.StatusBadRequest, "Every certificate begins now and lasts 24 hours: leave out notBefore and notAfter.")
	}
	hosts, err := s.checkIdentifiers(c, in.Identifiers)
	if err != nil {
		return err
	}
	if err := s.limit(c, `SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM directory_acme_orders WHERE account = $1 AND created_at > $2`,
		time.Hour, s.Limits.OrdersPerHour, "orders of this account within an hour", c.account.id); err != nil {
		return err
	}
	if err := s.limit(c, `SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM directory_acme_orders WHERE account = $1 AND issued_at = 0 AND created_at > $2`,
		orderLife, s.Limits.OpenOrders, "orders of this account that wait for their challenges", c.account.id); err != nil {
		return err
	}
	if err := s.limit(c, `SELECT COUNT(*), COALESCE(MIN(issued_at), 0) FROM directory_acme_orders WHERE hosts_sorted = $1 AND issued_at > $2`,
		24*time.Hour, s.Limits.CertificatesPerDay, "certificates for these names within a day", sortedText(hosts)); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := s.limitFailures(c, c.account.id, h); err != nil {
			return err
		}
	}
	replaces, err := s.replaces(c, in.Replaces, hosts)
	if err != nil {
		return err
	}
	now := s.Now()
	o := &order{id: newID(), account: c.account.id, hosts: hosts, expires: now.Add(orderLife).Truncate(time.Second), replaces: replaces}
	err = s.Directory.InTx(c, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(c, `INSERT INTO directory_acme_orders (id, account, hosts, hosts_sorted, created_at, expires_at, replaces) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			o.id, o.account, strings.Join(hosts, " "), sortedText(hosts), now.Unix(), o.expires.Unix(), o.replaces)
		for i, h := range hosts {
			if err != nil {
				break
			}
			a := newAuthorization(o, h)
			o.parts = append(o.parts, a)
			_, err = tx.ExecContext(c, `INSERT INTO directory_acme_authorizations (id, order_id, account, place, host, token, status) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				a.id, o.id, o.account, i, a.host, a.token, a.status)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.writeOrder(c, http.StatusCreated, o)
}

func sortedText(hosts []string) string { return strings.Join(slices.Sorted(slices.Values(hosts)), " ") }

func (s *Server) postOrder(c *call) error {
	o, err := s.orderOf(c)
	if err := errors.Join(err, c.only()); err != nil {
		return err
	}
	return s.writeOrder(c, http.StatusOK, o)
}

// orderOf finds the order that the address names, of the account that asks.
func (s *Server) orderOf(c *call) (*order, error) {
	o, err := s.findOrder(c, s.DB, c.r.PathValue("id"))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, problemf(malformed, http.StatusNotFound, "There is no such order.")
	}
	if err == nil && o.account != c.account.id {
		return nil, problemf(unauthorized, http.StatusForbidden, "This is another account's order.")
	}
	return o, err
}

// querier is *sql.DB or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (s *Server) findOrder(ctx context.Context, q querier, id string) (*order, error) {
	o := &order{id: id}
	var hosts string
	var expires, issued int64
	err := q.QueryRowContext(ctx, `SELECT account, hosts, expires_at, issued_at, chain, replaces FROM directory_acme_orders WHERE id = $1`, id).
		Scan(&o.account, &hosts, &expires, &issued, &o.chain, &o.replaces)
	if err != nil {
		return nil, err
	}
	o.hosts, o.expires, o.issued = strings.Fields(hosts), time.Unix(expires, 0), issued != 0
	rows, err := q.QueryContext(ctx, `SELECT `+authorizationColumns+` FROM directory_acme_authorizations WHERE order_id = $1 ORDER BY place`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a authorization
		if err := rows.Scan(a.columns()...); err != nil {
			return nil, err
		}
		o.parts = append(o.parts, a)
	}
	return o, rows.Err()
}

// finalize takes the certificate request of an order whose challenges are met,
// and issues the certificate at once (7.4).
func (s *Server) finalize(c *call) error {
	o, err := s.orderOf(c)
	if err != nil {
		return err
	}
	var in struct {
		CSR string `json:"csr"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	if err := o.mayFinish(s.Now()); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(in.CSR)
	if err != nil {
		return problemf(badCSR, http.StatusBadRequest, "csr is not DER in base64url without padding.")
	}
	key, err := checkRequest(der, o.hosts, c.account.key.Key)
	if err != nil {
		return err
	}
	// The directory may have changed since the order: an hour is long.
	if _, err := s.checkIdentifiers(c, identifiers(o.hosts)); err != nil {
		return err
	}
	var serial string
	err = s.Directory.InTx(audit.WithActor(c, "acme:"+c.account.id), func(tx *sql.Tx) error {
		// Whoever takes this row makes the certificate, once.
		res, err := tx.ExecContext(c, `UPDATE directory_acme_orders SET issued_at = $1 WHERE id = $2 AND issued_at = 0`, s.Now().Unix(), o.id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return hasCertificate()
		}
		if o, err = s.findOrder(c, tx, o.id); err != nil {
			return err
		}
		o.issued = false
		if err := o.mayFinish(s.Now()); err != nil {
			return err
		}
		leaf, issuer, err := s.Directory.IssueServer(c, tx, key, o.hosts)
		if err != nil {
			return err
		}
		o.chain, serial = string(identity.EncodeCertificates(leaf, issuer)), leaf.SerialNumber.String()
		if _, err := tx.ExecContext(c, `UPDATE directory_acme_orders SET serial = $1, chain = $2 WHERE id = $3`, serial, o.chain, o.id); err != nil {
			return err
		}
		_, err = tx.ExecContext(c, `UPDATE directory_acme_accounts SET certified_at = $1 WHERE id = $2`, s.Now().Unix(), o.account)
		return err
	})
	if err != nil {
		return err
	}
	s.Logger.Info("acme: certificate issued", "account", c.account.id, "hosts", o.hosts, "serial", serial, "from", s.ClientAddress(c.r))
	return s.writeOrder(c, http.StatusOK, o)
}

func hasCertificate() error {
	return problemf(orderNotReady, http.StatusForbidden, "The order has its certificate: read the order for the address. For another certificate make a new order.")
}

// mayFinish says why an order cannot have its certificate now.
func (o *order) mayFinish(now time.Time) error {
	switch status := o.status(now); {
	case o.issued || status == valid:
		return hasCertificate()
	case status == pending:
		return problemf(orderNotReady, http.StatusForbidden, "The order is pending: meet the challenge of each of its names first.")
	case status != ready:
		return problemf(orderNotReady, http.StatusForbidden, "The order is invalid. Make a new one.")
	}
	return nil
}

// postCertificate hands out the certificate with its issuer (7.4.2).
func (s *Server) postCertificate(c *call) error {
	o, err := s.orderOf(c)
	if err := errors.Join(err, c.only()); err != nil {
		return err
	}
	if o.chain == "" {
		return problemf(malformed, http.StatusNotFound, "The order has no certificate.")
	}
	c.w.Header().Set("Content-Type", "application/pem-certificate-chain")
	c.w.Write([]byte(o.chain)) // an error here is the client's connection
	return nil
}
