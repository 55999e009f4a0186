package account

import (
	"context"
	"database/sql"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Members gives the ids of the members that a person owns, sorted.
func (s *Service) Members(ctx context.Context, account string) ([]string, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT member FROM directory_account_members WHERE account = $1 ORDER BY member`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// MayActFor says whether a person may act for a member: as one of its owners,
// or as an administrator of the directory.
func (s *Service) MayActFor(ctx context.Context, a Account, member string) (ok bool, err error) {
	if a.Administrator {
		return true, nil
	}
	err = s.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_account_members WHERE account = $1 AND member = $2)`, a.ID, member).Scan(&ok)
	return ok, err
}

// Owners lists the people who own a member, by address.
func (s *Service) Owners(ctx context.Context, member string) ([]Account, error) {
	return accounts(ctx, s.DB, `SELECT `+accountColumns+` FROM directory_accounts WHERE id IN (SELECT account FROM directory_account_members WHERE member = $1) ORDER BY email`, member)
}

// AccountsAtOnce bounds what Accounts gives.
const AccountsAtOnce = 100

// Accounts lists accounts by address, from after on, whose address or name
// holds a text.
func (s *Service) Accounts(ctx context.Context, after, text string) ([]Account, error) {
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(strings.TrimSpace(text))) + "%"
	return accounts(ctx, s.DB, `SELECT `+accountColumns+` FROM directory_accounts WHERE email > $1 AND (email LIKE $2 ESCAPE '\' OR LOWER(name) LIKE $2 ESCAPE '\') ORDER BY email LIMIT $3`,
		after, like, AccountsAtOnce)
}

func accounts(ctx context.Context, q querier, query string, args ...any) ([]Account, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Account
	for rows.Next() {
		var a Account
		if err := a.scan(rows.Scan); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Disown ends that a person acts for a member, by the member API too, and with
// it the invitations to the member that the person made, and those that wait
// for the person. ErrLast: somebody must be left to act for it. ErrNotFound:
// the person does not own it.
func (s *Service) Disown(ctx context.Context, account, member string) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		a, err := find(ctx, tx, "id", account)
		if err != nil {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM directory_links WHERE member = $1 AND used_at IS NULL AND (made_by = $2 OR (kind = 'invite' AND email = $3))`, member, a.ID, a.Email)
		if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_owners WHERE member = $1 AND email = $2`, member, a.Email); err != nil {
			return nil, err
		}
		// All owners' rows first, so that two removals at once wait for one another.
		r, err := tx.ExecContext(ctx, `UPDATE directory_account_members SET created_at = created_at WHERE member = $1`, member)
		if err != nil {
			return nil, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return nil, err
		}
		r, err = tx.ExecContext(ctx, `DELETE FROM directory_account_members WHERE account = $1 AND member = $2`, account, member)
		if err := one(r, err, ErrNotFound); err != nil {
			return nil, err
		}
		if n <= 1 {
			return nil, ErrLast
		}
		done := event("account.owner-remove", a, a.Email+" does not act for the organisation any more")
		done.Member = member
		return []audit.Event{done}, nil
	})
}

// endLinks ends the links that an administrator who leaves has made, whoever
// they are for, and those that would bring the rank back. It comes before the
// accounts' rows are touched: whoever uses a link takes both in that order.
func (s *Service) endLinks(ctx context.Context, tx *sql.Tx, a Account) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM directory_links WHERE used_at IS NULL AND (made_by = $1 OR (kind = 'invite' AND administrator AND email = $2))`, a.ID, a.Email)
	return err
}

// Demote makes an administrator a person like others; all sessions of that
// person end, and so do the links that the person made. ErrLast: there is no
// other administrator.
func (s *Service) Demote(ctx context.Context, id string) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		a, err := find(ctx, tx, "id", id)
		if err != nil {
			return nil, err
		}
		if err := s.endLinks(ctx, tx, a); err != nil {
			return nil, err
		}
		left, err := s.administrators(ctx, tx)
		if err != nil {
			return nil, err
		}
		r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET administrator = FALSE, epoch = epoch + 1 WHERE id = $1 AND administrator`, id)
		if err := one(r, err, ErrNotFound); err != nil {
			return nil, err
		}
		if left == 1 {
			return nil, ErrLast
		}
		return []audit.Event{event("account.demote", a, a.Email+" is no administrator any more")}, nil
	})
}

// administrators counts them, and has changes to them at once wait for one
// another.
func (s *Service) administrators(ctx context.Context, tx *sql.Tx) (int64, error) {
	r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET epoch = epoch WHERE administrator`)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Close deletes an account with all that belongs to it, the links that the
// person made and the person's token of the member API. ErrLast: it is the only
// administrator's. Organisations may be left without an owner: an administrator
// invites another.
func (s *Service) Close(ctx context.Context, id string) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		a, err := find(ctx, tx, "id", id)
		if err != nil {
			return nil, err
		}
		if err := s.endLinks(ctx, tx, a); err != nil {
			return nil, err
		}
		administrators, err := s.administrators(ctx, tx)
		if err != nil {
			return nil, err
		}
		if a, err = find(ctx, tx, "id", id); err != nil { // as it is now
			return nil, err
		}
		for _, q := range []string{`DELETE FROM directory_owners WHERE email = $1`, `DELETE FROM directory_tokens WHERE owner = $1`} {
			if _, err := tx.ExecContext(ctx, q, a.Email); err != nil {
				return nil, err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_accounts WHERE id = $1`, id); err != nil {
			return nil, err
		}
		if a.Administrator && administrators == 1 {
			return nil, ErrLast
		}
		return []audit.Event{event("account.close", a, a.Name+" <"+a.Email+">")}, nil
	})
}
