package permission

import "context"

// Sweep is one round of Run.
func (s *Service) Sweep(ctx context.Context) error { return s.sweep(ctx) }

// Waiting is how many requests of a gateway are held.
func (s *Service) Waiting(gateway string) int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.waiting[gateway])
}

// Deliver tries every message that is due once.
func (s *Service) Deliver(ctx context.Context) error {
	d := deliveries{places: make(chan struct{}, messagesAtOnce)}
	defer d.Wait()
	return s.deliver(ctx, &d)
}

// What tests need to know of the queue.
const (
	MessageTries = messageTries
	MessageLease = messageLease
)

var (
	MessagePause   = messagePause
	RefusePrivate  = refusePrivate
	MessageAddress = messageAddress
	Accepted       = accepted
)
