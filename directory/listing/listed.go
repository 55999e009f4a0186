// Package listing is what the public may know of the directory: members, applications
// and data services, as JSON, RDF and pages, the catalogue, the servers' allow-list, and
// queries (SPARQL). It serves from memory (state.go says how that follows the database).
package listing

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// listed is the public listing at one revision: every member with its
// applications and their data services. It does not change; a change to the
// directory makes another one, which shares what has stayed the same.
type listed struct {
	directory.Revision
	members map[string]*directory.MemberEntry
	ids     []string // of members, sorted
	byApp   map[string]*directory.ApplicationEntry
	byOffer map[string]offer

	made sync.Map // what was worked out of it once: see keep
}

// offer is a data service with whose it is.
type offer struct {
	directory.DataService
	app *directory.ApplicationEntry
}

// newListed puts entries in the place of those that l had, if any. Its cost is
// that of copying three maps, however much there is to say of each member.
func newListed(r directory.Revision, l *listed, entries []*directory.MemberEntry) *listed {
	out := &listed{Revision: r}
	if l == nil {
		out.members, out.byApp, out.byOffer = map[string]*directory.MemberEntry{}, map[string]*directory.ApplicationEntry{}, map[string]offer{}
	} else {
		out.members, out.byApp, out.byOffer, out.ids = maps.Clone(l.members), maps.Clone(l.byApp), maps.Clone(l.byOffer), l.ids
	}
	added := false
	for _, e := range entries {
		if old := out.members[e.ID]; old == nil {
			added = true
		} else {
			for _, a := range old.Applications {
				delete(out.byApp, a.ID)
				for _, d := range a.Services {
					delete(out.byOffer, d.ID)
				}
			}
		}
		out.members[e.ID] = e
		for _, a := range e.Applications {
			out.byApp[a.ID] = a
			for _, d := range a.Services {
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
func (l *listed) withRole(role string) []*directory.MemberEntry {
	return l.keep("roles", func() any {
		out := map[string][]*directory.MemberEntry{}
		for _, id := range l.ids {
			for _, r := range l.members[id].Roles {
				out[r] = append(out[r], l.members[id])
			}
		}
		return out
	}).(map[string][]*directory.MemberEntry)[role]
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
			for _, a := range l.members[id].Applications {
				for _, h := range a.Hosts {
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

// find gives an entry, or ErrNotFound for a reader's eyes.
func find[T any](m map[string]T, what, id string) (T, error) {
	v, ok := m[id]
	if !ok {
		return v, fmt.Errorf("%s %s: %w", what, form.Cut(id, 64), fault.ErrNotFound)
	}
	return v, nil
}
