package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// Site is premises of a member at which its gateways stand. Sites are the
// member's own business: nothing public names them.
type Site struct {
	ID      string    // short; empty when added: one is made
	Member  string    // id of the member
	Name    string    // at most 200 characters; a member has it once
	Outcode string    // first half of the postcode, such as SW8; empty only where an older entry had none
	Created time.Time // set by the directory
}

var outcodeForm = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?$`)

func (x *Site) check() error {
	x.Outcode = strings.ToUpper(strings.TrimSpace(x.Outcode))
	var outcode error
	if !outcodeForm.MatchString(x.Outcode) {
		outcode = fault.Invalid("outcode %q: need the first half of the site's postcode, such as SW8", form.Cut(x.Outcode, 20))
	}
	return errors.Join(form.ID(x.ID), form.Text("name", x.Name, 200), outcode)
}

// AddSite adds a site. ErrExists: the member has one of that name, or the id is
// taken. ErrInvalid: a field is wrong.
func (s *Service) AddSite(ctx context.Context, x Site) (Site, error) {
	if x.ID == "" {
		x.ID = form.NewID()
	}
	if err := x.check(); err != nil {
		return Site{}, err
	}
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		var err error
		x, err = s.addSite(ctx, tx, x)
		return err
	})
	return x, err
}

func (s *Service) addSite(ctx context.Context, tx *sql.Tx, x Site) (Site, error) {
	x.Created = s.Now().UTC().Truncate(time.Second)
	if _, err := member(ctx, tx, x.Member); err != nil {
		return Site{}, err
	}
	if err := s.roomForSite(ctx, tx, x.Member); err != nil {
		return Site{}, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_sites (id, member, name, outcode, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		x.ID, x.Member, x.Name, x.Outcode, x.Created.Unix())
	if err := one(r, err, fault.ErrExists, "site", x.Name); err != nil {
		return Site{}, err
	}
	s.audit(tx, audit.Event{Action: "site.add", Subject: "site/" + x.ID, Member: x.Member, After: x})
	return x, nil
}

// ChangeSite gives a site another name and outcode. ErrExists: the member has
// another of that name.
func (s *Service) ChangeSite(ctx context.Context, id, name, outcode string) (Site, error) {
	x := Site{ID: id, Name: name, Outcode: outcode}
	if err := x.check(); err != nil {
		return Site{}, err
	}
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		before, err := site(ctx, tx, `id = $1`, id)
		if err != nil {
			return err
		}
		var taken int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_sites WHERE member = $1 AND name = $2 AND id <> $3`, before.Member, x.Name, id).Scan(&taken); err != nil {
			return err
		}
		if taken > 0 {
			return fault.ErrExists
		}
		x.Member, x.Created = before.Member, before.Created
		if _, err := tx.ExecContext(ctx, `UPDATE directory_sites SET name = $1, outcode = $2 WHERE id = $3`, x.Name, x.Outcode, id); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "site.update", Subject: "site/" + id, Member: x.Member, Before: before, After: x})
		return nil
	})
	return x, err
}

// SiteOf finds a site of a member by its id; ErrNotFound also where it is
// another member's.
func (s *Service) SiteOf(ctx context.Context, member, id string) (Site, error) {
	x, err := site(ctx, s.DB, `id = $1`, id)
	if err == nil && x.Member != member {
		return Site{}, fault.ErrNotFound
	}
	return x, err
}

// Sites lists a member's sites, by name.
func (s *Service) Sites(ctx context.Context, member string) (out []Site, err error) {
	err = each(ctx, s.DB, `SELECT `+siteColumns+` FROM directory_sites WHERE member = $1 ORDER BY name, id`, member, func(scan func(...any) error) error {
		x, err := scanSite(scan)
		out = append(out, x)
		return err
	})
	return out, err
}

const siteColumns = `id, member, name, outcode, created_at`

func scanSite(scan func(...any) error) (x Site, err error) {
	var created int64
	err = scan(&x.ID, &x.Member, &x.Name, &x.Outcode, &created)
	x.Created = time.Unix(created, 0).UTC()
	return x, err
}

func site(ctx context.Context, q querier, where string, args ...any) (Site, error) {
	x, err := scanSite(q.QueryRowContext(ctx, `SELECT `+siteColumns+` FROM directory_sites WHERE `+where, args...).Scan)
	if err != nil {
		return Site{}, missing(err, "site", fmt.Sprint(args[len(args)-1]))
	}
	return x, nil
}

// Place is a site with its first gateway and the code that enrols it.
type Place struct {
	Site    Site
	Gateway Gateway
	Code    Code
}

// OpenSite does what an organisation does for new premises, in one step: it
// adds the site, a gateway there (of the application, which may be empty, under
// its own name or, where that is empty, the site's), and its enrolment code.
// Errors as of AddSite and AddGateway; then nothing is added.
func (s *Service) OpenSite(ctx context.Context, x Site, application, gatewayName string) (Place, error) {
	if x.ID == "" {
		x.ID = form.NewID()
	}
	if gatewayName == "" {
		gatewayName = x.Name
	}
	g := Gateway{ID: form.NewID(), Member: x.Member, Application: application, Name: gatewayName, SiteID: x.ID}
	if err := errors.Join(x.check(), g.check()); err != nil {
		return Place{}, err
	}
	var p Place
	err := s.InTx(ctx, func(tx *sql.Tx) (err error) {
		if p.Site, err = s.addSite(ctx, tx, x); err != nil {
			return err
		}
		if p.Gateway, err = s.addGateway(ctx, tx, g); err != nil {
			return err
		}
		p.Code, err = s.newCode(ctx, tx, p.Gateway)
		return err
	})
	if err != nil {
		return Place{}, err
	}
	return p, nil
}
