package consumption

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// year is a relay with a year of one meter's half-hours, every month stated by
// the gateway, and the real record.
type year struct {
	t     testing.TB
	mux   *http.ServeMux
	pki   *identitytest.PKI
	cap   *x509.Certificate
	src   string
	first time.Time
	end   time.Time
}

func newYear(t testing.TB, db *database.DB) *year {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const member = "https://directory.example/m/1"
	y := &year{t: t, mux: http.NewServeMux(), pki: identitytest.New(t), first: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)}
	y.end = y.first.AddDate(1, 0, 0)
	now := func() time.Time { return y.end.Add(time.Hour) }
	sch, err := scheme.New("https://registry.example")
	ok(err)
	gateway, signing := y.pki.Client(gatewayURL, "Ops Ltd", member), y.pki.Signing(gatewayURL, "Ops Ltd", member)
	y.cap = y.pki.Client(clientURL, "Carbon Ltd", "https://directory.example/m/cap", sch.Role(scheme.CAP)).Cert()
	relay := y.pki.Signing("https://directory.example/a/relay", "Relay Ltd", member, sch.Role(scheme.EDP))
	live := grant.Grant{ID: "p1", Gateway: gatewayURL, From: y.first, Granted: y.first, Expires: y.end.AddDate(1, 0, 0), Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}}}
	log := record.Logger(t)
	in := ingest.New(ingest.Config{DB: db, SigningRoots: y.pki.SigningCA.Pool(), Members: []string{member}, Permits: &always{[]grant.Grant{live}}, TrustFramework: sch.TrustFramework(), Now: now, Logger: log})
	out, err := New(Config{
		Access: func(*http.Request) (permission.Access, error) {
			return permission.Access{Permission: "p1", Client: clientURL, License: sch.LicenseConsumption(), Gateway: gatewayURL, Account: "a", Covers: live.Covers, From: live.From, Granted: live.Granted, Expires: live.Expires}, nil
		},
		Store: in, Scheme: sch, Now: now, Logger: log,
		Provenance: NewRecorder(sch, "https://relay.example", provenance.Signer{Key: relay.Key, Chain: relay.Chain, Now: now}, in.BatchHashes),
	})
	ok(err)
	in.Register(y.mux)
	out.Register(y.mux)
	site, err := json.Marshal(map[string]any{"name": "Shop", "outcode": "SW8", "code": "7K2M-9QXA-04TB", "signing_certificate": string(signing.PEM()),
		"meters": []map[string]any{{"id": "main", "type": "electricity", "measures": []string{"import"}}}})
	ok(err)
	y.ask(httptest.NewRecorder(), gateway.Cert(), "PUT", "/gateway/v1/site", "application/json", site, 204)
	var previous batch.Hash
	register := int64(1000)
	for n, m := uint64(1), month.Of(y.first); m.Start.Before(y.end); n, m = n+1, m.Next() {
		s := batch.Series{Meter: "main", Measure: energy.Import, First: m.Start, Opening: register, Values: make([]batch.Value, m.HalfHours())}
		values := make([]month.Value, m.HalfHours())
		for i := range s.Values {
			wh := int64(100 + i*7919%2900)
			register += wh
			s.Values[i] = batch.Value{Energy: wh, Quality: energy.Measured, Rule: energy.RuleBracketed}
			values[i] = month.Value{Present: true, Energy: wh, Cumulative: register, Quality: energy.Measured, Rule: energy.RuleBracketed}
		}
		s.Closing = register
		seed := month.NewSeed()
		signed, err := month.Sign(month.Statement{Gateway: gatewayURL, Meter: "m", Measure: energy.Import, Month: m, Spans: []month.Span{{From: m.Start, To: m.End()}},
			Root: month.Root(seed, month.List(values))}, sch.TrustFramework(), m.End(), signing.Cert().SerialNumber, signing.Key)
		ok(err)
		body, err := month.Carry(signed, seed)
		ok(err)
		raw, err := batch.Encode(batch.Batch{Gateway: gatewayURL, Serial: signing.Cert().SerialNumber.Bytes(), Sequence: n, Previous: previous, Made: m.End().Add(time.Minute),
			Grants: []string{"p1"}, Series: []batch.Series{s}, Baseline: []batch.Statement{{Meter: "main", Measure: energy.Import, At: m.Start, Body: body}}}, signing.Key)
		ok(err)
		previous = batch.Sum(raw)
		y.ask(httptest.NewRecorder(), gateway.Cert(), "POST", "/gateway/v1/batches", batch.MediaType, raw, 200)
	}
	ms, err := in.Meters(context.Background(), gatewayURL)
	ok(err)
	y.src = ms[0].Source
	return y
}

func (y *year) ask(w http.ResponseWriter, who *x509.Certificate, method, path, kind string, body []byte, status int) {
	y.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Accept-Encoding", "gzip")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{who}}}
	y.mux.ServeHTTP(w, r)
	if rec, ok := w.(*httptest.ResponseRecorder); ok && rec.Code != status {
		y.t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
}

func (y *year) get(w http.ResponseWriter, from, to time.Time) {
	y.ask(w, y.cap, "GET", "/datasources/"+y.src+"/import?from="+stamp(from)+"&to="+stamp(to), "", nil, 200)
}

// high is a client that keeps nothing and notes how much memory is in use, live
// data alone, whenever something comes.
type high struct {
	header http.Header
	status int
	bytes  int
	next   int // look again when so many have come
	most   uint64
}

func (h *high) Header() http.Header { return h.header }
func (h *high) WriteHeader(n int)   { h.status = n }
func (h *high) Write(b []byte) (int, error) {
	if h.bytes += len(b); h.bytes >= h.next { // to look takes a while
		h.next = h.bytes + 8<<10
		h.look()
	}
	return len(b), nil
}

func (h *high) look() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.most = max(h.most, m.HeapAlloc)
}

// A year of half-hours, its provenance with the gateway's twelve statements
// included, takes no more memory to serve than a month, but for the record: and
// all of it is proved.
func TestAYearInConstantMemory(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		y := newYear(t, db)
		var whole httptest.ResponseRecorder
		whole.Body = &bytes.Buffer{}
		y.get(&whole, y.first, y.end)
		z, err := gzip.NewReader(whole.Body)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			Data       []provenance.HalfHour
			Provenance json.RawMessage
		}
		if err := json.Unmarshal(plain, &a); err != nil {
			t.Fatal(err)
		}
		r, err := provenance.Parse("https://registry.example/trust-framework", a.Provenance)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := r.Verify(provenance.Verifier{Roots: y.pki.SigningCA.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		c, err := provenance.CheckConsumption(steps, a.Data)
		if err != nil || c.Served != 365*48 || c.Stated != c.Served || len(c.Unstated) > 0 {
			t.Errorf("%+v, %v", c, err)
		}
		record, answer := len(a.Provenance), len(plain)
		if record > 16<<10 {
			t.Errorf("the record of a year has %d bytes", record)
		}
		a.Data, plain, whole.Body = nil, nil, nil

		use := func(from, to time.Time) uint64 {
			h := &high{header: http.Header{}}
			h.look()
			before := h.most
			h.most = 0
			y.get(h, from, to)
			if h.status != 200 || h.bytes == 0 {
				t.Fatalf("status %d, %d bytes", h.status, h.bytes)
			}
			return h.most - min(before, h.most)
		}
		use(y.first, y.end) // what is made once
		small, large := use(y.first, y.first.AddDate(0, 1, 0)), use(y.first, y.end)
		t.Logf("a month takes %d KiB, a year %d KiB; the answer has %d KiB, its record %d KiB", small>>10, large>>10, answer>>10, record>>10)
		if large > small+256<<10 || large > uint64(answer)/2 {
			t.Errorf("a year takes %d bytes of memory, a month %d: it is not streamed", large, small)
		}
	})
}

// What a relay can do: years of half-hours in a second, provenance, the
// gateway's statements and gzip included.
func BenchmarkServeAYear(b *testing.B) {
	db, err := database.Open(databasetest.SQLite(b))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(b.Context(), "relay", migrations.Files); err != nil {
		b.Fatal(err)
	}
	y := newYear(b, db)
	for b.Loop() {
		y.get(httptest.NewRecorder(), y.first, y.end)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "years/s")
}
