// Package bank is the relay's side towards a financial service provider: the
// scheme's emissions data API. A bank sees whole months of emissions of what a
// business permitted, and the signed record of where they came from; nothing
// it can ask shows a finer pattern (law 5).
package bank

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Access is what a valid token gives access to. Its fields are those of
// permission.Access, in the same order, so that one converts to the other.
type Access struct {
	Permission string
	Client     string // application URL of the bank
	ClientName string
	License    string
	Gateway    string
	Account    string // opaque name of the business
	Covers     []grant.Cover
	From       time.Time // earliest half-hour that the permission covers
	Granted    time.Time
	Expires    time.Time
	Evidence   string
}

// Emissions gives finished months; *emissions.Service is one.
type Emissions interface {
	Monthly(ctx context.Context, a emissions.Account, from, to time.Time) ([]emissions.Monthly, error)
	Notify()
}

// Config is what the API needs.
type Config struct {
	// CheckToken checks the bearer token against the client certificate. An
	// error that has a method Write(http.ResponseWriter) answers by itself;
	// any other is an internal one.
	CheckToken func(r *http.Request) (Access, error)
	Emissions  Emissions
	// Statements gives the gateways' own statements of whole months; optional. The
	// record names those of the months served.
	Statements  func(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) ([]ingest.MonthRoot, error)
	Scheme      scheme.Scheme
	Application string            // the relay's own application URL: it hands the readings to itself
	Service     string            // public URL of this API, for the provenance record
	Signer      provenance.Signer // the relay's signing certificate
	RetryAfter  time.Duration     // what a 202 asks for; 0: one minute
	Now         func() time.Time  // nil: time.Now
	Logger      *slog.Logger      // nil: slog.Default
}

// Service serves the API.
type Service struct{ c Config }

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.CheckToken == nil || c.Emissions == nil || c.Application == "" || c.Service == "" || c.Signer.Key == nil || len(c.Signer.Chain) == 0 {
		return nil, errors.New("bank: CheckToken, Emissions, Application, Service and Signer are required")
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Signer.Now == nil {
		c.Signer.Now = c.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Service{c}, nil
}

// Register adds the API to a mux whose listener demands client certificates.
func (s *Service) Register(mux openapi.Mux) {
	mux.HandleFunc("GET /emissions", s.serve)
	mux.HandleFunc("GET /emissions/{$}", s.serve)
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	peer, err := identity.RequestPeer(r)
	if err != nil {
		fail(w, http.StatusForbidden, "invalid_client", "This address needs a client certificate of the scheme.")
		return
	}
	if !peer.HasRole(s.c.Scheme.Role(scheme.FSP)) {
		fail(w, http.StatusForbidden, "access_denied", "The client certificate does not carry the role of a financial service provider.")
		return
	}
	// A permission that is withdrawn after this check has nothing leave later than
	// a minute after, however slow what follows. Where it cannot be set (a test's
	// recorder) no line is slow.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Second))
	a, err := s.c.CheckToken(r)
	if err != nil {
		var answer interface{ Write(http.ResponseWriter) }
		if errors.As(err, &answer) {
			answer.Write(w)
			return
		}
		s.internal(w, r, err)
		return
	}
	if a.Client != peer.Application {
		// The token check already binds the two; this keeps a slip there from
		// opening one bank's data to another.
		fail(w, http.StatusForbidden, "access_denied", "The token was given to another application.")
		return
	}
	if a.License != s.c.Scheme.LicenseEmissions() && a.License != s.c.Scheme.LicenseCombined() {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		fail(w, http.StatusForbidden, "insufficient_scope", "The permission's licence does not cover emissions.")
		return
	}
	account := emissions.Account{Permission: a.Permission, Gateway: a.Gateway, Covers: a.Covers, Granted: a.Granted, From: a.From, Expires: a.Expires}
	if len(account.Meters(emissions.Electricity))+len(account.Meters(emissions.Gas)) == 0 {
		fail(w, http.StatusNotFound, "not_found", "The permission covers no meter of electricity import or gas.")
		return
	}
	now := s.c.Now().UTC()
	from, to, err := window(r.URL.Query(), now)
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	months, err := s.c.Emissions.Monthly(r.Context(), account, from, to)
	if err != nil {
		s.internal(w, r, err)
		return
	}
	complete, pending := split(months)
	if pending {
		s.c.Emissions.Notify()
		s.notReady(w)
		return
	}
	if len(complete) == 0 {
		fail(w, http.StatusNotFound, "not_found", never(a.From, from, to))
		return
	}
	body, err := s.report(r.Context(), a, complete, from, to)
	if err != nil {
		s.internal(w, r, err)
		return
	}
	s.c.Logger.Info("bank: emissions delivered", "client", a.Client, "gateway", a.Gateway, "months", len(complete))
	header(w)
	w.Write(body) // an error here means that the client is gone
}

// split takes the months with a figure, and reports whether any other is on
// its way.
func split(months []emissions.Monthly) (complete []emissions.Monthly, pending bool) {
	for _, m := range months {
		switch {
		case m.Result != nil:
			complete = append(complete, m)
		case m.Pending:
			pending = true
		}
	}
	return complete, pending
}

func (s *Service) notReady(w http.ResponseWriter) {
	header(w)
	w.Header().Set("Retry-After", strconv.Itoa(int(s.c.RetryAfter/time.Second)))
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, `{"message":"Emissions data is not yet available. Whole months are delivered once every half-hour of them is known."}`)
}

// internal answers with a number by which the log has the error.
func (s *Service) internal(w http.ResponseWriter, r *http.Request, err error) {
	id := rand.Text()[:12]
	s.c.Logger.Error("bank: request failed", "incident", id, "path", r.URL.Path, "error", err)
	fail(w, http.StatusInternalServerError, "server_error", "Something went wrong on our side. Please try again; if it persists, quote "+id+".")
}
