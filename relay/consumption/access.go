package consumption

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// failure is an answer that is an error, as RFC 6749 and RFC 6750 write it.
type failure struct {
	status            int
	code, description string
}

func (e *failure) Error() string { return e.code + ": " + e.description }

func fail(status int, code, format string, a ...any) *failure {
	return &failure{status, code, fmt.Sprintf(format, a...)}
}

// errNotFound does not say whether a source exists that the token does not
// cover.
var errNotFound = fail(http.StatusNotFound, "not_found", "no such data source or measure under this permission")

// handle lets in who may ask: a carbon accounting provider with a token of a
// licence that covers consumption. Then it runs h and writes its error.
func (s *Service) handle(h func(http.ResponseWriter, *http.Request, permission.Access) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// From before the token is looked at: what comes after, the reading and
		// signing too, may be slow. Where it cannot be set (a test's recorder) there
		// is no line to be slow.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		a, err := s.access(r)
		if err == nil {
			err = h(w, r, a)
		}
		if err != nil {
			s.refuse(w, r, err)
		}
	}
}

func (s *Service) access(r *http.Request) (permission.Access, error) {
	peer, err := identity.RequestPeer(r)
	if err != nil {
		return permission.Access{}, fail(http.StatusUnauthorized, "invalid_token", "%v", err)
	}
	a, err := s.c.Access(r)
	if err != nil {
		return permission.Access{}, err
	}
	if a.Client != peer.Application {
		return permission.Access{}, fail(http.StatusUnauthorized, "invalid_token", "the access token was given to another application")
	}
	if !peer.HasRole(s.c.Scheme.Role(scheme.CAP)) {
		return permission.Access{}, fail(http.StatusForbidden, "access_denied", "the client certificate does not carry the role %s", s.c.Scheme.Role(scheme.CAP))
	}
	if a.License != s.c.Scheme.LicenseConsumption() && a.License != s.c.Scheme.LicenseCombined() {
		return permission.Access{}, fail(http.StatusForbidden, "insufficient_scope", "the licence of this access token does not cover consumption")
	}
	return a, nil
}

// refuse writes an error. What is neither ours nor the token check's is
// internal: it goes to the log under a number, and only the number goes out.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var oauth *permission.Error
	if errors.As(err, &oauth) {
		oauth.Write(w)
		return
	}
	var e *failure
	if !errors.As(err, &e) {
		id := rand.Text()[:12]
		s.log.Error("consumption: request failed", "incident", id, "path", r.URL.Path, "error", err)
		e = fail(http.StatusInternalServerError, "server_error", "Something went wrong on our side; please try again. If it persists, quote %s.", id)
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="perseus", error="`+e.code+`"`)
	}
	writeJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error here means that the client is gone
}
