package acme

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
)

// call is one request with what its signature has shown.
type call struct {
	context.Context
	w       http.ResponseWriter
	r       *http.Request
	account *account // nil for a request signed with a key of its own
	envelope
	payload []byte // empty: the client only wants to read (POST-as-GET)
}

// authenticate reads the signed request (6.2 to 6.5). In its order nothing is
// written to the database for somebody who cannot sign.
func (s *Server) authenticate(c *call, who signer) error {
	if t, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || t != "application/jose+json" {
		return problemf(malformed, http.StatusUnsupportedMediaType, "Send a JWS, with Content-Type: application/jose+json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		return err
	}
	if c.envelope, err = parseEnvelope(body); err != nil {
		return err
	}
	if here := s.url(strings.TrimPrefix(c.r.URL.EscapedPath(), s.prefix)); c.url != here || c.r.URL.RawQuery != "" {
		return problemf(unauthorized, http.StatusUnauthorized, "The signed url is %q, the request came to %q.", cut(c.url, 200), here)
	}
	if err := s.nonces.check(c.nonce, s.Now()); err != nil {
		return err
	}
	switch {
	case who == byAccount && c.key != nil:
		return problemf(malformed, http.StatusBadRequest, "This address takes requests that are signed in the account's name: the protected header needs kid and no jwk.")
	case who == byKey && c.key == nil:
		return problemf(malformed, http.StatusBadRequest, "This address takes requests that carry their key: the protected header needs jwk and no kid.")
	case c.key == nil:
		if c.account, err = s.accountOf(c, c.kid); err != nil {
			return err
		}
		c.key = &c.account.key
	}
	if c.payload, err = c.verify(c.key); err != nil {
		return err
	}
	if err := s.allow(c, addressKey(s.ClientAddress(c.r))); err != nil {
		return err
	}
	if err := s.roomForNonce(c); err != nil {
		return err
	}
	return s.spend(c, c.nonce)
}

// only reads a payload that must be empty.
func (c *call) only() error {
	if len(c.payload) > 0 {
		return problemf(malformed, http.StatusBadRequest, "This address can only be read: send an empty payload (POST-as-GET).")
	}
	return nil
}

// read decodes the payload, one JSON object.
func (c *call) read(v any) error {
	if err := json.Unmarshal(c.payload, v); err != nil || !strings.HasPrefix(strings.TrimSpace(string(c.payload)), "{") {
		return problemf(malformed, http.StatusBadRequest, "The payload is not the JSON object that this address takes.")
	}
	return nil
}

func (c *call) json(status int, v any) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	e := json.NewEncoder(c.w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error here is the client's connection: there is nobody to tell
	return nil
}
