package web

import "net/http"

// reload has the configuration read again: 204 when it is taken over, 409 with
// the reason when the old one goes on.
func (s *server) reload(w http.ResponseWriter, r *http.Request) {
	if err := s.agent.Reload(r.Context()); err != nil {
		fail(w, http.StatusConflict, "configuration_refused", err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
