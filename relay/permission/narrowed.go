package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// narrows gives the instant now, in unix seconds, where an offer renews a
// permission and leaves out something that it covers, else 0. It locks the
// permission: what is read is what will be replaced.
func (s *Service) narrows(ctx context.Context, tx *sql.Tx, a asked, o offer) (int64, error) {
	var text string
	err := tx.QueryRowContext(ctx, `SELECT covers FROM permissions WHERE client = $1 AND license = $2 AND gateway = $3 AND revoked = 0`+s.db.ForUpdate(),
		a.Client, a.License, o.Site.Gateway).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find what is renewed: %w", err)
	}
	before, err := decodeCovers(text)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(before, func(c grant.Cover) bool { return !slices.Contains(o.Covers, c) }) {
		return s.now().Unix(), nil
	}
	return 0, nil
}

// dueNow has Run look at once for what is due.
func (s *Service) dueNow() {
	select {
	case s.due <- struct{}{}:
	default: // it will
	}
}

// purgeDropped deletes what permissions covered until they were renewed for
// less: at once, and a minute later for good, as after a withdrawal. It is not
// done while the business waits for the page: the code that leads on from there
// is good for a minute.
func (s *Service) purgeDropped(ctx context.Context) error {
	type dropped struct {
		id, gateway string
		at          int64
	}
	due, err := queryAll(ctx, s.db, func(r *sql.Rows) (d dropped, err error) { return d, r.Scan(&d.id, &d.gateway, &d.at) },
		`SELECT id, gateway, narrowed FROM permissions WHERE narrowed <> 0 ORDER BY gateway, id`)
	if err != nil {
		return fmt.Errorf("find what renewals dropped: %w", err)
	}
	last := s.now().Add(-settle).Unix()
	var failed []error
	for i, d := range due {
		if s.c.OnNarrow != nil && (i == 0 || due[i-1].gateway != d.gateway) {
			err = s.c.OnNarrow(ctx, d.gateway)
			if err != nil {
				failed = append(failed, fmt.Errorf("delete what a renewal dropped of %s: %w", d.gateway, err))
			}
		}
		if err != nil || d.at > last {
			continue
		}
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE permissions SET narrowed = 0 WHERE id = $1 AND narrowed = $2`, d.id, d.at)
			return err
		})
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
