package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Site is a site that an account holds. It is good as long as the gateway's
// code is of the version that it was when a code of the site was shown: who
// uses a Site must compare.
type Site struct {
	ID      string
	Gateway string
	Version string
	Name    string // as it was called when its code was shown
	How     string // which code it was: see the caller
	Made    time.Time
}

// sitesEach bounds how many sites an account may hold.
const sitesEach = 200

// AddSite lets an account hold a site. One that it holds is renewed.
func (s *Service) AddSite(ctx context.Context, account string, x Site) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error { return s.addSite(ctx, tx, account, x) })
}

func (s *Service) addSite(ctx context.Context, tx *sql.Tx, account string, x Site) error {
	if err := s.lock(ctx, tx, account); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM account_sites WHERE account = $1 AND gateway <> $2`, account, x.Gateway).Scan(&n); err != nil {
		return err
	}
	if n >= sitesEach {
		return ErrFull
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO account_sites (id, account, gateway, version, name, how, made) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, gateway) DO UPDATE SET version = excluded.version, name = excluded.name, how = excluded.how, made = excluded.made`,
		newSecret(), account, x.Gateway, x.Version, x.Name, x.How, s.Now().Unix())
	return err
}

// lock takes the account's row for the rest of the transaction. ErrNotFound:
// it was deleted.
func (s *Service) lock(ctx context.Context, tx *sql.Tx, account string) error {
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM accounts WHERE id = $1`+s.DB.ForUpdate(), account).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// Sites lists what an account holds, by name.
func (s *Service) Sites(ctx context.Context, account string) ([]Site, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT id, gateway, version, name, how, made FROM account_sites WHERE account = $1 ORDER BY name, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Site
	for rows.Next() {
		var x Site
		var made int64
		if err := rows.Scan(&x.ID, &x.Gateway, &x.Version, &x.Name, &x.How, &made); err != nil {
			return nil, err
		}
		x.Made = time.Unix(made, 0).UTC()
		out = append(out, x)
	}
	return out, rows.Err()
}

// RemoveSite ends an account's hold on a site. It does not matter whether
// there was one.
func (s *Service) RemoveSite(ctx context.Context, account, id string) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM account_sites WHERE account = $1 AND id = $2`, account, id)
		return err
	})
}

// Holders is how many accounts hold a site at a version of its code.
func (s *Service) Holders(ctx context.Context, gateway, version string) (n int, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM account_sites WHERE gateway = $1 AND version = $2`, gateway, version).Scan(&n)
	return n, err
}

// EndHold ends what all accounts hold of a site: all of it, or only what was
// got by one kind of code.
func EndHold(ctx context.Context, db *database.DB, gateway, how string) (n int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		n, err = EndHoldIn(ctx, tx, gateway, how)
		return err
	})
	return n, err
}

// EndHoldIn is EndHold within a transaction.
func EndHoldIn(ctx context.Context, tx *sql.Tx, gateway, how string) (int64, error) {
	res, err := tx.ExecContext(ctx, `DELETE FROM account_sites WHERE gateway = $1 AND ($2 = '' OR how = $2)`, gateway, how)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
