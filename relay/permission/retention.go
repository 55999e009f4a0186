package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// For how long a permission's record is kept after its end: the record itself,
// its evidence, the log of its grants (with the browsers' addresses), its
// tokens and its messages.
const (
	// MinKeepEnded is what the scheme wants: refresh tokens fetch their record
	// for 12 months after they end. A few days are added for leap years and
	// clocks.
	MinKeepEnded = 370 * 24 * time.Hour
	// DefaultKeepEnded is the six years in which a contract can be disputed in
	// England and Wales (Limitation Act 1980, section 5).
	DefaultKeepEnded = (6*365 + 2) * 24 * time.Hour
	// keepSealed is for how long the copies of tokens that messages carry stay
	// readable after their permission's end: longer than any message is tried
	// by itself, so that an operator can send a dead letter again.
	keepSealed = 30 * 24 * time.Hour

	forgetAtOnce = 100 // permissions in one round
)

// forgetEnded deletes permissions whose time after their end is over, each in
// a transaction of its own, and the copies of tokens that no message needs any
// more.
//
// It goes over many rows, so it does nothing for an hour after it was done.
func (s *Service) forgetEnded(ctx context.Context) error {
	now := s.now()
	if last := s.forgot.Load(); last != 0 && now.Unix() >= last && now.Sub(unix(last)) < time.Hour {
		return nil
	}
	before := now.Add(-s.c.KeepEnded)
	ids, err := queryAll(ctx, s.db, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM permissions WHERE (revoked <> 0 AND purged <> 0 AND revoked <= $1) OR (revoked = 0 AND expires <= $1) ORDER BY id LIMIT $2`,
		before.Unix(), forgetAtOnce)
	if err != nil {
		return fmt.Errorf("find records to forget: %w", err)
	}
	for _, id := range ids {
		if err := s.db.Write(ctx, func(tx *sql.Tx) error { return s.forget(ctx, tx, id, before) }); err != nil {
			return fmt.Errorf("forget the permission %s: %w", id, err)
		}
		s.log.Info("permission: record and evidence forgotten, its time is over", "permission", id)
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE oauth_tokens SET sealed = NULL WHERE sealed IS NOT NULL AND permission IN
			(SELECT id FROM permissions WHERE (revoked <> 0 AND revoked <= $1) OR expires <= $1)`, now.Add(-keepSealed).Unix())
		return err
	})
	if err == nil && len(ids) < forgetAtOnce {
		s.forgot.Store(now.Unix())
	}
	return err
}

// forget deletes a permission with all that hangs on it, if it still is one
// that ended before an instant: it may have been renewed since it was looked for.
func (s *Service) forget(ctx context.Context, tx *sql.Tx, id string, before time.Time) error {
	err := tx.QueryRowContext(ctx, `SELECT id FROM permissions WHERE id = $1
		AND ((revoked <> 0 AND purged <> 0 AND revoked <= $2) OR (revoked = 0 AND expires <= $2))`+s.db.ForUpdate(), id, before.Unix()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM messages WHERE permission = $1`,
		`DELETE FROM permission_links WHERE permission = $1 OR relies_on = $1`,
		`DELETE FROM permission_held WHERE permission = $1`,
		`DELETE FROM oauth_codes WHERE permission = $1`,
		`DELETE FROM oauth_tokens WHERE permission = $1`,
		`DELETE FROM permission_grants WHERE permission = $1`,
		`DELETE FROM permissions WHERE id = $1`,
	} {
		if _, err := tx.ExecContext(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}
