package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Who withdrew a permission.
const (
	byUser     = "user"     // the business, on our page
	byClient   = "client"   // the client, by RFC 7009 or by a message
	byMessage  = "message"  // the issuer of a permission of ours that this one relied on
	byLinked   = "linked"   // it relied on a permission that was withdrawn
	byOperator = "operator" // whoever runs the relay, asked by the business
	byGateway  = "gateway"  // somebody before, which the gateway has kept and the relay lost: see told.go
)

// settle is how long after a withdrawal the data is deleted a second time and
// for good: what was being stored at the instant of withdrawal is caught too.
const settle = time.Minute

// withdrawn is a permission that a withdrawal ended.
type withdrawn struct{ ID, Gateway, Client, By, With string }

// withdraw ends a permission and all that rely on it: first in the database, in
// one transaction with its tokens, the gateway's grants and the messages that
// tell the clients; then the waiting gateway is woken; then the data goes. A
// permission that has ended already stays as it is (false). The caller's going
// away does not stop it half-way.
func (s *Service) withdraw(ctx context.Context, permission, by string) (ended bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	all, err := withdraw(ctx, s.db, s.now(), permission, by)
	if err != nil || len(all) == 0 {
		return false, err
	}
	for _, p := range all {
		s.log.Info("permission: withdrawn", "permission", p.ID, "gateway", p.Gateway, "client", p.Client, "by", p.By, "with", p.With)
	}
	gateway := all[0].Gateway // links stay within a gateway
	s.changed(gateway)
	s.outgoing.wake()
	if s.c.OnWithdraw != nil {
		// The withdrawal holds whatever becomes of this; sweep does it again.
		if err := s.c.OnWithdraw(ctx, gateway); err != nil {
			s.log.Error("permission: data of a withdrawn permission not deleted yet, will try again", "gateway", gateway, "error", err)
		}
	}
	return true, nil
}

// withdraw is the part of a withdrawal that is in the database. It gives what
// ended, the permission itself first.
func withdraw(ctx context.Context, db *database.DB, now time.Time, permission, by string) (all []withdrawn, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		all = nil
		first, ok, err := endOne(ctx, tx, now, withdrawn{ID: permission, By: by})
		if err != nil || !ok {
			return err
		}
		all = append(all, first)
		// Recursively; all grows in the loop. A link leads from the newer to the older one, so this ends.
		for i := 0; i < len(all); i++ {
			ids, err := column(ctx, tx, `SELECT permission FROM permission_links WHERE relies_on = $1`, all[i].ID)
			if err != nil {
				return err
			}
			slices.Sort(ids) // two at once take the rows in one order
			for _, id := range ids {
				p, ok, err := endOne(ctx, tx, now, withdrawn{ID: id, By: byLinked, With: all[i].ID})
				if err != nil {
					return err
				}
				if ok {
					all = append(all, p)
				}
			}
		}
		return bump(ctx, tx, now, first.Gateway)
	})
	return all, err
}

// endOne ends one permission with its tokens, and puts the messages to its
// client into the queue. One that has ended already is left alone (false).
func endOne(ctx context.Context, tx *sql.Tx, now time.Time, p withdrawn) (withdrawn, bool, error) {
	err := tx.QueryRowContext(ctx, `UPDATE permissions SET revoked = $1, revoked_by = $2, revoked_with = $3 WHERE id = $4 AND revoked = 0
		RETURNING gateway, client`, now.Unix(), p.By, p.With, p.ID).Scan(&p.Gateway, &p.Client)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	if p.By != byClient { // it knows
		if err := queueMessages(ctx, tx, now, p); err != nil {
			return p, false, err
		}
	}
	// Not those that ran out: tidy deletes them, in another order.
	_, err = tx.ExecContext(ctx, `UPDATE oauth_tokens SET revoked = $1 WHERE permission = $2 AND revoked = 0 AND expires > $1`, now.Unix(), p.ID)
	return p, err == nil, err
}

// column reads a query's only column, of text.
func column(ctx context.Context, tx *sql.Tx, query string, args ...any) (out []string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// sweep does what is due: deletions after withdrawal, and rows that ran out.
func (s *Service) sweep(ctx context.Context) error {
	return errors.Join(s.purge(ctx), s.purgeDropped(ctx), s.tidy(ctx), s.forgetEnded(ctx), s.accounts.Sweep(ctx))
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
			{`DELETE FROM permission_codes WHERE expires <= $1`, now},
		} {
			if _, err := tx.ExecContext(ctx, q.text, q.before.Unix()); err != nil {
				return fmt.Errorf("tidy: %w", err)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM limits WHERE full_at <= $1 AND name <> $2`, now.UnixMilli(), everyone); err != nil {
			return fmt.Errorf("tidy: %w", err)
		}
		return nil
	})
}
