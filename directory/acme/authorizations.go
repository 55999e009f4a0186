package acme

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// authorization is an account's permission to have one host in the certificate
// of one order, with the one challenge that earns it. It is used for that order
// alone: a day later the host must answer again.
type authorization struct {
	id, order, account string
	host, token        string
	status             string
	tried              time.Time // zero: never
	fault              string    // problem document
	expires            time.Time // the order's
}

const authorizationColumns = `id, order_id, account, host, token, status, tried_at, error`

type unixTime struct{ t *time.Time }

// Scan reads Unix seconds; 0 is no time.
func (u unixTime) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return errors.New("not a number of seconds")
	}
	if n != 0 {
		*u.t = time.Unix(n, 0)
	}
	return nil
}

func (a *authorization) columns() []any {
	return []any{&a.id, &a.order, &a.account, &a.host, &a.token, &a.status, unixTime{&a.tried}, &a.fault}
}

func newAuthorization(o *order, host string) authorization {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return authorization{id: newID(), order: o.id, account: o.account, host: host, status: pending, expires: o.expires,
		token: base64.RawURLEncoding.EncodeToString(b[:])}
}

// problem is why an authorisation is invalid; nil for others.
func (a *authorization) problem() *problem {
	p := &problem{}
	if a.status != invalid || json.Unmarshal([]byte(a.fault), p) != nil {
		return nil
	}
	return p
}

type authorizationJSON struct {
	Identifier identifier      `json:"identifier"`
	Status     string          `json:"status"`
	Expires    string          `json:"expires"`
	Challenges []challengeJSON `json:"challenges"`
}

type challengeJSON struct {
	Type      string   `json:"type"`
	URL       string   `json:"url"`
	Status    string   `json:"status"`
	Token     string   `json:"token"`
	Validated string   `json:"validated,omitempty"`
	Error     *problem `json:"error,omitempty"`
}

func (s *Server) challengeJSON(a *authorization) challengeJSON {
	c := challengeJSON{Type: "http-01", URL: s.url("/challenge/", a.id), Status: a.status, Token: a.token, Error: a.problem()}
	if a.status == deactivated { // a state of authorisations only
		c.Status = invalid
	}
	if a.status == valid {
		c.Validated = a.tried.UTC().Format(time.RFC3339)
	}
	return c
}

// authorizationOf finds the authorisation that the address names, of the
// account that asks.
func (s *Server) authorizationOf(c *call) (*authorization, error) {
	a := &authorization{}
	var expires int64
	err := s.DB.QueryRowContext(c, `SELECT `+authorizationColumns+`, (SELECT expires_at FROM directory_acme_orders o WHERE o.id = order_id)
		FROM directory_acme_authorizations WHERE id = $1`, c.r.PathValue("id")).Scan(append(a.columns(), &expires)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, problemf(malformed, http.StatusNotFound, "There is no such authorization or challenge.")
	}
	if err == nil && a.account != c.account.id {
		return nil, problemf(unauthorized, http.StatusForbidden, "This is another account's authorization.")
	}
	a.expires = time.Unix(expires, 0)
	return a, err
}

// postAuthorization reads an authorisation (7.5), or gives it up (7.5.2).
func (s *Server) postAuthorization(c *call) error {
	a, err := s.authorizationOf(c)
	if err != nil {
		return err
	}
	if len(c.payload) > 0 {
		var in struct {
			Status string `json:"status"`
		}
		if err := c.read(&in); err != nil {
			return err
		}
		if in.Status != deactivated {
			return problemf(malformed, http.StatusBadRequest, "An authorization's status can be made deactivated, and nothing else.")
		}
		if _, err := s.DB.ExecContext(c, `UPDATE directory_acme_authorizations SET status = $1 WHERE id = $2 AND status IN ($3, $4)`, deactivated, a.id, pending, valid); err != nil {
			return err
		}
		if a, err = s.authorizationOf(c); err != nil {
			return err
		}
	}
	out := authorizationJSON{identifier{"dns", a.host}, a.status, a.expires.UTC().Format(time.RFC3339), []challengeJSON{s.challengeJSON(a)}}
	if !s.Now().Before(a.expires) && (a.status == pending || a.status == valid) {
		out.Status = "expired"
	}
	return c.json(http.StatusOK, out)
}

// postChallenge reads a challenge, or (with a payload, {}) looks whether it is
// met (7.5.1). The looking is done before the answer: there is no state that a
// process could leave behind when it ends meanwhile, and the client may ask
// again at another.
func (s *Server) postChallenge(c *call) error {
	a, err := s.authorizationOf(c)
	if err != nil {
		return err
	}
	if len(c.payload) > 0 && a.status == pending {
		if err := c.read(&struct{}{}); err != nil {
			return err
		}
		if !s.Now().Before(a.expires) {
			return problemf(malformed, http.StatusForbidden, "The order's time is over: an hour. Make a new one.")
		}
		if err := s.meet(c, a); err != nil {
			return err
		}
	}
	c.w.Header().Add("Link", "<"+s.url("/authorization/", a.id)+`>;rel="up"`)
	return c.json(http.StatusOK, s.challengeJSON(a))
}

// meet looks for the challenge's answer at the host and writes down what came of it.
func (s *Server) meet(c *call, a *authorization) error {
	if err := s.limitFailures(c, a.account, a.host); err != nil {
		return err
	}
	select {
	case s.validations <- struct{}{}:
		defer func() { <-s.validations }()
	default:
		p := problemf(rateLimited, http.StatusServiceUnavailable, "Too many servers are being looked at just now. Ask again in a moment.")
		p.retry = 5 * time.Second
		return p
	}
	print, err := thumbprint(&c.account.key)
	if err != nil {
		return err
	}
	status, fault := valid, ""
	if wrong := s.Validator.Validate(c, a.host, a.token, a.token+"."+print); wrong != nil {
		if c.Err() != nil {
			return c.Err() // the client has gone; it says nothing of the host
		}
		wrong.Identifier = &identifier{"dns", a.host}
		b, err := json.Marshal(wrong)
		if err != nil {
			return err
		}
		status, fault = invalid, string(b)
		s.Logger.Info("acme: challenge not met", "account", a.account, "host", a.host, "type", wrong.Type, "detail", wrong.Detail)
	}
	if _, err := s.DB.ExecContext(c, `UPDATE directory_acme_authorizations SET status = $1, error = $2, tried_at = $3 WHERE id = $4 AND status = $5`,
		status, fault, s.Now().Unix(), a.id, pending); err != nil {
		return err
	}
	// What stands there now: another request may have been quicker.
	now, err := s.authorizationOf(c)
	if err == nil {
		*a = *now
	}
	return err
}

// limitFailures keeps an account from having a host asked over and over.
func (s *Server) limitFailures(ctx context.Context, account, host string) error {
	return s.limit(ctx, `SELECT COUNT(*), COALESCE(MIN(tried_at), 0) FROM directory_acme_authorizations
		WHERE account = $1 AND host = $2 AND status = 'invalid' AND tried_at > $3`,
		time.Hour, s.Limits.FailuresPerHour, "failed attempts of this account at "+host+" within an hour", account, host)
}
