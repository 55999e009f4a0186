package acme

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/mail"
	"net/netip"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// States of accounts, authorisations and orders (7.1.6).
const (
	pending     = "pending"
	ready       = "ready"
	valid       = "valid"
	invalid     = "invalid"
	deactivated = "deactivated"
)

// account is whoever has its key. It belongs to no member: what it may have
// certificates for follows from the hosts that answer its challenges.
type account struct {
	id       string
	key      jose.JSONWebKey
	status   string
	contacts []string
}

type accountJSON struct {
	Status  string   `json:"status"`
	Contact []string `json:"contact,omitempty"`
	Orders  string   `json:"orders"`
}

func (s *Server) accountURL(id string) string { return s.url("/account/", id) }

func (s *Server) writeAccount(c *call, status int, a *account) error {
	c.w.Header().Set("Location", s.accountURL(a.id))
	return c.json(status, accountJSON{a.status, a.contacts, s.accountURL(a.id) + "/orders"})
}

// accountOf finds the account of a kid that may act.
func (s *Server) accountOf(ctx context.Context, kid string) (*account, error) {
	id, ok := strings.CutPrefix(kid, s.accountURL(""))
	if ok {
		a, err := s.findAccount(ctx, `id`, id)
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return a, active(a, err)
		}
	}
	return nil, problemf(accountDoesNotExist, http.StatusBadRequest, "There is no account %q here. Make one at %s.", cut(kid, 200), s.url("/new-account"))
}

func active(a *account, err error) error {
	if err == nil && a.status != valid {
		return problemf(unauthorized, http.StatusUnauthorized, "The account is %s, for good. Make another one, with another key.", a.status)
	}
	return err
}

func (s *Server) findAccount(ctx context.Context, column, value string) (*account, error) {
	a := &account{}
	var key, contacts string
	err := s.DB.QueryRowContext(ctx, `SELECT id, jwk, status, contacts FROM directory_acme_accounts WHERE `+column+` = $1`, value).
		Scan(&a.id, &key, &a.status, &contacts)
	if err != nil {
		return nil, err
	}
	return a, errors.Join(json.Unmarshal([]byte(key), &a.key), json.Unmarshal([]byte(contacts), &a.contacts))
}

// newAccount makes an account for a key, or finds the one it has (7.3). An
// externalAccountBinding is not looked at, and so not repeated (7.3.4).
func (s *Server) newAccount(c *call) error {
	var in struct {
		Contact            []string `json:"contact"`
		OnlyReturnExisting bool     `json:"onlyReturnExisting"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	print, err := thumbprint(c.key)
	if err != nil {
		return err
	}
	a, err := s.findAccount(c, `thumbprint`, print)
	if err == nil {
		if err := active(a, nil); err != nil {
			return err
		}
		return s.writeAccount(c, http.StatusOK, a)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if in.OnlyReturnExisting {
		return problemf(accountDoesNotExist, http.StatusBadRequest, "This key has no account here.")
	}
	if err := checkContacts(in.Contact); err != nil {
		return err
	}
	from := addressKey(s.ClientAddress(c.r))
	if err := s.limit(c, `SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM directory_acme_accounts WHERE address = $1 AND created_at > $2`,
		time.Hour, s.Limits.AccountsPerHour, "new accounts from your address within an hour", from); err != nil {
		return err
	}
	a = &account{id: newID(), key: jose.JSONWebKey{Key: c.key.Key}, status: valid, contacts: in.Contact}
	key, err := json.Marshal(a.key)
	if err != nil {
		return err
	}
	res, err := s.DB.ExecContext(c, `INSERT INTO directory_acme_accounts (id, thumbprint, jwk, status, contacts, address, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (thumbprint) DO NOTHING`,
		a.id, print, string(key), a.status, contactsText(a.contacts), from, s.Now().Unix())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 { // the same request at the same time
		if a, err = s.findAccount(c, `thumbprint`, print); err != nil {
			return err
		}
		return s.writeAccount(c, http.StatusOK, a)
	}
	s.Logger.Info("acme: new account", "account", a.id, "from", s.ClientAddress(c.r))
	return s.writeAccount(c, http.StatusCreated, a)
}

// postAccount reads or changes the account that asks (7.3.2), or deactivates it
// (7.3.6).
func (s *Server) postAccount(c *call) error {
	if err := s.own(c); err != nil {
		return err
	}
	if len(c.payload) == 0 {
		return s.writeAccount(c, http.StatusOK, c.account)
	}
	var in struct {
		Status  string    `json:"status"`
		Contact *[]string `json:"contact"`
	}
	if err := c.read(&in); err != nil {
		return err
	}
	switch in.Status {
	case "", valid:
	case deactivated:
		c.account.status = deactivated
	default:
		return problemf(malformed, http.StatusBadRequest, "An account's status can be made deactivated, and nothing else.")
	}
	if in.Contact != nil {
		if err := checkContacts(*in.Contact); err != nil {
			return err
		}
		c.account.contacts = *in.Contact
	}
	_, err := s.DB.ExecContext(c, `UPDATE directory_acme_accounts SET status = $1, contacts = $2 WHERE id = $3 AND status = $4`,
		c.account.status, contactsText(c.account.contacts), c.account.id, valid)
	if err != nil {
		return err
	}
	if c.account.status == deactivated {
		s.Logger.Info("acme: account deactivated", "account", c.account.id, "from", s.ClientAddress(c.r))
	}
	return s.writeAccount(c, http.StatusOK, c.account)
}

// own refuses the address of another account.
func (s *Server) own(c *call) error {
	if c.r.PathValue("id") != c.account.id {
		return problemf(unauthorized, http.StatusForbidden, "This is another account's.")
	}
	return nil
}

// shownOrders bounds the list of an account's orders.
const shownOrders = 500

// postOrders lists an account's orders, the newest first (7.1.2.1).
func (s *Server) postOrders(c *call) error {
	if err := errors.Join(s.own(c), c.only()); err != nil {
		return err
	}
	rows, err := s.DB.QueryContext(c, `SELECT id FROM directory_acme_orders WHERE account = $1 AND (serial <> '' OR expires_at > $2)
		ORDER BY created_at DESC, id LIMIT $3`, c.account.id, s.Now().Unix(), shownOrders)
	if err != nil {
		return err
	}
	defer rows.Close()
	orders := []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		orders = append(orders, s.url("/order/", id))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]any{"orders": orders})
}

// checkContacts accepts up to ten mailto addresses of one recipient each.
func checkContacts(contacts []string) error {
	if len(contacts) > 10 {
		return problemf(invalidContact, http.StatusBadRequest, "At most ten contacts.")
	}
	for _, c := range contacts {
		address, ok := strings.CutPrefix(c, "mailto:")
		if !ok {
			return problemf(unsupportedContact, http.StatusBadRequest, "Contact %q: only mailto: addresses.", cut(c, 80))
		}
		a, err := mail.ParseAddress(address)
		if err != nil || a.Address != address || len(address) > 254 || strings.ContainsAny(address, "?,% ") {
			return problemf(invalidContact, http.StatusBadRequest, "Contact %q: need one address such as mailto:name@example.org.", cut(c, 80))
		}
	}
	return nil
}

func contactsText(contacts []string) string {
	b, _ := json.Marshal(append([]string{}, contacts...)) // a list of text
	return string(b)
}

// addressKey takes a whole IPv6 /64 as one: that is what one customer has.
func addressKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr().String()
		}
	}
	return a.String()
}
