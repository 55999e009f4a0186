package ingest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// refusal is an answer to a gateway that is not a success.
type refusal struct {
	status      int
	code        string
	description string
	sequence    uint64 // 409 only: the head of the chain
	hash        string
}

func (e *refusal) Error() string { return e.code + ": " + e.description }

func refuse(status int, code, format string, a ...any) *refusal {
	return &refusal{status: status, code: code, description: fmt.Sprintf(format, a...)}
}

// handle checks who is there, runs h, and writes its error. An error that is
// not a refusal goes to the log under a number, and only the number goes out.
func (s *Service) handle(h func(http.ResponseWriter, *http.Request, identity.Peer) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer, err := s.gateway(r)
		if err == nil {
			err = h(w, r, peer)
		}
		if err == nil {
			return
		}
		var e *refusal
		if errors.As(err, &e) {
			s.log.Info("ingest: refused", "path", r.URL.Path, "gateway", peer.Application, "status", e.status, "error", e.code, "reason", e.description)
		} else {
			id := rand.Text()[:12]
			s.log.Error("ingest: request failed", "incident", id, "path", r.URL.Path, "gateway", peer.Application, "error", err)
			e = refuse(http.StatusInternalServerError, "server_error", "Something went wrong on our side; please try again. If it persists, quote %s.", id)
			if r.Context().Err() != nil {
				e.status, e.code = http.StatusServiceUnavailable, "temporarily_unavailable"
			}
		}
		body := map[string]any{"error": e.code, "error_description": e.description}
		switch e.status {
		case http.StatusConflict:
			if e.hash != "" {
				body["sequence"], body["hash"] = e.sequence, e.hash
			}
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `Mutual realm="perseus"`)
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "30")
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "5")
		}
		writeJSON(w, e.status, body)
	}
}

// gateway reads who is at the other end and makes sure that it is a gateway of
// a member that this relay serves.
func (s *Service) gateway(r *http.Request) (identity.Peer, error) {
	p, err := identity.RequestPeer(r)
	if err != nil {
		return p, refuse(http.StatusUnauthorized, "invalid_client", "%v", err)
	}
	switch {
	case !strings.Contains(p.Application, "/g/"):
		return p, refuse(http.StatusForbidden, "access_denied", "this address is for gateways; the certificate is for %s", p.Application)
	case !slices.Contains(s.c.Members, p.Member):
		return p, refuse(http.StatusForbidden, "access_denied", "gateways of %s are not served here", p.Member)
	case outside(r.TLS.VerifiedChains[0][0], s.c.Now()): // it was looked at when the connection began, which may be long ago
		return p, refuse(http.StatusUnauthorized, "invalid_client", "the client certificate has run out: renew it")
	case s.c.Revoked(p.Serial):
		return p, refuse(http.StatusForbidden, "certificate_revoked", "the client certificate is revoked: enrol the gateway again")
	}
	return p, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // an error here means that the gateway is gone
}

// outside reports whether a certificate is not valid yet, or not any more.
func outside(c *x509.Certificate, now time.Time) bool {
	return now.Before(c.NotBefore) || now.After(c.NotAfter)
}
