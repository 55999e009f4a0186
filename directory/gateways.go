package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// Gateway is a device at a site that a member runs.
type Gateway struct {
	ID          string    // short, in URLs; empty when added: one is made
	Member      string    // id of the member that runs it; empty: that of the application
	Application string    // id of the member's application it belongs to, may be empty
	Name        string    // at most 200 characters
	SiteID      string    // id of its site; empty when added: the member's site that is called Site, made if need be
	Site        string    // name of its site; not public
	Outcode     string    // of its site, may be empty; set by the directory
	Created     time.Time // set by the directory
	Enrolled    time.Time // last enrolment; zero: never
}

func (g *Gateway) check() error {
	site := error(nil)
	if g.SiteID == "" {
		site = form.Text("site", g.Site, 200)
	}
	return errors.Join(form.ID(g.ID), form.Text("name", g.Name, 200), site)
}

// AddGateway adds a gateway and returns its one-time enrolment code, which the
// directory keeps only as a hash.
func (s *Service) AddGateway(ctx context.Context, g Gateway) (Gateway, string, error) {
	g, code, err := s.OpenGateway(ctx, g)
	return g, code.Text, err
}

// OpenGateway is AddGateway with all there is to show of the code.
func (s *Service) OpenGateway(ctx context.Context, g Gateway) (Gateway, Code, error) {
	if g.ID == "" {
		g.ID = form.NewID()
	}
	if err := g.check(); err != nil {
		return Gateway{}, Code{}, err
	}
	var code Code
	err := s.InTx(ctx, func(tx *sql.Tx) (err error) {
		if g, err = s.addGateway(ctx, tx, g); err == nil {
			code, err = s.newCode(ctx, tx, g)
		}
		return err
	})
	if err != nil {
		return Gateway{}, Code{}, err
	}
	return g, code, nil
}

func (s *Service) addGateway(ctx context.Context, tx *sql.Tx, g Gateway) (Gateway, error) {
	g.Created, g.Enrolled = s.Now().UTC().Truncate(time.Second), time.Time{}
	if g.Application != "" {
		a, err := application(ctx, tx, g.Application)
		if err != nil {
			return Gateway{}, err
		}
		if g.Member == "" {
			g.Member = a.Member
		}
		if g.Member != a.Member {
			return Gateway{}, fault.Invalid("application %s belongs to another member", a.ID)
		}
	}
	if _, err := member(ctx, tx, g.Member); err != nil {
		return Gateway{}, err
	}
	if err := s.roomForGateway(ctx, tx, g.Member); err != nil {
		return Gateway{}, err
	}
	x, err := s.siteFor(ctx, tx, g)
	if err != nil {
		return Gateway{}, err
	}
	g.SiteID, g.Site, g.Outcode = x.ID, x.Name, x.Outcode
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_gateways (id, member, application, name, site_id, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		g.ID, g.Member, null(g.Application), g.Name, g.SiteID, g.Created.Unix())
	if err := one(r, err, fault.ErrExists, "gateway", g.ID); err != nil {
		return Gateway{}, err
	}
	s.audit(tx, audit.Event{Action: "gateway.add", Subject: "gateway/" + g.ID, Member: g.Member, After: g})
	return g, nil
}

// siteFor finds the site of a gateway that is added: by its id, or the member's
// by name, which is made where there is none (its outcode is then unknown).
func (s *Service) siteFor(ctx context.Context, tx *sql.Tx, g Gateway) (Site, error) {
	if g.SiteID != "" {
		x, err := site(ctx, tx, `id = $1`, g.SiteID)
		if err == nil && x.Member != g.Member {
			err = fault.ErrNotFound
		}
		return x, err
	}
	x, err := site(ctx, tx, `member = $1 AND name = $2`, g.Member, g.Site)
	if errors.Is(err, fault.ErrNotFound) {
		return s.addSite(ctx, tx, Site{ID: form.NewID(), Member: g.Member, Name: g.Site})
	}
	return x, err
}

// Gateway finds a gateway by its id.
func (s *Service) Gateway(ctx context.Context, id string) (Gateway, error) {
	return s.gateway(ctx, s.DB, id)
}

// GatewayOf is Gateway for a member: ErrNotFound also where it is another's.
func (s *Service) GatewayOf(ctx context.Context, member, id string) (Gateway, error) {
	g, err := s.Gateway(ctx, id)
	if err == nil && g.Member != member {
		return Gateway{}, fault.ErrNotFound
	}
	return g, err
}

// Gateways lists a member's gateways.
func (s *Service) Gateways(ctx context.Context, member string) (out []Gateway, err error) {
	err = each(ctx, s.DB, `SELECT `+gatewayColumns+` WHERE g.member = $1 ORDER BY g.id`, member, func(scan func(...any) error) error {
		g, err := scanGateway(scan)
		out = append(out, g)
		return err
	})
	return out, err
}

const gatewayColumns = `g.id, g.member, COALESCE(g.application, ''), g.name, x.id, x.name, x.outcode, g.created_at, g.enrolled_at
	FROM directory_gateways g JOIN directory_sites x ON x.id = g.site_id`

func scanGateway(scan func(...any) error) (g Gateway, err error) {
	var created int64
	var enrolled sql.NullInt64
	err = scan(&g.ID, &g.Member, &g.Application, &g.Name, &g.SiteID, &g.Site, &g.Outcode, &created, &enrolled)
	g.Created = time.Unix(created, 0).UTC()
	if enrolled.Valid {
		g.Enrolled = time.Unix(enrolled.Int64, 0).UTC()
	}
	return g, err
}

func (s *Service) gateway(ctx context.Context, q querier, id string) (Gateway, error) {
	g, err := scanGateway(q.QueryRowContext(ctx, `SELECT `+gatewayColumns+` WHERE g.id = $1`, id).Scan)
	if err != nil {
		return Gateway{}, missing(err, "gateway", id)
	}
	return g, nil
}

// lockGateway holds a gateway until the transaction ends, against whatever else
// would give it codes or certificates or take them away. Every transaction locks
// in this order: gateway, codes, revocation lists, certificates.
func lockGateway(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE directory_gateways SET name = name WHERE id = $1`, id)
	return err
}

// Standing is how a gateway stands.
type Standing struct {
	State       string    // new (no certificate yet), enrolled, expired or revoked
	Until       time.Time // enrolled, expired: when the last of its client certificates ends
	Revoked     time.Time // revoked: when
	CodeExpires time.Time // a code that was given out can be used until then; zero: there is none
}

// Standing tells how a gateway stands now.
func (s *Service) Standing(ctx context.Context, id string) (Standing, error) {
	now := s.Now().Unix()
	var until, revoked, code sql.NullInt64
	err := s.DB.QueryRowContext(ctx, `SELECT
		(SELECT MAX(not_after) FROM directory_certificates WHERE gateway = $1 AND hierarchy = $2 AND revoked_at IS NULL),
		(SELECT MAX(revoked_at) FROM directory_certificates WHERE gateway = $1 AND hierarchy = $2),
		(SELECT MAX(expires_at) FROM directory_codes WHERE gateway = $1 AND used_at IS NULL AND expires_at > $3)`,
		id, string(ca.Client), now).Scan(&until, &revoked, &code)
	if err != nil {
		return Standing{}, err
	}
	at := func(n sql.NullInt64) time.Time {
		if !n.Valid {
			return time.Time{}
		}
		return time.Unix(n.Int64, 0).UTC()
	}
	v := Standing{State: "new", CodeExpires: at(code)}
	switch {
	case until.Valid && until.Int64 >= now:
		v.State, v.Until = "enrolled", at(until)
	case until.Valid && until.Int64 > revoked.Int64: // 0 where none was
		v.State, v.Until = "expired", at(until)
	case revoked.Valid:
		v.State, v.Revoked = "revoked", at(revoked)
	}
	return v, nil
}

// RevokeGateway takes a gateway's identity away: all its certificates that have
// not ended are revoked, for good, and its code ends. From then on the relay
// takes nothing from it; it goes on recording, and a new code brings it back
// (NewCode). why is one line for the log; it may be empty. It returns how many
// certificates were revoked: none where it had none that were good.
func (s *Service) RevokeGateway(ctx context.Context, id, why string) (revoked int, err error) {
	if err := form.OptionalText("reason", why, 200); err != nil {
		return 0, err
	}
	var g Gateway
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		if g, err = s.gateway(ctx, tx, id); err != nil {
			return err
		}
		if err := lockGateway(ctx, tx, id); err != nil {
			return err
		}
		if _, err := s.endCodes(ctx, tx, g); err != nil {
			return err
		}
		// The lists' rows before the certificates', as in revoke.
		if _, err := tx.ExecContext(ctx, `UPDATE directory_crls SET stale = TRUE WHERE hierarchy IN ($1, $2)`, string(ca.Client), string(ca.Signing)); err != nil {
			return err
		}
		now := s.Now().Unix()
		serials, err := texts(ctx, tx, `UPDATE directory_certificates SET revoked_at = $1
			WHERE gateway = $2 AND revoked_at IS NULL AND not_after > $1 RETURNING serial`, now, id)
		if err != nil {
			return err
		}
		detail := fmt.Sprintf("%d certificates revoked", len(serials))
		if why != "" {
			detail += ": " + why
		}
		revoked = len(serials)
		s.audit(tx, audit.Event{Action: "gateway.revoke", Subject: "gateway/" + id, Member: g.Member, Detail: detail})
		return nil
	})
	if err == nil {
		s.Logger.Info("gateway revoked", "gateway", s.GatewayURL(id), "certificates", revoked, "reason", why)
	}
	return revoked, err
}
