package permission

import (
	"context"
	"sync"
	"time"
)

// pollEvery is how soon a change of grants by another process is noticed.
const pollEvery = 3 * time.Second

// hub wakes the waiting gateways: at once for changes of this process, within
// pollEvery for those of others. However many wait, it asks the database once
// per pollEvery, and not at all while nobody waits.
type hub struct {
	versions func(context.Context) (map[string]int64, error) // of the gateways that changed lately

	mu      sync.Mutex
	waiting map[string]map[*watch]struct{}
	polling bool
}

// watch is one gateway's wait. ch gets one element for any number of changes.
type watch struct {
	hub     *hub
	gateway string
	seen    int64 // under hub.mu
	ch      chan struct{}
}

func newHub(versions func(context.Context) (map[string]int64, error)) *hub {
	return &hub{versions: versions, waiting: map[string]map[*watch]struct{}{}}
}

func (h *hub) watch(gateway string) *watch {
	w := &watch{hub: h, gateway: gateway, ch: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[gateway] == nil {
		h.waiting[gateway] = map[*watch]struct{}{}
	}
	h.waiting[gateway][w] = struct{}{}
	if !h.polling {
		h.polling = true
		go h.poll()
	}
	return w
}

func (w *watch) stop() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.waiting[w.gateway], w)
	if len(w.hub.waiting[w.gateway]) == 0 {
		delete(w.hub.waiting, w.gateway)
	}
}

// saw says up to which version the waiter knows the grants.
func (w *watch) saw(version int64) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.seen = version
}

func (w *watch) wake() {
	select {
	case w.ch <- struct{}{}:
	default: // woken already
	}
}

// wake wakes those who wait for the gateway.
func (h *hub) wake(gateway string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiting[gateway] {
		w.wake()
	}
}

// poll looks for changes by other processes until nobody waits.
func (h *hub) poll() {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for range t.C {
		h.mu.Lock()
		idle := len(h.waiting) == 0
		if idle {
			h.polling = false
		}
		h.mu.Unlock()
		if idle {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), pollEvery)
		versions, err := h.versions(ctx)
		cancel()
		if err != nil {
			continue // the waiters' own queries report a broken database
		}
		h.mu.Lock()
		for gateway, v := range versions {
			for w := range h.waiting[gateway] {
				if v > w.seen {
					w.seen = v
					w.wake()
				}
			}
		}
		h.mu.Unlock()
	}
}
