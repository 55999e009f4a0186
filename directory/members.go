package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Member is an organisation of the scheme.
type Member struct {
	ID        string   // short, in URLs; empty when added: one is made
	LegalName string   // at most 200 characters
	BrandName string   // what the public knows it by; empty: the legal name
	Roles     []string // role URLs that the scheme gave it
}

// Application is one use of data by a member: the identity in its
// certificates.
type Application struct {
	ID              string   // short, in URLs; empty when added: one is made
	Member          string   // id of its member
	Name            string   // at most 200 characters
	Roles           []string // role URLs it acts in; each must be one of the member's
	HomePage        string   // URL, may be empty
	MessageDelivery string   // URL to which others deliver messages, may be empty
}

// DataService is a catalogue entry: an API that an application offers.
type DataService struct {
	ID          string // empty when added: one is made
	Application string // id of its application
	Title       string
	ConformsTo  string // URL of the standard
	Endpoint    string // base URL
	OAuthIssuer string // URL, may be empty
}

// querier is a database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// AddMember adds a member. ErrExists: the id is taken. ErrInvalid: a field is
// wrong.
func (s *Service) AddMember(ctx context.Context, m Member) (Member, error) {
	if m.ID == "" {
		m.ID = newID()
	}
	if m.BrandName == "" {
		m.BrandName = m.LegalName
	}
	m.Roles = unique(m.Roles)
	if err := errors.Join(checkID(m.ID), checkText("legal name", m.LegalName, 200),
		checkText("brand name", m.BrandName, 200), checkRoles(m.Roles)); err != nil {
		return Member{}, err
	}
	return m, s.inTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_members (id, legal_name, brand_name, created_at)
			VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`, m.ID, m.LegalName, m.BrandName, s.Now().Unix())
		if err := one(r, err, ErrExists, "member", m.ID); err != nil {
			return err
		}
		for _, role := range m.Roles {
			if _, err := tx.ExecContext(ctx, `INSERT INTO directory_member_roles (member, role) VALUES ($1, $2)`, m.ID, role); err != nil {
				return err
			}
		}
		return s.listingChanged(ctx, tx, m.ID)
	})
}

// AddApplication adds an application of a member. ErrInvalid when it claims a
// role that the member does not have.
func (s *Service) AddApplication(ctx context.Context, a Application) (Application, error) {
	if a.ID == "" {
		a.ID = newID()
	}
	a.Roles = unique(a.Roles)
	if err := errors.Join(checkID(a.ID), checkText("name", a.Name, 200), checkRoles(a.Roles),
		checkOptionalURL("home page", a.HomePage), checkOptionalURL("message delivery", a.MessageDelivery)); err != nil {
		return Application{}, err
	}
	return a, s.inTx(ctx, func(tx *sql.Tx) error {
		m, err := member(ctx, tx, a.Member)
		if err != nil {
			return err
		}
		for _, role := range a.Roles {
			if !slices.Contains(m.Roles, role) {
				return invalid("role %s: member %s does not have it, so its application cannot claim it", role, m.ID)
			}
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_applications (id, member, name, home_page, message_delivery, created_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
			a.ID, a.Member, a.Name, a.HomePage, a.MessageDelivery, s.Now().Unix())
		if err := one(r, err, ErrExists, "application", a.ID); err != nil {
			return err
		}
		for _, role := range a.Roles {
			if _, err := tx.ExecContext(ctx, `INSERT INTO directory_application_roles (application, role) VALUES ($1, $2)`, a.ID, role); err != nil {
				return err
			}
		}
		return s.listingChanged(ctx, tx, a.Member)
	})
}

// AddDataService lists an API of an application in the catalogue.
func (s *Service) AddDataService(ctx context.Context, d DataService) (DataService, error) {
	if d.ID == "" {
		d.ID = newID()
	}
	if err := errors.Join(checkID(d.ID), checkText("title", d.Title, 200), checkURL("conforms to", d.ConformsTo),
		checkURL("endpoint", d.Endpoint), checkOptionalURL("OAuth issuer", d.OAuthIssuer)); err != nil {
		return DataService{}, err
	}
	a, err := s.Application(ctx, d.Application)
	if err != nil {
		return DataService{}, err
	}
	return d, s.inTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_data_services (id, application, title, conforms_to, endpoint_url, oauth_issuer)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
			d.ID, d.Application, d.Title, d.ConformsTo, d.Endpoint, d.OAuthIssuer)
		if err := one(r, err, ErrExists, "data service", d.ID); err != nil {
			return err
		}
		return s.listingChanged(ctx, tx, a.Member)
	})
}

// Member finds a member by its id.
func (s *Service) Member(ctx context.Context, id string) (Member, error) {
	return member(ctx, s.DB, id)
}

// Application finds an application by its id.
func (s *Service) Application(ctx context.Context, id string) (Application, error) {
	return application(ctx, s.DB, id)
}

func member(ctx context.Context, q querier, id string) (Member, error) {
	m := Member{ID: id}
	err := q.QueryRowContext(ctx, `SELECT legal_name, brand_name FROM directory_members WHERE id = $1`, id).
		Scan(&m.LegalName, &m.BrandName)
	if err != nil {
		return Member{}, missing(err, "member", id)
	}
	m.Roles, err = texts(ctx, q, `SELECT role FROM directory_member_roles WHERE member = $1 ORDER BY role`, id)
	return m, err
}

func application(ctx context.Context, q querier, id string) (Application, error) {
	a := Application{ID: id}
	err := q.QueryRowContext(ctx, `SELECT member, name, home_page, message_delivery FROM directory_applications WHERE id = $1`, id).
		Scan(&a.Member, &a.Name, &a.HomePage, &a.MessageDelivery)
	if err != nil {
		return Application{}, missing(err, "application", id)
	}
	// A role that the member has lost is no longer the application's.
	a.Roles, err = texts(ctx, q, `SELECT r.role FROM directory_application_roles r
		JOIN directory_member_roles m ON m.role = r.role AND m.member = $1
		WHERE r.application = $2 ORDER BY r.role`, a.Member, id)
	return a, err
}

// texts runs a query of one text column.
func texts(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one checks that a statement touched a row; if it did not, the error is why.
func one(r sql.Result, err, why error, what, id string) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return fmt.Errorf("%s %s: %w", what, id, why)
	}
	return nil
}

func missing(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %s: %w", what, cut(id, 64), ErrNotFound)
	}
	return err
}

func checkRoles(roles []string) error {
	if len(roles) > 50 {
		return invalid("at most 50 roles")
	}
	for _, r := range roles {
		if err := checkURL("role", r); err != nil {
			return err
		}
	}
	return nil
}

func unique(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }
