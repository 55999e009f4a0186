// Package web is the gateway's local page and API: the same facts for people,
// programs and monitoring. It is read-only, but for the enrolment of the gateway,
// a new meter code and the import of half-hourly files, and needs no script in
// the browser.
package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
)

// New serves an agent: / the page, /api/v1/status, /api/v1/readings,
// POST /api/v1/import, POST /enrol, POST /code, /metrics, /healthz. Only requests that name
// this machine are answered, so that no web page elsewhere can reach it through
// a name of its own.
func New(a *agent.Agent, c *config.Config, log *slog.Logger) http.Handler {
	s := &server{agent: a, book: a.Ledger(), log: log, token: newToken(), web: webConfig{Web: c.Web}}
	if c.Uplink != nil {
		s.web.Directory = c.Uplink.Directory
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/readings", s.readings)
	mux.HandleFunc("GET /api/v1/history", s.history)
	mux.HandleFunc("GET /api/v1/findings", s.findings)
	mux.HandleFunc("GET /api/v1/statements", s.statements)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.Handle("GET /metrics", metrics(a))
	mux.HandleFunc("GET /enrolled", s.enrolledPage)
	mux.Handle("POST /enrol", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.postEnrol)))
	mux.HandleFunc("GET /code", s.codePage)
	mux.Handle("POST /code", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.postCode)))
	mux.Handle("POST /api/v1/code", http.NewCrossOriginProtection().Handler(localOnly(http.HandlerFunc(s.newCode))))
	mux.Handle("POST /api/v1/reload", http.NewCrossOriginProtection().Handler(localOnly(http.HandlerFunc(s.reload))))
	mux.Handle("POST /api/v1/import", http.NewCrossOriginProtection().Handler(localOnly(http.HandlerFunc(s.importing))))
	return headers(hostCheck(c.Web, mux))
}

type server struct {
	agent *agent.Agent
	book  agent.Ledger
	log   *slog.Logger
	token string // of the form on the page
	web   webConfig

	enrolled atomic.Int64 // when the form last worked, Unix nanoseconds
}

// webConfig is what the page goes by.
type webConfig struct {
	config.Web
	Directory string // where the gateway is enrolled; empty: who enrols it says
}

// headers says what the page may do: nothing but show its own style and send its
// own form.
func headers(next http.Handler) http.Handler {
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// hostCheck refuses names that are not this machine's: a browser that was led
// here by a foreign name (DNS rebinding) shows that name in Host.
func hostCheck(c config.Web, next http.Handler) http.Handler {
	ours := namesOf(c)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ours(hostOnly(r.Host)) {
			fail(w, http.StatusMisdirectedRequest, "invalid_host", "this page is not called so: use its address, or on the gateway itself localhost or 127.0.0.1; another name of it belongs into its configuration (web: names)")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostOnly(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localOnly lets only this machine itself through.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(hostOnly(r.RemoteAddr)) {
			fail(w, http.StatusForbidden, "access_denied", "this is done on the gateway itself only: run perseus-agent there")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func fail(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]string{"error": code, "error_description": description})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v) // the client is gone where this fails
}
