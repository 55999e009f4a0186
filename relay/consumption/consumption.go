// Package consumption is the scheme's energy consumption data API, version
// 2026-03-12: half-hours for carbon accounting providers, over mutual TLS, with
// a bearer token and a signed record of where they came from.
//
// Two things differ from the letter of the published schema, on purpose:
// "cumulative" is left out where the register is not known (imported history
// has none, and nothing is invented), and gas is served as "gas" in cubic
// metres (MTQ), as the scheme's pilots do. published_test.go holds our answers
// against that document, and lists every clause that is set aside.
package consumption

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// Store is where the half-hours are. *ingest.Service is one.
type Store interface {
	Site(ctx context.Context, gateway string) (ingest.Site, error)
	Meters(ctx context.Context, gateway string) ([]ingest.Meter, error)
	Readings(ctx context.Context, gateway string, k energy.Key, from, to time.Time) iter.Seq2[ingest.Reading, error]
	// MonthStatements gives the gateway's own statements of the months in [from,
	// to), opened for the half-hours in [from, to) and for no others.
	MonthStatements(ctx context.Context, gateway string, k energy.Key, from, to time.Time) ([]ingest.MonthStatement, error)
}

// Provenance makes the signed record of one answer: permission, origin,
// transfer. from and to are the window that was asked for.
type Provenance interface {
	Provenance(ctx context.Context, a permission.Access, gateway string, k energy.Key, from, to time.Time, s Summary) (json.RawMessage, error)
}

// ProvenanceFunc is a function that is a Provenance.
type ProvenanceFunc func(ctx context.Context, a permission.Access, gateway string, k energy.Key, from, to time.Time, s Summary) (json.RawMessage, error)

// Provenance calls f.
func (f ProvenanceFunc) Provenance(ctx context.Context, a permission.Access, gateway string, k energy.Key, from, to time.Time, s Summary) (json.RawMessage, error) {
	return f(ctx, a, gateway, k, from, to, s)
}

// Config is what a Service needs. All fields are required unless marked
// optional.
type Config struct {
	Access     func(*http.Request) (permission.Access, error) // (*permission.Service).CheckToken
	Store      Store
	Provenance Provenance
	Scheme     scheme.Scheme
	Now        func() time.Time // optional; time.Now
	Logger     *slog.Logger     // optional; slog.Default
}

// Service serves the API.
type Service struct {
	c   Config
	log *slog.Logger
}

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.Access == nil || c.Store == nil || c.Provenance == nil || c.Scheme == (scheme.Scheme{}) {
		return nil, errors.New("consumption: Access, Store, Provenance and Scheme are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Service{c: c, log: c.Logger}, nil
}

// Register adds the API to a mux that is served over mutual TLS.
func (s *Service) Register(mux openapi.Mux) {
	mux.HandleFunc("GET /heartbeat", s.heartbeat)
	mux.HandleFunc("GET /datasources", s.handle(s.sources))
	mux.HandleFunc("GET /datasources/{$}", s.handle(s.sources))
	mux.HandleFunc("GET /datasources/{id}/{measure}", s.handle(s.readings))
	mux.HandleFunc("GET /datasources/{id}/{measure}/{$}", s.handle(s.readings))
	mux.HandleFunc("GET /datasources/{rest...}", s.handle(func(http.ResponseWriter, *http.Request, permission.Access) error {
		return errNotFound
	}))
}

func (s *Service) heartbeat(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "timestamp": stamp(s.c.Now())})
}

// stamp writes an instant as the API does: UTC, whole seconds, Z.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
