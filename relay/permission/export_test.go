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
