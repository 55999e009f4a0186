package simulation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// ingestion is the real relay's receiving side on a database of its own.
type ingestion struct {
	service *ingest.Service
	mux     *http.ServeMux
	client  *x509.Certificate

	mu     sync.Mutex
	grants []grant.Grant
}

func newIngestion(t *testing.T, id Identity) *ingestion {
	t.Helper()
	db, err := database.Open("sqlite:" + filepath.Join(ramDir(t), "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Migrate(context.Background(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	r := &ingestion{mux: http.NewServeMux(), client: id.Client}
	r.service = ingest.New(ingest.Config{DB: db, SigningRoots: id.Roots, Members: []string{memberURL}, Permits: r, Logger: record.Logger(t)})
	r.service.Register(r.mux)
	return r
}

func (r *ingestion) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	q.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{r.client}}, PeerCertificates: []*x509.Certificate{r.client}}
	r.mux.ServeHTTP(w, q)
}

// LiveGrants is what the receiving side asks for.
func (r *ingestion) LiveGrants(_ context.Context, _ string, now time.Time) (live []grant.Grant, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.grants {
		if g.Live(now) {
			live = append(live, g)
		}
	}
	return live, nil
}

// Permit deletes what is withdrawn, as the relay does.
func (r *ingestion) Permit(gs []grant.Grant) error {
	r.mu.Lock()
	r.grants = gs
	r.mu.Unlock()
	if _, err := r.service.DeleteUncovered(context.Background(), gatewayURL); !errors.Is(err, ingest.ErrNotFound) {
		return err
	}
	return nil // it has not come yet
}

func (r *ingestion) Values(k energy.Key, from, to time.Time) (map[int64]batch.Value, error) {
	values := map[int64]batch.Value{}
	for v, err := range r.service.Readings(context.Background(), gatewayURL, k, from, to) {
		if err != nil {
			return nil, err
		}
		values[v.Start.Unix()] = batch.Value{Energy: v.Energy, Quality: v.Quality, Rule: v.Rule, Flags: v.Flags}
	}
	return values, nil
}

// The same with the relay's real receiving side, which is a good deal slower.
func TestSimulationWithTheRealRelay(t *testing.T) {
	var r Result
	synctest.Test(t, func(t *testing.T) {
		id := newIdentity(t)
		id.Real = newIngestion(t, id)
		var err error
		if r, err = Run(Options{Seed: *first, Days: 25, Meters: 4, Dir: ramDir(t), Identity: id}); err != nil {
			t.Error(err)
		}
	})
	for _, v := range r.Violations {
		t.Error(v)
	}
	r.Log, r.Violations = nil, nil
	t.Logf("%+v", r)
}
