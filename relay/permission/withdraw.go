package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Who withdrew a permission.
const (
	byUser   = "user"
	byClient = "client"
)

// settle is how long after a withdrawal the data is deleted a second time and
// for good: what was being stored at the instant of withdrawal is caught too.
const settle = time.Minute

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
		if _, err := s.withdraw(r.Context(), permission, byClient); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// withdraw ends a permission: first in the database, in one transaction with
// its tokens and the gateway's grants; then the waiting gateway is woken; then
// the data goes. A permission that has ended already stays as it is (false).
// The caller's going away does not stop it half-way.
func (s *Service) withdraw(ctx context.Context, permission, by string) (ended bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var gateway string
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		now := s.now().Unix()
		gateway = ""
		err := tx.QueryRowContext(ctx, `UPDATE permissions SET revoked = $1, revoked_by = $2 WHERE id = $3 AND revoked = 0 RETURNING gateway`,
			now, by, permission).Scan(&gateway)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		// Not those that ran out: tidy deletes them, in another order.
		if _, err := tx.ExecContext(ctx, `UPDATE oauth_tokens SET revoked = $1 WHERE permission = $2 AND revoked = 0 AND expires > $1`, now, permission); err != nil {
			return err
		}
		return s.bump(ctx, tx, gateway)
	})
	if err != nil || gateway == "" {
		return false, err
	}
	s.log.Info("permission: withdrawn", "permission", permission, "gateway", gateway, "by", by)
	s.changed(gateway)
	if s.c.OnWithdraw != nil {
		// The withdrawal holds whatever becomes of this; sweep does it again.
		if err := s.c.OnWithdraw(ctx, gateway); err != nil {
			s.log.Error("permission: data of a withdrawn permission not deleted yet, will try again", "gateway", gateway, "error", err)
		}
	}
	return true, nil
}

// sweep does what is due: deletions after withdrawal, and rows that ran out.
func (s *Service) sweep(ctx context.Context) error {
	return errors.Join(s.purge(ctx), s.tidy(ctx))
}

// purge deletes, for good, the data of permissions that were withdrawn a
// minute and more ago.
func (s *Service) purge(ctx context.Context) error {
	due, err := queryAll(ctx, s.db, func(rows *sql.Rows) (p [2]string, err error) { return p, rows.Scan(&p[0], &p[1]) },
		`SELECT id, gateway FROM permissions WHERE revoked <> 0 AND purged = 0 AND revoked <= $1 ORDER BY gateway`, s.now().Add(-settle).Unix())
	if err != nil {
		return err
	}
	done := map[string]error{} // by gateway
	for _, p := range due {
		id, gateway := p[0], p[1]
		err, ok := done[gateway]
		if !ok && s.c.OnWithdraw != nil {
			err = s.c.OnWithdraw(ctx, gateway)
		}
		if done[gateway] = err; err != nil {
			continue
		}
		if err := s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE permissions SET purged = $1 WHERE id = $2`, s.now().Unix(), id)
			return err
		}); err != nil {
			return err
		}
	}
	var failed []error
	for gateway, err := range done {
		if err != nil {
			failed = append(failed, fmt.Errorf("delete withdrawn data of %s: %w", gateway, err))
		}
	}
	return errors.Join(failed...)
}

// tidy drops what ran out. Codes stay for a day, so that a late replay is
// still known for one. Refresh tokens stay: they fetch their record for a year
// and more after their end.
func (s *Service) tidy(ctx context.Context) error {
	now := s.now()
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		for _, q := range []struct {
			text   string
			before time.Time
		}{
			{`DELETE FROM oauth_requests WHERE expires <= $1`, now},
			{`DELETE FROM oauth_codes WHERE expires <= $1`, now.Add(-24 * time.Hour)},
			{`DELETE FROM oauth_tokens WHERE kind = 'access' AND expires <= $1`, now},
		} {
			if _, err := tx.ExecContext(ctx, q.text, q.before.Unix()); err != nil {
				return fmt.Errorf("tidy: %w", err)
			}
		}
		return nil
	})
}

// RefreshTokens opens the stored copies of a permission's refresh tokens:
// what a withdrawal message has to carry.
func (s *Service) RefreshTokens(ctx context.Context, permission string) ([]string, error) {
	sealed, err := queryAll(ctx, s.db, func(rows *sql.Rows) (b []byte, err error) { return b, rows.Scan(&b) },
		`SELECT sealed FROM oauth_tokens WHERE permission = $1 AND kind = 'refresh' ORDER BY issued`, permission)
	if err != nil {
		return nil, err
	}
	tokens := make([]string, len(sealed))
	for i, b := range sealed {
		if tokens[i], err = s.seal.open(b, permission); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
