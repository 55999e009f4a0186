package directory

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// Bounds are how much one member can have, so that nobody fills the directory with
// a stolen token or a program gone wild. Zero, or less: the default. What there is
// above a bound that was lowered stays.
type Bounds struct {
	Applications int `yaml:"applications"` // 200
	Sites        int `yaml:"sites"`        // 20,000
	Gateways     int `yaml:"gateways"`     // 40,000
	Certificates int `yaml:"certificates"` // of applications, that are good now; 1,000. Gateways have their own allowance (Renew)
	SiteCodes    int `yaml:"site_codes"`   // of one site, that could be used now; 50
}

func (b Bounds) orDefault() Bounds {
	for _, x := range []struct {
		v *int
		d int
	}{{&b.Applications, 200}, {&b.Sites, 20_000}, {&b.Gateways, 40_000}, {&b.Certificates, 1000}, {&b.SiteCodes, 50}} {
		*x.v = cmp.Or(max(*x.v, 0), x.d)
	}
	return b
}

// nearBound is how far below a bound those who come at once begin to wait for one
// another, so that they do not pass it together.
const nearBound = 64

// room makes sure that a member has fewer than most of what a query counts. Near
// the bound it holds the member until the transaction ends. The refusal says what
// there is, and what to do about it.
func (s *Service) room(ctx context.Context, tx *sql.Tx, member string, most int, what, todo, query string, args ...any) error {
	var n int
	if err := tx.QueryRowContext(ctx, query, args...).Scan(&n); err != nil || n < most-nearBound {
		return err
	}
	if err := lockMember(ctx, tx, member); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, query, args...).Scan(&n); err != nil || n < most {
		return err
	}
	return fault.Clash("limit_reached", fmt.Sprintf("%d %s, and %d are the most that there may be. %s, or ask the directory's operator for more.", n, what, most, todo))
}

// lockMember holds a member until the transaction ends, after the gateway if that
// is held too. It changes nothing.
func lockMember(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE directory_members SET legal_name = legal_name WHERE id = $1`, id)
	return err
}

func (s *Service) roomForApplication(ctx context.Context, tx *sql.Tx, member string) error {
	return s.room(ctx, tx, member, s.Bounds.Applications, "applications are there", "Delete one that is not used",
		`SELECT COUNT(*) FROM directory_applications WHERE member = $1`, member)
}

func (s *Service) roomForSite(ctx context.Context, tx *sql.Tx, member string) error {
	return s.room(ctx, tx, member, s.Bounds.Sites, "sites are there", "Use one of them",
		`SELECT COUNT(*) FROM directory_sites WHERE member = $1`, member)
}

func (s *Service) roomForGateway(ctx context.Context, tx *sql.Tx, member string) error {
	return s.room(ctx, tx, member, s.Bounds.Gateways, "gateways are there", "Give a new code to one that is not used any more",
		`SELECT COUNT(*) FROM directory_gateways WHERE member = $1`, member)
}

func (s *Service) roomForCertificate(ctx context.Context, tx *sql.Tx, member string) error {
	return s.room(ctx, tx, member, s.Bounds.Certificates, "certificates of applications are good", "Revoke those that are not used any more",
		`SELECT COUNT(*) FROM directory_certificates WHERE member = $1 AND not_after > $2 AND revoked_at IS NULL AND gateway IS NULL`, member, s.Now().Unix())
}

func (s *Service) roomForCode(ctx context.Context, tx *sql.Tx, g Gateway) error {
	return s.room(ctx, tx, g.Member, s.Bounds.SiteCodes, "codes of this site could be used now", "Use or withdraw one, or wait until they end",
		`SELECT COUNT(*) FROM directory_codes c JOIN directory_gateways g ON g.id = c.gateway WHERE g.site_id = $1 AND c.used_at IS NULL AND c.expires_at > $2`, g.SiteID, s.Now().Unix())
}
