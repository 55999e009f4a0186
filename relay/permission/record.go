package permission

import (
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Record is a permission record (IB1 permission-records 1.0). Times are
// RFC 3339 in UTC.
type Record struct {
	OAuthIssuer       string    `json:"oauthIssuer"`
	Client            string    `json:"client"`
	License           string    `json:"license"`
	Account           string    `json:"account"`
	LastGranted       time.Time `json:"lastGranted"`
	Expires           time.Time `json:"expires"`
	Evidence          string    `json:"evidence"`
	Revoked           time.Time `json:"revoked,omitzero"` // absent unless revoked
	DataAvailableFrom time.Time `json:"dataAvailableFrom"`
	TokenIssuedAt     time.Time `json:"tokenIssuedAt"`
	TokenExpires      time.Time `json:"tokenExpires"`
}

// serveRecord is the permission endpoint: a client shows one of its refresh
// tokens, live or ended, and gets the record. Access tokens are refused.
func (s *Service) serveRecord(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	token := f.Get("token")
	if token == "" {
		return bad("invalid_request", "token is missing: send the refresh token")
	}
	var issuedAt, expires int64
	p, err := scanRow(s.db.QueryRowContext(r.Context(), `SELECT q.*, k.issued, k.expires FROM oauth_tokens k JOIN (`+rowColumns+`) q ON q.id = k.permission
		WHERE k.hash = $2 AND k.kind = 'refresh' AND k.client = $3`, s.now().Unix(), hashOf(token), client.Application), &issuedAt, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return bad("invalid_grant", "the token is not a refresh token of yours")
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]Record{"permission": {
		OAuthIssuer: s.issuer.String(), Client: p.Client, License: p.License, Account: p.Account,
		LastGranted: p.LastGranted, Expires: p.Expires, Evidence: s.evidenceURL(p.Evidence), Revoked: p.Revoked,
		DataAvailableFrom: p.From, TokenIssuedAt: unix(issuedAt), TokenExpires: unix(expires),
	}})
	return nil
}
