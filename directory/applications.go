package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// Application is one use of data by a member: the identity in its
// certificates.
type Application struct {
	ID              string   // short, in URLs; empty when added: one is made
	Member          string   // id of its member
	Name            string   // at most 200 characters
	Roles           []string // role URLs it acts in; each must be one of the member's
	HomePage        string   // URL, may be empty
	MessageDelivery string   // URL to which others deliver messages, may be empty
	Description     string   // at most 2,000 characters, may be empty
	SupportURL      string   // may be empty
}

// DataService is a catalogue entry: an API that an application offers.
type DataService struct {
	ID          string // empty when added: one is made
	Application string // id of its application
	Title       string
	ConformsTo  string // URL of the standard
	Endpoint    string // base URL
	OAuthIssuer string // URL, may be empty
	Assurance   string // URL of the level at which its data is assured; may be empty
}

const applicationColumns = `member, name, home_page, message_delivery, description, support_url`

// columns are where applicationColumns are read into.
func (a *Application) columns() []any {
	return []any{&a.Member, &a.Name, &a.HomePage, &a.MessageDelivery, &a.Description, &a.SupportURL}
}

func (a *Application) check() error {
	a.Roles = form.Unique(a.Roles)
	return errors.Join(form.ID(a.ID), form.Text("name", a.Name, 200), checkRoles(a.Roles),
		form.OptionalURL("home page", a.HomePage), form.OptionalURL("message delivery", a.MessageDelivery),
		form.OptionalText("description", a.Description, 2000), form.OptionalURL("support URL", a.SupportURL))
}

func (d *DataService) check() error {
	return errors.Join(form.ID(d.ID), form.Text("title", d.Title, 200), form.URL("conforms to", d.ConformsTo),
		form.URL("endpoint", d.Endpoint), form.OptionalURL("OAuth issuer", d.OAuthIssuer), form.OptionalURL("dataset assurance", d.Assurance))
}

// AddApplication adds an application of a member, with the data services that
// it offers, if any. ErrInvalid when it claims a role that the member does not
// have.
func (s *Service) AddApplication(ctx context.Context, a Application, offers ...DataService) (Application, error) {
	if a.ID == "" {
		a.ID = form.NewID()
	}
	if err := a.check(); err != nil {
		return Application{}, err
	}
	return a, s.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.ListingChanged(ctx, tx, a.Member); err != nil {
			return err
		}
		if _, err := member(ctx, tx, a.Member); err != nil {
			return err
		}
		if err := s.roomForApplication(ctx, tx, a.Member); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_applications (id, created_at, `+applicationColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
			a.ID, s.Now().Unix(), a.Member, a.Name, a.HomePage, a.MessageDelivery, a.Description, a.SupportURL)
		if err := one(r, err, fault.ErrExists, "application", a.ID); err != nil {
			return err
		}
		if err := s.claim(ctx, tx, a); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "application.add", Subject: "application/" + a.ID, Member: a.Member, After: a})
		for _, d := range offers {
			d.Application = a.ID
			if _, err := s.addDataService(ctx, tx, d, a.Member); err != nil {
				return err
			}
		}
		return nil
	})
}

// claim puts the roles of an application in the place of those that it had.
func (s *Service) claim(ctx context.Context, tx *sql.Tx, a Application) error {
	held, err := texts(ctx, tx, `SELECT role FROM directory_member_roles WHERE member = $1`, a.Member)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM directory_application_roles WHERE application = $1`, a.ID); err != nil {
		return err
	}
	for _, role := range a.Roles {
		if !slices.Contains(held, role) {
			return fault.Invalid("role %s: member %s does not have it, so its application cannot claim it", role, a.Member)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO directory_application_roles (application, role) VALUES ($1, $2)`, a.ID, role); err != nil {
			return err
		}
	}
	return s.ListingChanged(ctx, tx, a.Member)
}

// AddDataService lists an API of an application in the catalogue.
func (s *Service) AddDataService(ctx context.Context, d DataService) (DataService, error) {
	a, err := s.Application(ctx, d.Application)
	if err != nil {
		return DataService{}, err
	}
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		d, err = s.addDataService(ctx, tx, d, a.Member)
		return err
	})
	return d, err
}

func (s *Service) addDataService(ctx context.Context, tx *sql.Tx, d DataService, member string) (DataService, error) {
	if d.ID == "" {
		d.ID = form.NewID()
	}
	if err := d.check(); err != nil {
		return DataService{}, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_data_services (id, application, title, conforms_to, endpoint_url, oauth_issuer, assurance)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
		d.ID, d.Application, d.Title, d.ConformsTo, d.Endpoint, d.OAuthIssuer, d.Assurance)
	if err := one(r, err, fault.ErrExists, "data service", d.ID); err != nil {
		return DataService{}, err
	}
	s.audit(tx, audit.Event{Action: "service.add", Subject: "service/" + d.ID, Member: member, After: d})
	return d, s.ListingChanged(ctx, tx, member)
}

// dataServices of an application, sorted by id.
func dataServices(ctx context.Context, q querier, app string) (out []DataService, err error) {
	err = each(ctx, q, `SELECT id, title, conforms_to, endpoint_url, oauth_issuer, assurance FROM directory_data_services WHERE application = $1 ORDER BY id`, app,
		func(scan func(...any) error) error {
			d := DataService{Application: app}
			err := scan(&d.ID, &d.Title, &d.ConformsTo, &d.Endpoint, &d.OAuthIssuer, &d.Assurance)
			out = append(out, d)
			return err
		})
	return out, err
}

// UpdateApplication changes an application of a member and its data services:
// offers gets those that are there, and returns those that are to be.
// ErrNotFound: the member has no such application.
func (s *Service) UpdateApplication(ctx context.Context, member, id string, change func(*Application), offers func([]DataService) ([]DataService, error)) error {
	return s.InTx(ctx, func(tx *sql.Tx) error {
		// First, so that changes at the same time wait for one another.
		if err := s.ListingChanged(ctx, tx, member); err != nil {
			return err
		}
		a, err := application(ctx, tx, id)
		if err == nil && a.Member != member {
			err = fault.ErrNotFound
		}
		if err != nil {
			return err
		}
		before := a
		before.Roles = slices.Clone(a.Roles)
		change(&a)
		a.ID, a.Member = id, member
		if err := a.check(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE directory_applications SET name = $1, home_page = $2, message_delivery = $3, description = $4, support_url = $5 WHERE id = $6`,
			a.Name, a.HomePage, a.MessageDelivery, a.Description, a.SupportURL, id)
		if err != nil {
			return err
		}
		if err := s.claim(ctx, tx, a); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "application.update", Subject: "application/" + id, Member: member, Before: before, After: a})
		present, err := dataServices(ctx, tx, id)
		if err != nil {
			return err
		}
		wanted, err := offers(slices.Clone(present))
		if err != nil || slices.Equal(wanted, present) {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_data_services WHERE application = $1`, id); err != nil {
			return err
		}
		for _, d := range present {
			s.audit(tx, audit.Event{Action: "service.remove", Subject: "service/" + d.ID, Member: member, Before: d})
		}
		for _, d := range wanted {
			d.Application = id
			if _, err := s.addDataService(ctx, tx, d, member); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteApplication takes an application of a member out, with its data
// services. One that ever had a certificate, or that a gateway belongs to,
// stays: records and revocation lists name it.
func (s *Service) DeleteApplication(ctx context.Context, owner, id string) error {
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.ListingChanged(ctx, tx, owner); err != nil {
			return err
		}
		a, err := application(ctx, tx, id)
		if err != nil {
			return err
		}
		if a.Member != owner {
			return fmt.Errorf("application %s: %w", form.Cut(id, 64), fault.ErrNotFound)
		}
		if err := inUse(ctx, tx, id); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "application.remove", Subject: "application/" + id, Member: owner, Before: a})
		_, err = tx.ExecContext(ctx, `DELETE FROM directory_applications WHERE id = $1`, id)
		return err
	})
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		// A certificate may have been issued meanwhile; the foreign key saw it.
		return errors.Join(inUse(ctx, s.DB, id), err)
	}
	if err == nil {
		s.Logger.Info("application deleted", "application", id, "member", owner)
	}
	return err
}

// inUse is the error for the client when something holds on to an application.
func inUse(ctx context.Context, q querier, id string) error {
	var certificates, gateways bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_certificates WHERE application = $1),
		EXISTS (SELECT 1 FROM directory_gateways WHERE application = $1)`, id).Scan(&certificates, &gateways)
	switch {
	case err != nil:
		return err
	case certificates:
		return fault.Clash("in_use", "This application has had certificates, so records name it and it stays. Revoke the certificates if it has ended.")
	case gateways:
		return fault.Clash("in_use", "Gateways belong to this application, so it stays.")
	}
	return nil
}

// Application finds an application by its id.
func (s *Service) Application(ctx context.Context, id string) (Application, error) {
	return application(ctx, s.DB, id)
}

func application(ctx context.Context, q querier, id string) (Application, error) {
	a := Application{ID: id}
	err := q.QueryRowContext(ctx, `SELECT `+applicationColumns+` FROM directory_applications WHERE id = $1`, id).Scan(a.columns()...)
	if err != nil {
		return Application{}, missing(err, "application", id)
	}
	// A role that the member has lost is no longer the application's.
	a.Roles, err = texts(ctx, q, `SELECT r.role FROM directory_application_roles r
		JOIN directory_member_roles m ON m.role = r.role AND m.member = $1
		WHERE r.application = $2 ORDER BY r.role`, a.Member, id)
	return a, err
}
