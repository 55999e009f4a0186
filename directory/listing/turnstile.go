package listing

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/answer"
)

// turnstile lets a few queries in at a time, and of one address so few that it
// cannot keep the others out.
type turnstile struct {
	places chan struct{} // taken
	mu     sync.Mutex
	by     map[netip.Addr]int // under way or waiting
}

func newTurnstile() *turnstile {
	return &turnstile{places: make(chan struct{}, queriesAtOnce), by: map[netip.Addr]int{}}
}

// enter waits for a place. leave must be called when the query has ended. The
// error is for the client: come again later.
func (t *turnstile) enter(ctx context.Context, who netip.Addr) (leave func(), err error) {
	if !t.count(who, 1) {
		return nil, answer.Refuse(http.StatusTooManyRequests, "too_many_requests", "Two queries from your address are under way. Wait for their answers.")
	}
	wait := time.NewTimer(queryWait)
	defer wait.Stop()
	select {
	case t.places <- struct{}{}:
		return func() {
			<-t.places
			t.count(who, -1)
		}, nil
	case <-wait.C:
		err = answer.Refuse(http.StatusServiceUnavailable, "busy", "Too many queries are under way. Try again in a moment.")
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.count(who, -1)
	return nil, err
}

// count notes that an address has one query more or less; false when it has
// enough.
func (t *turnstile) count(who netip.Addr, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n > 0 && t.by[who] >= queriesEach {
		return false
	}
	if t.by[who] += n; t.by[who] == 0 {
		delete(t.by, who)
	}
	return true
}
