package listing

import (
	"sync"

	"github.com/perseus-edge/perseus-edge/directory/sparql"
)

// largeDataset is the number of triples from which on queries do not wait for
// a dataset that is being made anew after a change: they read the one before.
// (A variable for the tests.)
var largeDataset = 50_000

// datasetState holds what queries read.
type datasetState struct {
	mu     sync.Mutex
	data   *sparql.Dataset
	of     *listed // which it was made of
	making bool    // a newer one is under way
}

// dataset gives the listing, the catalogue and the registry's terms as what
// queries read. A small one is always of the listing that is asked for; a large
// one may be older by the time that it takes to make it.
func (s *Server) dataset(l *listed) *sparql.Dataset {
	d := &s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.of == l:
	case d.data == nil || d.data.Len() <= largeDataset:
		d.data, d.of = s.makeDataset(l), l
	case !d.making:
		d.making = true
		go func() {
			made := s.makeDataset(l)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.data, d.of, d.making = made, l, false
		}()
	}
	return d.data
}

func (s *Server) makeDataset(l *listed) *sparql.Dataset {
	b := sparql.NewBuilder()
	if s.Terms != nil {
		b.Add(s.Terms.Graph())
	}
	for _, id := range l.ids {
		m := l.members[id]
		b.Add(s.memberGraph(m))
		for _, a := range m.Applications {
			b.Add(s.applicationGraph(a))
			for _, o := range a.Services {
				b.Add(s.serviceGraph(offer{o, a}))
			}
		}
	}
	return b.Dataset()
}
