package permission

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Access is what a live permission, or a token under it, allows.
type Access struct {
	Permission string // identifier; the same as grant.Grant.ID
	Client     string // application URL
	ClientName string // the client's member, as people know it
	License    string
	Gateway    string
	Account    string // the business, as this client may know it
	Covers     []grant.Cover
	From       time.Time // earliest half-hour (dataAvailableFrom)
	Granted    time.Time // last granted
	Expires    time.Time
	Evidence   string // URL
}

func (s *Service) access(p row) Access {
	return Access{Permission: p.ID, Client: p.Client, ClientName: p.ClientName, License: p.License, Gateway: p.Gateway,
		Account: p.Account, Covers: p.Covers, From: p.From, Granted: p.LastGranted, Expires: p.Expires, Evidence: s.evidenceURL(p.Evidence)}
}

func (s *Service) evidenceURL(key string) string { return s.issuer.String() + "/evidence/" + key }

// CheckToken checks the bearer token of a request that came over mTLS: it must
// be a live access token of a live permission, shown by the client that it was
// given to. It ends with the refresh token beside it: where that is ended while
// another transaction makes an access token of it, the two do not see one another.
// Roles, licence and covers are the caller's to check. Refusals are *Error, to be
// sent with its Write.
func (s *Service) CheckToken(r *http.Request) (Access, error) {
	client, err := s.peer(r)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e = unauthorized("invalid_token", e.Description) // RFC 6750 knows no invalid_client
			return Access{}, e
		}
		return Access{}, err
	}
	token, err := bearer(r)
	if err != nil {
		return Access{}, err
	}
	now := s.now()
	p, err := scanRow(s.db.QueryRowContext(r.Context(), rowColumns+`JOIN oauth_tokens a ON a.permission = p.id
		WHERE a.hash = $2 AND a.kind = 'access' AND a.client = $3 AND a.revoked = 0 AND a.expires > $1 AND p.revoked = 0 AND p.expires > $1
			AND EXISTS (SELECT 1 FROM oauth_tokens f WHERE f.grant_id = a.grant_id AND f.kind = 'refresh' AND f.revoked = 0 AND f.expires > $1)`,
		now.Unix(), hashOf(token), client.Application))
	if errors.Is(err, sql.ErrNoRows) {
		return Access{}, unauthorized("invalid_token", "the access token is unknown, ended or not yours")
	}
	if err != nil {
		return Access{}, err
	}
	return s.access(p), nil
}

// bearer reads the token of the Authorization header, the only place where one
// is taken (RFC 6750, section 2.1).
func bearer(r *http.Request) (string, error) {
	hs := r.Header.Values("Authorization")
	if len(hs) == 0 {
		return "", &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "send an access token as Authorization: Bearer", anonymous: true}
	}
	scheme, token, ok := strings.Cut(hs[0], " ")
	if len(hs) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 || strings.ContainsAny(token, " \t") {
		return "", unauthorized("invalid_token", "send one access token as Authorization: Bearer")
	}
	return token, nil
}

// Permissions gives every live permission, in the order of their gateways.
func (s *Service) Permissions(ctx context.Context) ([]Access, error) {
	now := s.now()
	ps, err := s.rows(ctx, now, `WHERE p.revoked = 0 AND p.expires > $1 ORDER BY p.gateway, p.granted, p.id`)
	if err != nil {
		return nil, err
	}
	var out []Access
	for _, p := range ps {
		if p.live(now) {
			out = append(out, s.access(p))
		}
	}
	return out, nil
}

// LiveGrants gives what the gateway's live permissions cover at the instant now.
func (s *Service) LiveGrants(ctx context.Context, gateway string, now time.Time) ([]grant.Grant, error) {
	ps, err := s.rows(ctx, now, `WHERE p.gateway = $2 AND p.revoked = 0 AND p.expires > $1 ORDER BY p.granted, p.id`, gateway)
	if err != nil {
		return nil, err
	}
	var out []grant.Grant
	for _, p := range ps {
		if p.live(now) {
			out = append(out, p.grant())
		}
	}
	return out, nil
}

// grant is a permission as a gateway needs to know it. Granted is the first
// grant: a renewal must not open a gap where the gateway's clock is behind.
func (p row) grant() grant.Grant {
	return grant.Grant{ID: p.ID, Gateway: p.Gateway, License: p.License, Client: p.Client, Name: p.ClientName, Parts: p.Parts, Covers: p.Covers,
		From: p.From, Granted: p.Granted, Expires: p.Expires, Revoked: p.Revoked}
}
