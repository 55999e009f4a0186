package directory

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// What the web application (package web) needs beside what the member API
// uses: the same rules, with plain Go values around them.

// SchemeRoles are the roles that an administrator gives, as URLs.
func (s *Service) SchemeRoles() []string {
	out := make([]string, len(schemeRoles))
	for i, r := range schemeRoles {
		out[i] = s.Scheme.Role(r)
	}
	return out
}

// schemeRoles are the roles that an administrator gives, by their short names.
var schemeRoles = []string{scheme.EDP, scheme.CAP, scheme.FSP}

// Onboard adds an organisation with its roles and the officers who answer for
// it. More is demanded than by AddMember: this is how a member of the scheme
// begins.
func (s *Service) Onboard(ctx context.Context, m Member, officers ...Officer) (Member, error) {
	if len(m.Roles) == 0 {
		return Member{}, fault.Invalid("role: give at least one of %q", schemeRoles)
	}
	for _, role := range m.Roles {
		if !slices.Contains(s.SchemeRoles(), role) {
			return Member{}, fault.Invalid("role %q: use one of %q", form.Cut(role, 80), schemeRoles)
		}
	}
	for _, need := range []struct{ what, value string }{{"email", m.Email}, {"street address", m.Address.Street}, {"locality", m.Address.Locality},
		{"postal code", m.Address.PostalCode}, {"company number", m.CompanyNumber}} {
		if strings.TrimSpace(need.value) == "" {
			return Member{}, fault.Invalid("%s is missing", need.what)
		}
	}
	if m.Effective == "" {
		m.Effective = s.Now().UTC().Format(time.DateOnly)
	}
	m, err := s.AddMember(ctx, m, officers...)
	if err == nil {
		s.Logger.Info("organisation added", "member", m.ID)
	}
	return m, err
}

// SetRoles puts a member's roles in the place of those that it had. What its
// applications claim of the roles that it lost is no longer theirs; their
// certificates still carry them until they are revoked or end.
func (s *Service) SetRoles(ctx context.Context, id string, roles []string) error {
	roles = form.Unique(roles)
	for _, role := range roles {
		if !slices.Contains(s.SchemeRoles(), role) {
			return fault.Invalid("role %q: use one of %q", form.Cut(role, 80), schemeRoles)
		}
	}
	return s.InTx(ctx, func(tx *sql.Tx) error {
		if err := s.ListingChanged(ctx, tx, id); err != nil {
			return err
		}
		m, err := member(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_member_roles WHERE member = $1`, id); err != nil {
			return err
		}
		for _, role := range roles {
			if _, err := tx.ExecContext(ctx, `INSERT INTO directory_member_roles (member, role) VALUES ($1, $2)`, id, role); err != nil {
				return err
			}
		}
		type held struct{ Roles []string }
		s.audit(tx, audit.Event{Action: "member.roles", Subject: "member/" + id, Member: id, Before: held{m.Roles}, After: held{roles}})
		return nil
	})
}

// SetOfficer puts an officer in the place of the one of the same duty.
func (s *Service) SetOfficer(ctx context.Context, id string, o Officer) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Duty != "data" && o.Duty != "licence" {
		return fault.Invalid("officer: duty is data or licence")
	}
	return s.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := member(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_officers (member, duty, name, email, phone) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (member, duty) DO UPDATE SET name = excluded.name, email = excluded.email, phone = excluded.phone`, id, o.Duty, o.Name, o.Email, o.Phone)
		s.audit(tx, audit.Event{Action: "officer.set", Subject: "member/" + id, Member: id, Detail: o.Duty + " officer: " + o.Name})
		return err
	})
}

// MembersAtOnce bounds what Members gives.
const MembersAtOnce = 50

// Members lists members by legal name, from the one after (name, id) on, whose
// legal or brand name holds a text.
func (s *Service) Members(ctx context.Context, afterName, afterID, text string) ([]Member, error) {
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(strings.TrimSpace(text))) + "%"
	rows, err := s.DB.QueryContext(ctx, `SELECT id, legal_name, brand_name FROM directory_members
		WHERE (legal_name > $1 OR (legal_name = $1 AND id > $2)) AND (LOWER(legal_name) LIKE $3 ESCAPE '\' OR LOWER(brand_name) LIKE $3 ESCAPE '\')
		ORDER BY legal_name, id LIMIT $4`, afterName, afterID, like, MembersAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Member
	for rows.Next() {
		var m Member
		if err := rows.Scan(&m.ID, &m.LegalName, &m.BrandName); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// Applications lists a member's applications, by name.
func (s *Service) Applications(ctx context.Context, member string) (out []Application, err error) {
	ids, err := texts(ctx, s.DB, `SELECT id FROM directory_applications WHERE member = $1 ORDER BY name, id`, member)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		a, err := s.Application(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// ApplicationOf finds an application of a member; another's is as unknown as
// none.
func (s *Service) ApplicationOf(ctx context.Context, member, id string) (Application, error) {
	a, err := s.Application(ctx, id)
	if err == nil && a.Member != member {
		err = fmt.Errorf("application %s: %w", form.Cut(id, 64), fault.ErrNotFound)
	}
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

// DataServices lists the data services of an application, by id.
func (s *Service) DataServices(ctx context.Context, application string) ([]DataService, error) {
	return dataServices(ctx, s.DB, application)
}

// ApplicationIDs are the ids of a member's applications, sorted.
func (s *Service) ApplicationIDs(ctx context.Context, member string) ([]string, error) {
	return texts(ctx, s.DB, `SELECT id FROM directory_applications WHERE member = $1 ORDER BY id`, member)
}
