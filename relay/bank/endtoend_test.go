package bank_test

import (
	"context"
	"iter"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/bank"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/sim/carbon"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// handlerWire serves requests from a handler, without a network.
type handlerWire struct{ http.Handler }

func (h handlerWire) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func readingAt(at time.Time) int64 { return 300 + at.Unix()/1800%700 }

// A year of half-hours, the grid from the simulated API with its faults, the
// real cache and calculation: the bank's table is the sum, to the gram.
func TestYear(t *testing.T) {
	w := newWorld(t)
	quiet := record.Logger(t)
	clock := func() time.Time { return w.now }
	db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	api := carbon.Handler(carbon.Options{Seed: 9, Now: clock, Faults: carbon.Faults{
		Array: 0.3, Error: 0.1, Unavailable: 0.1, Broken: 0.1, PriorHalfHour: true, YearEnd: true}})
	client, err := neso.New(neso.Config{HTTP: handlerWire{api}, Attempts: 20, Now: clock, Logger: quiet,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	factors, err := emissions.LoadFactors(configs.Factors, "factors/desnz-natural-gas.yaml")
	if err != nil {
		t.Fatal(err)
	}
	first, last := time.Date(2025, 2, 14, 0, 0, 0, 0, time.UTC), w.now
	service, err := emissions.New(emissions.Config{
		DB: db, Grid: emissions.NewGrid(db, client, clock, quiet), Factors: factors, Now: clock, Logger: quiet,
		Outcode: func(context.Context, string) (string, error) { return "SW8", nil },
		Readings: func(_ context.Context, _ string, k energy.Key, from, to time.Time) iter.Seq2[emissions.Reading, error] {
			return func(yield func(emissions.Reading, error) bool) {
				for at := from; at.Before(to); at = at.Add(energy.Period) {
					if !at.Before(first) && at.Before(last) && !yield(emissions.Reading{Start: at, Energy: readingAt(at), Cumulative: -1, Quality: energy.Measured, Rule: energy.RuleBracketed, Batch: 1}, nil) {
						return
					}
				}
			}
		},
		Hashes: func(context.Context, string, []uint64) (map[uint64]batch.Hash, error) {
			return map[uint64]batch.Hash{1: {1}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	signer := w.signing.Signing(relayURL, "Relay Ltd", "https://directory.example/m/relay", w.scheme.Role(scheme.EDP), w.scheme.Role(scheme.CAP))
	s, err := bank.New(bank.Config{
		CheckToken: func(r *http.Request) (bank.Access, error) { return w.access, nil }, Emissions: service, Scheme: w.scheme,
		Application: relayURL, Service: "https://relay.example/emissions", Signer: provenance.Signer{Key: signer.Key, Chain: signer.Chain}, Now: clock, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mux = http.NewServeMux()
	s.Register(w.mux)
	const query = "?from=2025-02-01T00:00:00Z"
	if rec := w.get(query); rec.Code != 202 {
		t.Fatalf("before the grid is known: %d %s", rec.Code, rec.Body)
	}
	account := emissions.Account{Permission: "p", Gateway: gateway, Covers: w.access.Covers, From: w.access.From, Expires: w.access.Expires}
	if _, err := service.Refresh(t.Context(), account, account.From, w.now); err != nil {
		t.Fatal(err)
	}
	got := w.report(query)
	var want []string
	for m := (emissions.Month{Year: 2025, Month: time.March}); m.End().Before(w.now); m = m.Next() { // February 2025 is not whole
		sum := new(big.Rat)
		for at := m.Start(); at.Before(m.End()); at = at.Add(energy.Period) {
			sum.Add(sum, big.NewRat(readingAt(at)*carbon.Intensity("SW8", at), 1_000_000))
		}
		want = append(want, "electricity "+m.Start().Format(time.RFC3339)+".."+m.End().Format(time.RFC3339)+" "+sum.FloatString(3)+" KGM")
	}
	if len(want) != 12 || got.String() != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if err := provenance.CheckEmissions(w.steps(query), got.entries(t)); err != nil {
		t.Error(err)
	}
}
