package permission

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The kinds of token.
const (
	kindRefresh = "refresh"
	kindAccess  = "access"
)

// serveToken is the token endpoint.
func (s *Service) serveToken(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	switch f.Get("grant_type") {
	case "authorization_code":
		return s.redeem(w, r, client, f)
	case "refresh_token":
		return s.refresh(w, r, client, f)
	case "":
		return bad("invalid_request", "grant_type is missing")
	}
	return bad("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
}

// issued is a token response under way.
type issued struct {
	access, refresh, license string
	life                     time.Duration
}

func (i issued) write(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, map[string]any{"access_token": i.access, "token_type": "Bearer",
		"expires_in": int(i.life / time.Second), "refresh_token": i.refresh, "scope": i.license})
}

var errCode = bad("invalid_grant", "the code is unknown, used or run out, or client, redirect_uri or code_verifier do not belong to it")

// redeem turns a code into tokens. One statement checks and uses it up; a code
// that comes again takes the tokens that it gave with it.
func (s *Service) redeem(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	verifier := f.Get("code_verifier")
	if err := checkVerifier(verifier); err != nil {
		return err
	}
	if f.Get("code") == "" || f.Get("redirect_uri") == "" {
		return bad("invalid_request", "code and redirect_uri are needed")
	}
	var out issued
	var gateway string
	var refused error
	ctx, code := r.Context(), hashOf(f.Get("code"))
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		out, gateway, refused = issued{}, "", nil
		var entry, permission, member string
		err := tx.QueryRowContext(ctx, `UPDATE oauth_codes SET used = $1
			WHERE hash = $2 AND client = $3 AND redirect_uri = $4 AND challenge = $5 AND used = 0 AND expires > $1
			RETURNING grant_id, permission`,
			now.Unix(), code, client.Application, f.Get("redirect_uri"), challengeOf(verifier)).Scan(&entry, &permission)
		if errors.Is(err, sql.ErrNoRows) {
			refused = errCode
			gateway, err = s.killReplayed(ctx, tx, code, client.Application)
			return err
		}
		if err != nil {
			return err
		}
		// The lock keeps a withdrawal at the same time before or after all this.
		var expires int64
		err = tx.QueryRowContext(ctx, `SELECT gateway, license, expires, member FROM permissions
			WHERE id = $1 AND revoked = 0 AND expires > $2`+s.db.ForUpdate(), permission, now.Unix()).Scan(&gateway, &out.license, &expires, &member)
		if errors.Is(err, sql.ErrNoRows) {
			gateway, refused = "", errCode
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := s.mayUse(client, out.license); err != nil {
			return err
		}
		if member == "" {
			if err := s.learn(ctx, tx, permission, client); err != nil {
				return err
			}
		}
		t := tokenRow{entry: entry, permission: permission, client: client.Application, now: now, end: time.Unix(expires, 0)}
		if out.refresh, _, err = s.newToken(ctx, tx, kindRefresh, t); err != nil {
			return err
		}
		if out.access, out.life, err = s.newToken(ctx, tx, kindAccess, t); err != nil {
			return err
		}
		return s.bump(ctx, tx, gateway)
	})
	if err != nil {
		return err
	}
	if gateway != "" {
		s.changed(gateway)
	}
	if refused != nil {
		return refused
	}
	out.write(w)
	return nil
}

// killReplayed ends the tokens that a code gave when the client that owns it
// shows it again (RFC 6749, section 4.1.2). Another client cannot do this: its
// attempt finds nothing. It returns the gateway where anything ended.
func (s *Service) killReplayed(ctx context.Context, tx *sql.Tx, code []byte, client string) (gateway string, err error) {
	var entry, permission string
	err = tx.QueryRowContext(ctx, `SELECT grant_id, permission FROM oauth_codes WHERE hash = $1 AND client = $2 AND used <> 0`, code, client).
		Scan(&entry, &permission)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	// Whoever ends tokens locks their permission first: no two can wait for one another.
	err = tx.QueryRowContext(ctx, `SELECT gateway FROM permissions WHERE id = $1`+s.db.ForUpdate(), permission).Scan(&gateway)
	if err != nil {
		return "", err
	}
	res, err := tx.ExecContext(ctx, `UPDATE oauth_tokens SET revoked = $1 WHERE grant_id = $2 AND revoked = 0 AND expires > $1`, s.now().Unix(), entry)
	if err != nil {
		return "", err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return "", err
	}
	s.log.Warn("permission: a code came twice, its tokens ended", "client", client, "grant", entry)
	return gateway, s.bump(ctx, tx, gateway)
}

// refresh gives a new access token. The refresh token stays as it is: FAPI 2
// advises against rotation, and a lost answer would cost the permission.
func (s *Service) refresh(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
	token := f.Get("refresh_token")
	if token == "" {
		return bad("invalid_request", "refresh_token is missing")
	}
	out := issued{refresh: token}
	ctx := r.Context()
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		t := tokenRow{client: client.Application, now: s.now()}
		var expires int64
		var member string
		err := tx.QueryRowContext(ctx, `SELECT t.grant_id, t.permission, t.expires, p.license, p.member
			FROM oauth_tokens t JOIN permissions p ON p.id = t.permission
			WHERE t.hash = $1 AND t.kind = 'refresh' AND t.client = $2 AND t.revoked = 0 AND t.expires > $3 AND p.revoked = 0 AND p.expires > $3`,
			hashOf(token), client.Application, t.now.Unix()).Scan(&t.entry, &t.permission, &expires, &out.license, &member)
		if errors.Is(err, sql.ErrNoRows) {
			return bad("invalid_grant", "the refresh token is unknown, ended or not yours")
		}
		if err != nil {
			return err
		}
		if sc := f.Get("scope"); sc != "" && sc != out.license {
			return bad("invalid_scope", "a permission is for one licence: leave scope out")
		}
		if _, err := s.mayUse(client, out.license); err != nil {
			return err
		}
		if member == "" {
			if err := s.learn(ctx, tx, t.permission, client); err != nil {
				return err
			}
		}
		t.end = time.Unix(expires, 0)
		out.access, out.life, err = s.newToken(ctx, tx, kindAccess, t)
		return err
	})
	if err != nil {
		return err
	}
	out.write(w)
	return nil
}

// tokenRow says what a new token belongs to. end bounds its life.
type tokenRow struct {
	entry, permission, client string
	now, end                  time.Time
}

// newToken makes and stores a token. A refresh token lives as long as the
// permission, as it stands; an access token at most AccessLife.
func (s *Service) newToken(ctx context.Context, tx *sql.Tx, kind string, t tokenRow) (token string, life time.Duration, err error) {
	token, life = newSecret(), t.end.Sub(t.now)
	var sealed []byte
	if kind == kindRefresh {
		sealed = s.seal.sealed(token, t.permission)
	} else {
		life = min(life, AccessLife)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires, sealed)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		hashOf(token), kind, t.entry, t.permission, t.client, t.now.Unix(), t.now.Add(life).Unix(), sealed)
	return token, life, err
}

// checkVerifier applies the form that RFC 7636 gives a code_verifier.
func checkVerifier(v string) error {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	if len(v) < 43 || len(v) > 128 || strings.Trim(v, unreserved) != "" {
		return bad("invalid_request", "code_verifier must be 43 to 128 unreserved characters (PKCE)")
	}
	return nil
}
