package permission

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// requestPrefix begins every request_uri (RFC 9126).
const requestPrefix = "urn:ietf:params:oauth:request_uri:"

// request is a pushed authorisation request.
type request struct {
	Client, ClientName, Member, Parts, License, RedirectURI, State, Challenge string
}

// servePAR is the pushed authorisation request endpoint (RFC 9126).
func (s *Service) servePAR(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	q, err := s.checkRequest(client, f)
	if err != nil {
		return err
	}
	uri := requestPrefix + newSecret()
	expires := s.now().Add(RequestLife)
	err = s.db.Write(r.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(r.Context(), `INSERT INTO oauth_requests
			(hash, client, client_name, member, parts, license, redirect_uri, state, challenge, expires) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
			hashOf(uri), q.Client, q.ClientName, q.Member, q.Parts, q.License, q.RedirectURI, q.State, q.Challenge, expires.Unix())
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": int(RequestLife / time.Second)})
	return nil
}

// checkRequest applies the profile to the parameters of a pushed request.
func (s *Service) checkRequest(client identity.Peer, f url.Values) (request, error) {
	if f.Has("request") {
		return request{}, bad("request_not_supported", "send plain parameters, not a request object")
	}
	if f.Has("request_uri") {
		return request{}, bad("invalid_request", "request_uri does not belong into a pushed request")
	}
	if f.Get("response_type") != "code" {
		return request{}, bad("unsupported_response_type", "response_type must be code")
	}
	if m := f.Get("response_mode"); m != "" && m != "query" {
		return request{}, bad("invalid_request", "response_mode must be query")
	}
	if f.Get("code_challenge_method") != "S256" {
		return request{}, bad("invalid_request", "code_challenge_method must be S256 (PKCE)")
	}
	challenge := f.Get("code_challenge")
	if b, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil || len(b) != 32 {
		return request{}, bad("invalid_request", "code_challenge must be the base64url SHA-256 of the code_verifier (PKCE)")
	}
	license := f.Get("scope")
	parts, err := s.mayUse(client, license)
	if err != nil {
		return request{}, err
	}
	redirect := f.Get("redirect_uri")
	if err := checkRedirect(redirect); err != nil {
		return request{}, bad("invalid_request", "redirect_uri %v", err)
	}
	state := f.Get("state")
	if len(state) > 1024 {
		return request{}, bad("invalid_request", "state is longer than 1024 bytes")
	}
	name := cleanName(client.Organisation)
	if name == "" {
		return request{}, bad("unauthorized_client", "your certificate names no organisation: the business could not see who asks")
	}
	return request{Client: client.Application, ClientName: name, Member: client.Member, Parts: strings.Join(parts, " "),
		License: license, RedirectURI: redirect, State: state, Challenge: challenge}, nil
}

// checkRedirect applies the rules for redirect URIs, which nobody registered
// beforehand: https, or http to the same machine; a plain host; no fragment,
// no user; no query parameter that the answer itself will carry. The pages
// show the host before anything is agreed.
func checkRedirect(raw string) error {
	if raw == "" {
		return errors.New("is missing")
	}
	if len(raw) > 2000 {
		return errors.New("is longer than 2000 bytes")
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return errors.New("holds a character that does not belong into an address")
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return errors.New("is not an absolute URL")
	}
	if strings.Contains(raw, "#") {
		return errors.New("must not have a fragment")
	}
	if u.User != nil {
		return errors.New("must not name a user")
	}
	host := u.Hostname()
	if host == "" || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-:") != "" {
		return errors.New("must have a plain host name")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return errors.New("has a port that does not exist")
		}
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !loopback(host) {
			return errors.New("must be https; http is for this machine only")
		}
	default:
		return errors.New("must be https")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a query that cannot be read")
	}
	for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
		if q.Has(name) {
			return errors.New("must not have a query parameter " + name)
		}
	}
	return nil
}

func loopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
