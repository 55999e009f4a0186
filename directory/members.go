package directory

import (
	"context"
	"database/sql"
	"errors"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// Member is an organisation of the scheme.
type Member struct {
	ID        string   // short, in URLs; empty when added: one is made
	LegalName string   // at most 200 characters
	BrandName string   // what the public knows it by; empty: the legal name
	Roles     []string // role URLs that the scheme gave it
	Contact
	CompanyNumber string // in its country's register, may be empty
	Effective     string // day from which it is a member, YYYY-MM-DD, may be empty
}

// Contact is what a member says of itself and changes by itself. It is public,
// and every field may be empty.
type Contact struct {
	Email          string
	Address        Address
	PrivacyPolicy  string // URL
	DataProtection string // URL of its entry in the data protection register
}

// Address is where a member is.
type Address struct {
	Street, Locality, Region, State, PostalCode string
	Country                                     string // two capital letters (ISO 3166-1)
}

const memberColumns = `legal_name, brand_name, email, street_address, locality, region, state, postal_code, country, privacy_policy, data_protection, company_number, effective_date`

// columns are where memberColumns are read into.
func (m *Member) columns() []any {
	a := &m.Address
	return []any{&m.LegalName, &m.BrandName, &m.Email, &a.Street, &a.Locality, &a.Region, &a.State, &a.PostalCode, &a.Country,
		&m.PrivacyPolicy, &m.DataProtection, &m.CompanyNumber, &m.Effective}
}

func (c *Contact) check() error {
	a := &c.Address
	country := error(nil)
	if a.Country != "" && !form.Country.MatchString(a.Country) {
		country = fault.Invalid("country %q: need two capital letters, such as GB", form.Cut(a.Country, 20))
	}
	return errors.Join(form.OptionalEmail("email", c.Email), form.OptionalText("street address", a.Street, 200), form.OptionalText("locality", a.Locality, 200),
		form.OptionalText("region", a.Region, 200), form.OptionalText("state", a.State, 200), form.OptionalText("postal code", a.PostalCode, 20), country,
		form.OptionalURL("privacy policy", c.PrivacyPolicy), form.OptionalURL("data protection registration", c.DataProtection))
}

// AddMember adds a member, with the officers who answer for it, if any. ErrExists: the id is taken. ErrInvalid: a field is
// wrong.
func (s *Service) AddMember(ctx context.Context, m Member, officers ...Officer) (Member, error) {
	if m.ID == "" {
		m.ID = form.NewID()
	}
	if m.BrandName == "" {
		m.BrandName = m.LegalName
	}
	m.Roles = form.Unique(m.Roles)
	if err := errors.Join(form.ID(m.ID), form.Text("legal name", m.LegalName, 200), form.Text("brand name", m.BrandName, 200),
		checkRoles(m.Roles), m.Contact.check(), form.OptionalText("company number", m.CompanyNumber, 40), form.Day("effective date", m.Effective, s.Now())); err != nil {
		return Member{}, err
	}
	return m, s.InTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_members (id, created_at, `+memberColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (id) DO NOTHING`,
			append([]any{m.ID, s.Now().Unix()}, m.columns()...)...)
		if err := one(r, err, fault.ErrExists, "member", m.ID); err != nil {
			return err
		}
		for _, role := range m.Roles {
			if _, err := tx.ExecContext(ctx, `INSERT INTO directory_member_roles (member, role) VALUES ($1, $2)`, m.ID, role); err != nil {
				return err
			}
		}
		for _, o := range officers {
			if err := o.check(); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO directory_officers (member, duty, name, email, phone) VALUES ($1, $2, $3, $4, $5)`, m.ID, o.Duty, o.Name, o.Email, o.Phone)
			if err != nil {
				return err
			}
		}
		s.audit(tx, audit.Event{Action: "member.add", Subject: "member/" + m.ID, Member: m.ID, After: struct {
			Member
			Officers []Officer
		}{m, officers}})
		return s.ListingChanged(ctx, tx, m.ID)
	})
}

// UpdateMember changes what a member says of itself.
func (s *Service) UpdateMember(ctx context.Context, id string, change func(*Contact)) error {
	return s.InTx(ctx, func(tx *sql.Tx) error {
		// First, so that changes at the same time wait for one another.
		if err := s.ListingChanged(ctx, tx, id); err != nil {
			return err
		}
		m, err := member(ctx, tx, id)
		if err != nil {
			return err
		}
		before := m.Contact
		change(&m.Contact)
		if err := m.Contact.check(); err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "member.update", Subject: "member/" + id, Member: id, Before: before, After: m.Contact})
		a := m.Address
		_, err = tx.ExecContext(ctx, `UPDATE directory_members SET email = $1, street_address = $2, locality = $3, region = $4, state = $5,
			postal_code = $6, country = $7, privacy_policy = $8, data_protection = $9 WHERE id = $10`,
			m.Email, a.Street, a.Locality, a.Region, a.State, a.PostalCode, a.Country, m.PrivacyPolicy, m.DataProtection, id)
		return err
	})
}

// Member finds a member by its id.
func (s *Service) Member(ctx context.Context, id string) (Member, error) {
	return member(ctx, s.DB, id)
}

func member(ctx context.Context, q querier, id string) (Member, error) {
	m := Member{ID: id}
	err := q.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM directory_members WHERE id = $1`, id).Scan(m.columns()...)
	if err != nil {
		return Member{}, missing(err, "member", id)
	}
	m.Roles, err = texts(ctx, q, `SELECT role FROM directory_member_roles WHERE member = $1 ORDER BY role`, id)
	return m, err
}

func checkRoles(roles []string) error {
	if len(roles) > 50 {
		return fault.Invalid("at most 50 roles")
	}
	for _, r := range roles {
		if err := form.URL("role", r); err != nil {
			return err
		}
	}
	return nil
}
