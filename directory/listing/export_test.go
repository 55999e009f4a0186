package listing

import (
	"context"
	"net/netip"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/sparql"
)

// What the tests look at from outside, through the server of the whole directory.
const (
	AskEvery      = askEvery
	StaleAtMost   = staleAtMost
	QueriesAtOnce = queriesAtOnce
	QueriesEach   = queriesEach
)

type Listed = listed

func (l *listed) Members() map[string]*directory.MemberEntry    { return l.members }
func (l *listed) IDs() []string                                 { return l.ids }
func (l *listed) ByApp() map[string]*directory.ApplicationEntry { return l.byApp }
func (l *listed) ByOffer() map[string]offer                     { return l.byOffer }
func (l *listed) WithRole(role string) []*directory.MemberEntry { return l.withRole(role) }
func (l *listed) Conforming(standard string) []offer            { return l.conforming(standard) }
func (l *listed) Hosts() map[string][]string                    { return l.hosts() }

func (s *Server) Listing(ctx context.Context) (*Listed, error) { return s.listing(ctx) }

func (s *Server) Refreshed(ctx context.Context, l *Listed) (*Listed, error) {
	return s.refreshed(ctx, l)
}

func (s *Server) Dataset(l *Listed) *sparql.Dataset     { return s.dataset(l) }
func (s *Server) MakeDataset(l *Listed) *sparql.Dataset { return s.makeDataset(l) }

// SetLargeDataset gives what it was before.
func SetLargeDataset(n int) int {
	before := largeDataset
	largeDataset = n
	return before
}

// Turnstile has the queries wait at a new one.
func (s *Server) Turnstile() { s.queries = newTurnstile() }

func (s *Server) Enter(ctx context.Context, who netip.Addr) (leave func(), err error) {
	return s.queries.enter(ctx, who)
}

// Within says of how many addresses there are queries, and how many are under way.
func (s *Server) Within() (addresses, places int) { return len(s.queries.by), len(s.queries.places) }
