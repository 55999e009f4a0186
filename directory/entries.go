package directory

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/perseus-edge/perseus-edge/directory/form"
)

// MemberEntry is a member with what the public sees of its applications.
type MemberEntry struct {
	Member
	Applications []*ApplicationEntry // sorted by id
}

// ApplicationEntry is an application with its data services.
type ApplicationEntry struct {
	Application
	Services []DataService // sorted by id
	Hosts    []string      // DNS names in its entries, sorted
}

// finish works out what follows from an application's own entries.
func (a *ApplicationEntry) finish() {
	slices.SortFunc(a.Services, func(x, y DataService) int { return cmp.Compare(x.ID, y.ID) })
	slices.Sort(a.Roles)
	urls := []string{a.MessageDelivery}
	for _, d := range a.Services {
		urls = append(urls, d.Endpoint, d.OAuthIssuer)
	}
	for _, u := range urls {
		if h := form.DNSName(u); h != "" {
			a.Hosts = append(a.Hosts, h)
		}
	}
	slices.Sort(a.Hosts)
	a.Hosts = slices.Compact(a.Hosts)
}

// Entries reads members with everything that hangs on them: those that
// changed after a revision, or all for a negative one. There are five queries,
// however many members they are. What is added while they run is in a later
// revision, and passed over where it has no member here.
func (s *Service) Entries(ctx context.Context, after int64) ([]*MemberEntry, error) {
	members, apps := map[string]*MemberEntry{}, map[string]*ApplicationEntry{}
	changed := `SELECT id FROM directory_members WHERE revision > $1`
	among := func(column, ids string) string {
		if after < 0 {
			return ` WHERE $1 < 0`
		}
		return ` WHERE ` + column + ` IN (` + ids + `)`
	}
	changedApps := `SELECT a.id FROM directory_applications a WHERE a.member IN (` + changed + `)`
	var id, value string
	for _, t := range []struct {
		query string
		row   func(scan func(...any) error) error
	}{
		{`SELECT id, ` + memberColumns + ` FROM directory_members` + among("id", changed), func(scan func(...any) error) error {
			e := &MemberEntry{}
			err := scan(append([]any{&e.ID}, e.Member.columns()...)...)
			members[e.ID] = e
			return err
		}},
		{`SELECT member, role FROM directory_member_roles` + among("member", changed), func(scan func(...any) error) error {
			err := scan(&id, &value)
			if e := members[id]; e != nil {
				e.Roles = append(e.Roles, value)
			}
			return err
		}},
		{`SELECT id, ` + applicationColumns + ` FROM directory_applications` + among("member", changed), func(scan func(...any) error) error {
			a := &ApplicationEntry{}
			err := scan(append([]any{&a.ID}, a.Application.columns()...)...)
			if e := members[a.Member]; e != nil {
				e.Applications, apps[a.ID] = append(e.Applications, a), a
			}
			return err
		}},
		{`SELECT application, role FROM directory_application_roles` + among("application", changedApps), func(scan func(...any) error) error {
			err := scan(&id, &value)
			// A role that the member has lost is no longer the application's.
			if a := apps[id]; a != nil && slices.Contains(members[a.Member].Roles, value) {
				a.Roles = append(a.Roles, value)
			}
			return err
		}},
		{`SELECT id, application, title, conforms_to, endpoint_url, oauth_issuer, assurance FROM directory_data_services` + among("application", changedApps), func(scan func(...any) error) error {
			var d DataService
			err := scan(&d.ID, &d.Application, &d.Title, &d.ConformsTo, &d.Endpoint, &d.OAuthIssuer, &d.Assurance)
			if a := apps[d.Application]; a != nil {
				a.Services = append(a.Services, d)
			}
			return err
		}},
	} {
		if err := each(ctx, s.DB, t.query, after, t.row); err != nil {
			return nil, err
		}
	}
	for _, e := range members {
		slices.Sort(e.Roles)
		slices.SortFunc(e.Applications, func(x, y *ApplicationEntry) int { return cmp.Compare(x.ID, y.ID) })
		for _, a := range e.Applications {
			a.finish()
		}
	}
	return slices.Collect(maps.Values(members)), nil
}
