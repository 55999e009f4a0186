package ingest

import (
	"context"
	"net/http"
	"sync"

	"github.com/perseus-edge/perseus-edge/identity"
)

// mostInHand is how many requests of one gateway this process has in hand at a
// time: one is in work, the others come in or wait for it. A gateway sends one
// after the other; what is left of a connection that broke leaves room for it.
// It bounds the memory that a gateway can take, at 1 MiB for each.
const mostInHand = 8

// hands bounds what one gateway can take of this process. All of a gateway's
// batches want the lock of the same chain, so that a second one in work could
// only wait, and in a place among the database's writers that another gateway
// may need. Its zero value is ready.
type hands struct {
	mu sync.Mutex
	of map[string]*inHand // by gateway; those with nothing in hand are not there
}

// inHand is what is in hand of one gateway.
type inHand struct {
	n    int           // requests
	work chan struct{} // holds a token while one is in work
}

// hand is the place of one request.
type hand struct {
	all     *hands
	gateway string
	of      *inHand
	works   bool
}

// take gives a request of a gateway its place, or refuses it when too many are
// in hand. done must follow.
func (h *hands) take(gateway string) (*hand, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of[gateway]
	if of == nil {
		of = &inHand{work: make(chan struct{}, 1)}
		if h.of == nil {
			h.of = map[string]*inHand{}
		}
		h.of[gateway] = of
	}
	if of.n >= mostInHand {
		return nil, refuse(http.StatusTooManyRequests, "slow_down", "%d requests of this gateway are in work: send one after the other", of.n)
	}
	of.n++
	return &hand{all: h, gateway: gateway, of: of}, nil
}

// turn waits until no other request of the gateway is in work, or until ctx ends.
func (p *hand) turn(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case p.of.work <- struct{}{}:
		p.works = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// done gives the place back.
func (p *hand) done() {
	if p.works {
		<-p.of.work
	}
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.of.n--; p.of.n == 0 {
		delete(p.all.of, p.gateway)
	}
}

// inTurn serves one request of a gateway at a time: it reads the body, at most
// limit bytes, waits for the others of the gateway, and does the work.
func (s *Service) inTurn(limit int64, work func(http.ResponseWriter, *http.Request, identity.Peer, []byte) error) http.HandlerFunc {
	return s.handle(func(w http.ResponseWriter, r *http.Request, peer identity.Peer) error {
		place, err := s.hands.take(peer.Application)
		if err != nil {
			return err
		}
		defer place.done()
		body, err := readBody(w, r, limit)
		if err != nil {
			return err
		}
		if err := place.turn(r.Context()); err != nil {
			return err
		}
		if peer, err = s.gateway(r); err != nil { // a slow body and the wait may have taken minutes
			return err
		}
		return work(w, r, peer, body)
	})
}
