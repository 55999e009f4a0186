package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Linked permissions (IB1 withdrawal-of-permission 1.0): one that relies on
// another falls with it. There are two kinds of link here.
//
// Within the relay: a bank's permission for emissions names the relay's member
// as the one who works them out. Where that member holds a permission of its
// own for the site's consumption, the bank's relies on it from then on. Who is
// that member is said by its URL, in its certificates and in ours: another
// member may have the same name.
//
// To the outside: a permission of ours may rest on data that our member has
// under a permission that another provider issued. Hold records that; the
// message by which that provider withdraws it then ends ours (message_in.go).

// reliedOn finds, and locks, the permissions that one about to be granted will
// rely on. Only emissions rely on others, which are for the first leg
// themselves: so links never go round in circles. The locks come before that
// on the new one, as in a withdrawal: no two can wait for one another.
func (s *Service) reliedOn(ctx context.Context, tx *sql.Tx, gateway, license string) ([]string, error) {
	if license != s.c.Scheme.LicenseEmissions() {
		return nil, nil
	}
	return column(ctx, tx, `SELECT id FROM permissions
		WHERE gateway = $1 AND member = $2 AND license IN ($3, $4) AND parts LIKE 'cap%' AND revoked = 0 AND expires > $5
		ORDER BY id`+s.db.ForUpdate(),
		gateway, s.member, s.c.Scheme.LicenseConsumption(), s.c.Scheme.LicenseCombined(), s.now().Unix())
}

// link records what a permission relies on.
func (s *Service) link(ctx context.Context, tx *sql.Tx, permission string, on []string) error {
	for _, id := range on {
		_, err := tx.ExecContext(ctx, `INSERT INTO permission_links (permission, relies_on, made) VALUES ($1,$2,$3)
			ON CONFLICT (permission, relies_on) DO NOTHING`, permission, id, s.now().Unix())
		if err != nil {
			return fmt.Errorf("record what the permission relies on: %w", err)
		}
	}
	return nil
}

// notReliedOn drops the links to a permission of another member than our own.
// Before migration 12 they went by the member's name.
func (s *Service) notReliedOn(ctx context.Context, tx *sql.Tx, permission, member string) error {
	if member == s.member || member == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM permission_links WHERE relies_on = $1`, permission); err != nil {
		return fmt.Errorf("drop links to another member's permission: %w", err)
	}
	return nil
}

// learn notes the member of a permission's client, by its certificate, where
// the permission is older than our knowing it (migration 12), and sets right
// what relies on it: nothing does where it is another member's; where it is our
// own, so do the permissions that were given while we did not know.
func (s *Service) learn(ctx context.Context, tx *sql.Tx, permission string, client identity.Peer) error {
	var gateway, parts string
	var granted int64
	err := tx.QueryRowContext(ctx, `UPDATE permissions SET member = $1 WHERE id = $2 AND client = $3 AND member = '' AND revoked = 0
		RETURNING gateway, parts, granted`, client.Member, permission, client.Application).Scan(&gateway, &parts, &granted)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note the client's member: %w", err)
	}
	if client.Member != s.member || !strings.HasPrefix(parts, partCAP) {
		return s.notReliedOn(ctx, tx, permission, client.Member)
	}
	ids, err := column(ctx, tx, `SELECT id FROM permissions WHERE gateway = $1 AND license = $2 AND revoked = 0 AND last_granted >= $3 ORDER BY id`,
		gateway, s.c.Scheme.LicenseEmissions(), granted)
	if err != nil {
		return fmt.Errorf("find what relies on the permission: %w", err)
	}
	for _, id := range ids {
		if err := s.link(ctx, tx, id, []string{permission}); err != nil {
			return err
		}
	}
	return nil
}

// givenUp withdraws a permission for its client, which has shown its token.
func (s *Service) givenUp(ctx context.Context, permission string, client identity.Peer) (ended bool, err error) {
	var id string
	err = s.db.QueryRowContext(ctx, `SELECT id FROM permissions WHERE id = $1 AND member = ''`, permission).Scan(&id)
	if err == nil { // first what hangs on it
		err = s.db.Write(ctx, func(tx *sql.Tx) error { return s.learn(ctx, tx, permission, client) })
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	return s.withdraw(ctx, permission, byClient)
}

// dependants gives, for each of a gateway's permissions, those that would fall
// with it.
func (s *Service) dependants(ctx context.Context, gateway string) (map[string][]string, error) {
	out := map[string][]string{}
	_, err := queryAll(ctx, s.db, func(r *sql.Rows) (struct{}, error) {
		var dependant, on string
		err := r.Scan(&dependant, &on)
		out[on] = append(out[on], dependant)
		return struct{}{}, err
	}, `SELECT l.permission, l.relies_on FROM permission_links l JOIN permissions p ON p.id = l.permission
		WHERE p.gateway = $1 AND p.revoked = 0 ORDER BY p.granted, p.id`, gateway)
	return out, err
}

// Hold records that a permission relies on one that another provider issued to
// our member. issuer is the application from which that provider sends its
// messages; token is the refresh token that the other permission gave. The
// token itself is not kept.
func Hold(ctx context.Context, db *database.DB, now time.Time, permission, issuer, token string) error {
	if token == "" || !absolute(issuer) {
		return errors.New("permission: give the refresh token and the URL of the application that may withdraw it")
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		var there string
		err := tx.QueryRowContext(ctx, `SELECT id FROM permissions WHERE id = $1 AND revoked = 0`+db.ForUpdate(), permission).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("permission: %s: there is no such permission, or it was withdrawn", permission)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO permission_held (permission, hash, issuer, made) VALUES ($1,$2,$3,$4)
				ON CONFLICT (permission, hash) DO UPDATE SET issuer = excluded.issuer`, permission, hashOf(token), issuer, now.Unix())
		}
		return err
	})
}
