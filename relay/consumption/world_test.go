package consumption

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	gatewayURL = "https://directory.example/g/1"
	clientURL  = "https://directory.example/a/cap"
)

var (
	monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	mainIn = energy.Key{Meter: "main", Measure: energy.Import}
	errOut = errors.New("disk on fire at /var/lib")
)

// store keeps half-hours in memory.
type store struct {
	site     ingest.Site
	meters   []ingest.Meter
	readings map[energy.Key][]ingest.Reading
	passes   int

	statements []ingest.MonthStatement

	before func(pass int) error // called before each pass
}

func (s *store) Site(_ context.Context, gateway string) (ingest.Site, error) {
	if gateway != s.site.Gateway {
		return ingest.Site{}, ingest.ErrNotFound
	}
	return s.site, nil
}

func (s *store) Meters(context.Context, string) ([]ingest.Meter, error) { return s.meters, nil }

func (s *store) Readings(_ context.Context, gateway string, k energy.Key, from, to time.Time) iter.Seq2[ingest.Reading, error] {
	return func(yield func(ingest.Reading, error) bool) {
		s.passes++
		var fault error
		if s.before != nil {
			fault = s.before(s.passes)
		}
		for _, r := range s.readings[k] {
			if gateway == s.site.Gateway && !r.Start.Before(from) && r.Start.Before(to) && !yield(r, nil) {
				return
			}
		}
		if fault != nil {
			yield(ingest.Reading{}, fault)
		}
	}
}

func (s *store) MonthStatements(context.Context, string, energy.Key, time.Time, time.Time) ([]ingest.MonthStatement, error) {
	return s.statements, nil
}

// put adds n half-hours of 100, 101, .. from first on, the register from 5000 on.
func (s *store) put(k energy.Key, first time.Time, n int) {
	register := int64(5000)
	for i := range n {
		start := first.Add(time.Duration(i) * energy.Period)
		register += int64(100 + i)
		s.readings[k] = append(s.readings[k], ingest.Reading{
			Start: start, Energy: int64(100 + i), Cumulative: register, Quality: energy.Measured, Rule: energy.RuleBracketed,
			TakenAt: start.Add(energy.Period + 7*time.Second), Batch: uint64(1 + i/2),
		})
	}
}

// world is the API on a store in memory, with a client that may ask.
type world struct {
	t       *testing.T
	scheme  scheme.Scheme
	store   *store
	mux     *http.ServeMux
	now     time.Time
	access  permission.Access
	denied  error  // of the token check
	checked func() // called by it
	peer    *x509.Certificate
	cap     *x509.Certificate
	fsp     *x509.Certificate

	signed []Summary // what provenance was asked for
	spans  [][2]time.Time
	refuse error      // of the provenance
	real   Provenance // makes the record instead; nil: a text that stands for one
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sch, err := scheme.New("https://registry.example")
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t)
	w := &world{
		t: t, scheme: sch, now: monday.AddDate(0, 0, 10), mux: http.NewServeMux(),
		cap: pki.Client(clientURL, "Carbon Ltd", "https://directory.example/m/cap", sch.Role(scheme.CAP)).Cert(),
		fsp: pki.Client(clientURL, "Bank plc", "https://directory.example/m/bank", sch.Role(scheme.FSP)).Cert(),
		store: &store{
			site: ingest.Site{Gateway: gatewayURL, Outcode: "SW8"},
			meters: []ingest.Meter{
				{ID: "boiler", Type: "gas", Measures: []energy.Measure{energy.Gas}, Source: "src-boiler", Listed: true},
				{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import, energy.Export, energy.ReactiveImport}, Source: "src-main", Listed: true},
				{ID: "old", Type: "electricity", Measures: []energy.Measure{energy.Import}, Source: "src-old"},
				{ID: "private", Type: "electricity", Measures: []energy.Measure{energy.Import}, Source: "src-private", Listed: true},
			},
			readings: map[energy.Key][]ingest.Reading{},
		},
	}
	w.peer = w.cap
	w.access = permission.Access{
		Permission: "p1", Client: clientURL, License: sch.LicenseCombined(), Gateway: gatewayURL,
		Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}, {Meter: "main", Measure: energy.ReactiveImport},
			{Meter: "old", Measure: energy.Import}, {Meter: "boiler", Measure: energy.Gas}},
		From: monday.AddDate(0, -13, 0), Granted: monday, Expires: monday.AddDate(1, 0, 0),
	}
	s, err := New(Config{
		Access: func(*http.Request) (permission.Access, error) {
			if w.checked != nil {
				w.checked()
			}
			return w.access, w.denied
		},
		Store: w.store, Scheme: sch, Now: func() time.Time { return w.now }, Logger: record.Logger(t),
		Provenance: ProvenanceFunc(func(_ context.Context, a permission.Access, gateway string, k energy.Key, from, to time.Time, sum Summary) (json.RawMessage, error) {
			if a.Permission != w.access.Permission || gateway != gatewayURL {
				t.Errorf("provenance for %s, %s", a.Permission, gateway)
			}
			w.signed, w.spans = append(w.signed, sum), append(w.spans, [2]time.Time{from, to})
			if w.real != nil {
				return w.real.Provenance(t.Context(), a, gateway, k, from, to, sum)
			}
			return json.RawMessage(`{"ib1:provenance":"x"}`), w.refuse
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(w.mux)
	return w
}

// get asks for a path; headers come in pairs.
func (w *world) get(path string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	w.serve(out, r)
	return out
}

// serve answers a request as if it had come over mutual TLS with w.peer's
// certificate.
func (w *world) serve(out http.ResponseWriter, r *http.Request) {
	if w.peer != nil {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{w.peer}}}
	}
	w.mux.ServeHTTP(out, r)
}

// refused checks the form of an error and returns its description.
func (w *world) refused(got *httptest.ResponseRecorder, status int, code string) string {
	w.t.Helper()
	var e struct {
		Error string `json:"error"`
		Text  string `json:"error_description"`
	}
	d := json.NewDecoder(bytes.NewReader(got.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || got.Code != status || e.Error != code || e.Text == "" {
		w.t.Errorf("got %d %s (%v), want %d %s", got.Code, got.Body, err, status, code)
	}
	if challenge := got.Header().Get("WWW-Authenticate"); (challenge != "") != (status == http.StatusUnauthorized) {
		w.t.Errorf("%d with WWW-Authenticate %q", status, challenge)
	}
	if ct := got.Header().Get("Content-Type"); ct != "application/json" {
		w.t.Errorf("%d with Content-Type %q", status, ct)
	}
	return e.Text
}

// A meterData is the answer as the scheme's schema has it.
type meterData struct {
	Data []struct {
		Type    string `json:"type"`
		From    string `json:"from"`
		To      string `json:"to"`
		TakenAt string `json:"takenAt"`
		Energy  struct {
			Value json.Number `json:"value"`
			Unit  string      `json:"unitCode"`
		} `json:"energy"`
		Cumulative *struct {
			Value json.Number `json:"value"`
			Unit  string      `json:"unitCode"`
		} `json:"cumulative"`
	} `json:"data"`
	Location   location        `json:"location"`
	Provenance json.RawMessage `json:"provenance"`
}

func (w *world) data(body []byte) (m meterData) {
	w.t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		w.t.Fatalf("%v in %.500s", err, body)
	}
	return m
}
