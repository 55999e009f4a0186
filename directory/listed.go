package directory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// listed is the public listing at one revision: every member with its
// applications and their data services. It does not change; a change to the
// directory makes another one, which shares what has stayed the same.
type listed struct {
	revision
	members map[string]*memberEntry
	ids     []string // of members, sorted
	byApp   map[string]*applicationEntry
	byOffer map[string]offer

	made sync.Map // what was worked out of it once: see keep
}

type memberEntry struct {
	Member
	applications []*applicationEntry // sorted by id
}

type applicationEntry struct {
	Application
	services []DataService // sorted by id
	hosts    []string      // DNS names in its entries, sorted
}

// offer is a data service with whose it is.
type offer struct {
	DataService
	app *applicationEntry
}

// newListed puts entries in the place of those that l had, if any. Its cost is
// that of copying three maps, however much there is to say of each member.
func newListed(r revision, l *listed, entries []*memberEntry) *listed {
	out := &listed{revision: r}
	if l == nil {
		out.members, out.byApp, out.byOffer = map[string]*memberEntry{}, map[string]*applicationEntry{}, map[string]offer{}
	} else {
		out.members, out.byApp, out.byOffer, out.ids = maps.Clone(l.members), maps.Clone(l.byApp), maps.Clone(l.byOffer), l.ids
	}
	added := false
	for _, e := range entries {
		if old := out.members[e.ID]; old == nil {
			added = true
		} else {
			for _, a := range old.applications {
				delete(out.byApp, a.ID)
				for _, d := range a.services {
					delete(out.byOffer, d.ID)
				}
			}
		}
		out.members[e.ID] = e
		for _, a := range e.applications {
			out.byApp[a.ID] = a
			for _, d := range a.services {
				out.byOffer[d.ID] = offer{d, a}
			}
		}
	}
	if added {
		out.ids = slices.Sorted(maps.Keys(out.members))
	}
	return out
}

// withRole gives the members with a role, sorted by id.
func (l *listed) withRole(role string) []*memberEntry {
	return l.keep("roles", func() any {
		out := map[string][]*memberEntry{}
		for _, id := range l.ids {
			for _, r := range l.members[id].Roles {
				out[r] = append(out[r], l.members[id])
			}
		}
		return out
	}).(map[string][]*memberEntry)[role]
}

// conforming gives the data services of a standard, sorted by id.
func (l *listed) conforming(standard string) []offer {
	return l.keep("standards", func() any {
		out := map[string][]offer{}
		for _, id := range slices.Sorted(maps.Keys(l.byOffer)) {
			o := l.byOffer[id]
			out[o.ConformsTo] = append(out[o.ConformsTo], o)
		}
		return out
	}).(map[string][]offer)[standard]
}

// hosts gives the DNS names of the members' servers, each with the
// applications that use it, sorted.
func (l *listed) hosts() map[string][]string {
	return l.keep("hosts", func() any {
		out := map[string][]string{}
		for _, id := range l.ids {
			for _, a := range l.members[id].applications {
				for _, h := range a.hosts {
					out[h] = append(out[h], a.ID)
				}
			}
		}
		for _, apps := range out {
			slices.Sort(apps)
		}
		return out
	}).(map[string][]string)
}

// finish works out what follows from an application's own entries.
func (a *applicationEntry) finish() {
	slices.SortFunc(a.services, func(x, y DataService) int { return cmp.Compare(x.ID, y.ID) })
	slices.Sort(a.Roles)
	urls := []string{a.MessageDelivery}
	for _, d := range a.services {
		urls = append(urls, d.Endpoint, d.OAuthIssuer)
	}
	for _, u := range urls {
		if h := dnsName(u); h != "" {
			a.hosts = append(a.hosts, h)
		}
	}
	slices.Sort(a.hosts)
	a.hosts = slices.Compact(a.hosts)
}

// keep gives what make gave the first time that it was asked for under a name.
// Names must come from a bounded set: they last as long as the listing.
func (l *listed) keep(name string, make func() any) any {
	once, _ := l.made.LoadOrStore(name, &struct {
		sync.Once
		value any
	}{})
	o := once.(*struct {
		sync.Once
		value any
	})
	o.Do(func() { o.value = make() })
	return o.value
}

// loadEntries reads members with everything that hangs on them: those that
// changed after a revision, or all for a negative one. There are five queries,
// however many members they are. What is added while they run is in a later
// revision, and passed over where it has no member here.
func loadEntries(ctx context.Context, q querier, after int64) ([]*memberEntry, error) {
	members, apps := map[string]*memberEntry{}, map[string]*applicationEntry{}
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
			e := &memberEntry{}
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
			a := &applicationEntry{}
			err := scan(append([]any{&a.ID}, a.Application.columns()...)...)
			if e := members[a.Member]; e != nil {
				e.applications, apps[a.ID] = append(e.applications, a), a
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
				a.services = append(a.services, d)
			}
			return err
		}},
	} {
		if err := each(ctx, q, t.query, after, t.row); err != nil {
			return nil, err
		}
	}
	for _, e := range members {
		slices.Sort(e.Roles)
		slices.SortFunc(e.applications, func(x, y *applicationEntry) int { return cmp.Compare(x.ID, y.ID) })
		for _, a := range e.applications {
			a.finish()
		}
	}
	return slices.Collect(maps.Values(members)), nil
}

// each calls f for each row of a query.
func each(ctx context.Context, q querier, query string, arg any, f func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// find gives an entry, or ErrNotFound for a reader's eyes.
func find[T any](m map[string]T, what, id string) (T, error) {
	v, ok := m[id]
	if !ok {
		return v, fmt.Errorf("%s %s: %w", what, cut(id, 64), ErrNotFound)
	}
	return v, nil
}
