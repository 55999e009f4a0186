package ingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	gatewayURL = "https://directory.example/g/1"
	memberURL  = "https://directory.example/m/1"
	siteCode   = "7K2M-9QXA-04TB"
)

var (
	monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	mainIn = energy.Key{Meter: "main", Measure: energy.Import}
)

// permits is a keeper of permissions in memory.
type permits struct {
	mu     sync.Mutex
	grants []grant.Grant
	asked  func() // called at every question, if set
	err    error
}

func (p *permits) LiveGrants(_ context.Context, gateway string, now time.Time) ([]grant.Grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != nil {
		p.asked()
	}
	var live []grant.Grant
	for _, g := range p.grants {
		if g.Gateway == gateway && g.Live(now) {
			live = append(live, g)
		}
	}
	return live, p.err
}

func (p *permits) set(gs ...grant.Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants = gs
}

func grantFor(id string, from time.Time, keys ...energy.Key) grant.Grant {
	g := grant.Grant{ID: id, Gateway: gatewayURL, From: from, Granted: from, Expires: from.AddDate(1, 0, 0)}
	for _, k := range keys {
		g.Covers = append(g.Covers, grant.Cover{Meter: k.Meter, Measure: k.Measure})
	}
	return g
}

// world is a relay's receiving side behind real mutual TLS, and one gateway.
type world struct {
	t       testing.TB
	pki     *identitytest.PKI
	db      *database.DB
	service *Service
	permits *permits
	url     string
	client  *http.Client       // the gateway's
	signing *identitytest.Leaf // the gateway's
	server  *httptest.Server

	mu      sync.Mutex
	clock   time.Time
	revoked []*big.Int

	sequence uint64 // of the gateway's chain
	previous batch.Hash
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) setNow(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = t
}

func (w *world) revoke(serial *big.Int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked = append(w.revoked, serial)
}

// eachWorld runs f in a fresh world on every kind of database.
func eachWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) { f(t, newWorld(t, db)) })
}

func newWorld(t testing.TB, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, pki: identitytest.New(t), db: db, clock: monday.AddDate(0, 0, 10), permits: &permits{}}
	w.permits.set(grantFor("g", monday.AddDate(0, 0, -30), mainIn))
	w.service = New(Config{
		DB: db, SigningRoots: w.pki.SigningCA.Pool(), Members: []string{memberURL}, Permits: w.permits,
		Revoked: func(n *big.Int) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.ContainsFunc(w.revoked, func(r *big.Int) bool { return r.Cmp(n) == 0 })
		},
		Now: w.now, Logger: record.Logger(t),
	})
	mux := http.NewServeMux()
	w.service.Register(mux)
	w.server = httptest.NewUnstartedServer(mux)
	leaf := w.pki.Server("127.0.0.1")
	w.server.TLS = identity.ServerTLS(leaf.Get, w.pki.ClientCA.Pool())
	w.server.TLS.Certificates = []tls.Certificate{*leaf.TLS()}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	w.client = w.clientOf(w.pki.Client(gatewayURL, "Ops Ltd", memberURL))
	w.signing = w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
	return w
}

// clientOf is an HTTP client that shows a certificate (nil: none).
func (w *world) clientOf(l *identitytest.Leaf) *http.Client {
	get := (func() (*tls.Certificate, error))(nil)
	if l != nil {
		get = l.Get
	}
	tr := &http.Transport{TLSClientConfig: identity.ClientTLS(w.pki.ServerCA.Pool(), get), MaxIdleConnsPerHost: 32}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// answer is what came back.
type answer struct {
	status   int
	header   http.Header
	Error    string `json:"error"`
	Text     string `json:"error_description"`
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`

	Refused []Refused `json:"refused_statements"`
}

func (w *world) do(c *http.Client, method, path, kind string, body []byte) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	resp, err := c.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			w.t.Fatalf("%s %s: %d %q", method, path, resp.StatusCode, raw)
		}
	}
	return a
}

func (w *world) post(raw []byte) answer {
	w.t.Helper()
	return w.do(w.client, "POST", "/gateway/v1/batches", batch.MediaType, raw)
}

type siteMeter struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Measures []string `json:"measures"`
}

func siteBody(signing []byte, code string, meters ...siteMeter) []byte {
	if meters == nil {
		meters = []siteMeter{{"main", "electricity", []string{"import", "export"}}}
	}
	b, _ := json.Marshal(map[string]any{ // strings and lists: cannot fail
		"name": "Riverside Unit 4", "outcode": "SW8", "code": code, "signing_certificate": string(signing), "meters": meters,
	})
	return b
}

// register describes the gateway's site.
func (w *world) register(meters ...siteMeter) {
	w.t.Helper()
	if a := w.do(w.client, "PUT", "/gateway/v1/site", "application/json", siteBody(w.signing.PEM(), siteCode, meters...)); a.status != http.StatusNoContent {
		w.t.Fatalf("PUT site: %+v", a)
	}
}

// series is a run of measured half-hours.
func series(k energy.Key, first time.Time, energies ...int64) batch.Series {
	s := batch.Series{Meter: k.Meter, Measure: k.Measure, First: first, Opening: -1, Closing: -1}
	for _, e := range energies {
		s.Values = append(s.Values, batch.Value{Energy: e, Quality: energy.Measured, Rule: energy.RuleBracketed})
	}
	return s
}

// next makes the next batch of the chain, without moving on.
func (w *world) next(ss ...batch.Series) batch.Batch {
	return batch.Batch{
		Gateway: gatewayURL, Serial: w.signing.Cert().SerialNumber.Bytes(), Sequence: w.sequence + 1, Previous: w.previous,
		Made: w.now(), Grants: []string{"g"}, Series: ss,
	}
}

func (w *world) encode(b batch.Batch) []byte {
	w.t.Helper()
	raw, err := batch.Encode(b, w.signing.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// advance moves the gateway's end of the chain past raw.
func (w *world) advance(raw []byte) {
	w.sequence++
	w.previous = batch.Sum(raw)
}

// send sends the next batch, which must be taken, and returns it.
func (w *world) send(ss ...batch.Series) []byte {
	w.t.Helper()
	raw := w.encode(w.next(ss...))
	if a := w.post(raw); a.status != http.StatusOK || a.Sequence != w.sequence+1 {
		w.t.Fatalf("batch %d: %+v", w.sequence+1, a)
	}
	w.advance(raw)
	return raw
}

// readings reads everything of a register.
func (w *world) readings(k energy.Key) []Reading {
	w.t.Helper()
	var out []Reading
	for r, err := range w.service.Readings(w.t.Context(), gatewayURL, k, monday.AddDate(-2, 0, 0), monday.AddDate(1, 0, 0)) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func energies(rs []Reading) []int64 {
	var out []int64
	for _, r := range rs {
		out = append(out, r.Energy)
	}
	return out
}

// rows counts the rows of a table.
func (w *world) rows(query string) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
