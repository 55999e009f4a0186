package acme

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// keyChange puts another key in the place of an account's (7.3.5). The request
// is signed by the old key, what it holds by the new one.
func (s *Server) keyChange(c *call) error {
	inner, err := parseJWS(c.payload)
	if err != nil {
		return err
	}
	bad := func(words string) error { return problemf(malformed, http.StatusBadRequest, "%s", words) }
	if inner.key == nil || inner.nonce != "" || inner.url != c.url {
		return bad("The inner JWS needs the new key as jwk, the same url as the outer one, and no nonce.")
	}
	payload, err := inner.verify(inner.key)
	if err != nil {
		return err
	}
	var in struct {
		Account string          `json:"account"`
		OldKey  json.RawMessage `json:"oldKey"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return bad("The inner payload is not an object of account and oldKey.")
	}
	if in.Account != c.kid {
		return bad("The inner payload names another account than the request.")
	}
	old, err := publicKey(in.OldKey)
	if err != nil {
		return bad("The inner payload's oldKey is not a public key.")
	}
	now, err := thumbprint(c.key)
	if err != nil {
		return err
	}
	if was, err := thumbprint(old); err != nil || was != now {
		return bad("The inner payload's oldKey is not the account's key.")
	}
	next, err := thumbprint(inner.key)
	if err != nil {
		return err
	}
	if holder, err := s.findAccount(c, `thumbprint`, next); err == nil {
		p := problemf(malformed, http.StatusConflict, "The new key is an account's already.")
		p.location = s.accountURL(holder.id)
		return p
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	c.account.key = jose.JSONWebKey{Key: inner.key.Key}
	key, err := json.Marshal(c.account.key)
	if err != nil {
		return err
	}
	// Only from the key that signed: two changes at once must not both succeed.
	res, err := s.DB.ExecContext(c, `UPDATE directory_acme_accounts SET thumbprint = $1, jwk = $2 WHERE id = $3 AND thumbprint = $4
		AND NOT EXISTS (SELECT 1 FROM directory_acme_accounts WHERE thumbprint = $5)`, next, string(key), c.account.id, now, next)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return problemf(malformed, http.StatusConflict, "The account's key has just been changed by another request.")
	}
	s.Logger.Info("acme: account key changed", "account", c.account.id, "from", s.ClientAddress(c.r))
	return s.writeAccount(c, http.StatusOK, c.account)
}

// publicKey reads a JWK that holds no private part.
func publicKey(b []byte) (*jose.JSONWebKey, error) {
	k := &jose.JSONWebKey{}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(k); err != nil {
		return nil, err
	}
	if !k.IsPublic() {
		return nil, errors.New("not a public key")
	}
	return k, nil
}
