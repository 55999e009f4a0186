package permission

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/account"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

// How a business was recognised when it agreed.
const (
	howGateway = "gateway" // by the code that its gateway shows
	howPrinted = "printed" // by a code that was printed for it, on a bill or a letter
	howAccount = "account" // by an account that had shown such a code
)

// MaxPrinted is the longest that a printed code works.
const MaxPrinted = 400 * 24 * time.Hour

// PrintCode makes a code for a site that can be printed on its bill or on a
// letter: whoever types it on the pages stands for the site, as with the code
// that the gateway shows. It works until life is over or ForgetCodes is called.
// Only its hash is kept.
func PrintCode(ctx context.Context, db *database.DB, now time.Time, gateway, note string, life time.Duration) (code string, err error) {
	if life < 24*time.Hour || life > MaxPrinted {
		return "", fmt.Errorf("permission: a printed code works for 1 to %d days", MaxPrinted/(24*time.Hour))
	}
	code = identity.NewCode()
	err = db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO permission_codes (hash, gateway, note, made, expires) VALUES ($1,$2,$3,$4,$5)`,
			hashOf(code), gateway, clip(cleanName(note), 200), now.Unix(), now.Add(life).Unix())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("permission: make a code: %w: is %s a gateway that has registered with this relay?", err, gateway)
	}
	return code, nil
}

// ForgetCodes ends every printed code of a gateway, and what accounts hold of
// its site by one, and gives how many codes it were.
func ForgetCodes(ctx context.Context, db *database.DB, gateway string) (n int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM permission_codes WHERE gateway = $1`, gateway)
		if err == nil {
			n, err = res.RowsAffected()
		}
		if err == nil {
			_, err = account.EndHoldIn(ctx, tx, gateway, howPrinted)
		}
		return err
	})
	return n, err
}

// Tenancy is what ended with the last one.
type Tenancy struct {
	Permissions int   `json:"permissions"` // that were withdrawn
	Codes       int64 `json:"codes"`       // that had been printed
	Accounts    int64 `json:"accounts"`    // that held the site
}

// EndTenancy ends all that the business which had a site until now has here:
// the code that its gateway shows stands for it no more, nor do printed ones, no
// account holds it, and its permissions are withdrawn, as by the operator (those
// that ran out too, so that nobody renews them). The next business gets a printed
// code, or the gateway a new code of its own; it sees nothing of those
// permissions, and its own reach back to this moment at most.
func EndTenancy(ctx context.Context, db *database.DB, now time.Time, gateway string) (t Tenancy, err error) {
	var stored []byte
	err = db.QueryRowContext(ctx, `SELECT code_hash FROM site WHERE gateway = $1`, gateway).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("permission: %s is no gateway that has registered with this relay", gateway)
	}
	if err == nil { // the codes first: no new permission can come in between
		err = db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO permission_retired (version, gateway, made) VALUES ($1, $2, $3)
				ON CONFLICT (version) DO UPDATE SET gateway = excluded.gateway, made = excluded.made`,
				ingest.CodeVersion(stored), gateway, now.Unix())
			if err == nil { // the gateway is to know it, whether or not a permission ends
				err = bump(ctx, tx, now, gateway)
			}
			return err
		})
	}
	if err == nil {
		t.Codes, err = ForgetCodes(ctx, db, gateway)
	}
	if err == nil {
		t.Accounts, err = account.EndHold(ctx, db, gateway, "")
	}
	if err != nil {
		return t, err
	}
	all, err := List(ctx, db, now, Filter{Gateway: gateway, Limit: 1 << 20})
	ranOut := map[string]bool{}
	for _, p := range all {
		ranOut[p.ID] = p.State == StateEnded
	}
	for _, p := range all {
		if err == nil && p.State != StateWithdrawn {
			var ended []string
			ended, err = Withdraw(ctx, db, now, p.ID)
			for _, id := range ended {
				if !ranOut[id] {
					t.Permissions++
				}
			}
		}
	}
	return t, err
}

// ofTenant holds for permissions p of gateway $2 that the business gave which
// has the site now.
const ofTenant = `p.granted > (SELECT COALESCE(MAX(made), 0) FROM permission_retired WHERE gateway = $2)`

// tenantSince is when the business that has a site took it over: zero where no
// other had it before.
func (s *Service) tenantSince(ctx context.Context, gateway string) (time.Time, error) {
	var made int64
	err := s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(made), 0) FROM permission_retired WHERE gateway = $1`, gateway).Scan(&made)
	if err != nil || made == 0 {
		return time.Time{}, err
	}
	return unix(made), nil
}

// codeOf gives the version of the code that a gateway shows, empty where it has
// not registered, and whether that stands for its site no more.
func (s *Service) codeOf(ctx context.Context, gateway string) (version string, retired bool, err error) {
	var stored []byte
	err = s.db.QueryRowContext(ctx, `SELECT code_hash FROM site WHERE gateway = $1`, gateway).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err == nil {
		version = ingest.CodeVersion(stored)
		retired, err = s.isRetired(ctx, version)
	}
	return version, retired, err
}

func (s *Service) isRetired(ctx context.Context, version string) (bool, error) {
	err := s.db.QueryRowContext(ctx, `SELECT version FROM permission_retired WHERE version = $1`, version).Scan(new(string))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// recognise finds the site of a code, and says what kind of code it is. Its
// error is or wraps ingest.ErrNotFound where there is none.
func (s *Service) recognise(ctx context.Context, code string) (site Site, how string, err error) {
	site, err = s.c.Sites.SiteByCode(ctx, code)
	if err == nil {
		retired, err := s.isRetired(ctx, site.CodeVersion)
		if err == nil && retired {
			err = ingest.ErrNotFound
		}
		if err != nil {
			return Site{}, "", err
		}
		return site, howGateway, nil
	}
	if !errors.Is(err, ingest.ErrNotFound) {
		return site, howGateway, err
	}
	var gateway string
	err = s.db.QueryRowContext(ctx, `SELECT gateway FROM permission_codes WHERE hash = $1 AND expires > $2`, hashOf(code), s.now().Unix()).Scan(&gateway)
	if errors.Is(err, sql.ErrNoRows) {
		return Site{}, "", ingest.ErrNotFound
	}
	if err == nil {
		site, err = s.c.Sites.Site(ctx, gateway)
	}
	return site, howPrinted, err
}
