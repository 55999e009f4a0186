package permission

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is an OAuth error as RFC 6749 (section 5.2) and RFC 6750 (section 3)
// write it. Its text is for the client; it holds nothing internal.
type Error struct {
	Status      int           // HTTP status
	Code        string        // e.g. "invalid_grant"
	Description string        // plain ASCII without quotes or backslashes
	Retry       time.Duration // when to try again; 0: no matter
	anonymous   bool          // no token was shown: the challenge names no error (RFC 6750, section 3.1)
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

func bad(code, format string, a ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: ascii(fmt.Sprintf(format, a...))}
}

func unauthorized(code, description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: code, Description: description}
}

// Write sends the error as JSON, with a challenge on every 401.
func (e *Error) Write(w http.ResponseWriter) {
	h := w.Header()
	if e.Status == http.StatusUnauthorized {
		challenge := `Bearer realm="perseus"`
		if !e.anonymous {
			challenge += `, error="` + e.Code + `", error_description="` + ascii(e.Description) + `"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
	if e.Retry > 0 {
		h.Set("Retry-After", wholeSeconds(e.Retry))
	}
	writeJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Description})
}

// fail answers a server-to-server request with err. What is not an *Error goes
// to the log, and the client gets its number there and nothing else.
func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: s.incident(r, err)}
	}
	e.Write(w)
}

// incident logs an internal error and returns the words for the outside.
func (s *Service) incident(r *http.Request, err error) string {
	return "Something went wrong on our side. Please try again; if it persists, quote " + s.incidentNumber(r, err) + "."
}

// incidentNumber logs an internal error and returns its number in the log.
func (s *Service) incidentNumber(r *http.Request, err error) string {
	id := rand.Text()[:12]
	s.log.Error("permission: request failed", "incident", id, "method", r.Method, "path", r.URL.Path, "error", err)
	return id
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error here means that the client is gone
}

// wholeSeconds writes a wait for Retry-After, rounded up.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// ascii keeps what RFC 6749 allows in error_description.
func ascii(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			b[i] = '\''
		}
	}
	return string(b)
}
