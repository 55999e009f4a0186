package permission

import (
	"database/sql"
	"errors"
	"net/http"
	"net/url"

	"github.com/perseus-edge/perseus-edge/identity"
)

// serveRevoke is the revocation endpoint (RFC 7009). Revoking a refresh token
// withdraws its permission; an access token ends alone. Unknown tokens are
// answered like known ones.
func (s *Service) serveRevoke(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	token := f.Get("token")
	if token == "" {
		return bad("invalid_request", "token is missing")
	}
	var kind, owner, permission string
	err := s.db.QueryRowContext(r.Context(), `SELECT kind, client, permission FROM oauth_tokens WHERE hash = $1`, hashOf(token)).
		Scan(&kind, &owner, &permission)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case owner != client.Application:
		return bad("invalid_grant", "the token was not issued to you")
	case kind == kindAccess:
		err = s.db.Write(r.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(r.Context(), `UPDATE oauth_tokens SET revoked = $1 WHERE hash = $2 AND revoked = 0`, s.now().Unix(), hashOf(token))
			return err
		})
		if err != nil {
			return err
		}
	default:
		if _, err := s.givenUp(r.Context(), permission, client); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}
