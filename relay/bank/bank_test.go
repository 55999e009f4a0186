package bank_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/bank"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	bankURL  = "https://directory.example/a/bank"
	relayURL = "https://directory.example/a/relay"
	gateway  = "https://directory.example/g/1"
)

// world is the API, the relay's signing certificate, and a fake of what stands
// behind it.
type world struct {
	t       testing.TB
	mux     *http.ServeMux
	scheme  scheme.Scheme
	signing *identitytest.PKI
	peer    *identitytest.Leaf // who asks
	access  bank.Access
	refuse  error
	now     time.Time

	months   func(m emissions.Month, k emissions.Kind) emissions.Monthly
	asked    []string
	failing  error
	notified int

	checked    func() // called when the token was found good, if set
	statements func(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) ([]ingest.MonthRoot, error)
}

// Monthly is like the real one in what it gives: whole months, of the kinds
// that are covered, that the permission covers and that have ended.
func (w *world) Monthly(_ context.Context, a emissions.Account, from, to time.Time) ([]emissions.Monthly, error) {
	w.asked = append(w.asked, from.Format(time.RFC3339)+"/"+to.Format(time.RFC3339))
	if w.failing != nil {
		return nil, w.failing
	}
	var out []emissions.Monthly
	for _, k := range emissions.Kinds() {
		if len(a.Meters(k)) == 0 {
			continue
		}
		for _, m := range emissions.WholeMonths(from, to) {
			if !m.Start().Before(a.From) && !m.End().After(a.Expires) && !m.End().After(w.now) {
				out = append(out, w.months(m, k))
			}
		}
	}
	return out, nil
}

func (w *world) Notify() { w.notified++ }

// refusal is an error that answers by itself, as permission.Error does.
type refusal struct{}

func (refusal) Error() string { return "invalid_token" }
func (refusal) Write(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	w.WriteHeader(http.StatusUnauthorized)
}

func newWorld(t testing.TB) *world {
	sc, err := scheme.New("https://registry.example")
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t)
	w := &world{t: t, mux: http.NewServeMux(), scheme: sc, signing: pki, now: time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)}
	w.peer = pki.Client(bankURL, "Bank plc", "https://directory.example/m/bank", sc.Role(scheme.FSP))
	w.access = bank.Access{Permission: "p", Client: bankURL, License: sc.LicenseCombined(), Gateway: gateway, Account: "opaque",
		Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}}, From: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		Granted: time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC), Expires: time.Date(2027, 2, 1, 9, 0, 0, 0, time.UTC)}
	w.months = w.complete
	signer := pki.Signing(relayURL, "Relay Ltd", "https://directory.example/m/relay", sc.Role(scheme.EDP), sc.Role(scheme.CAP))
	s, err := bank.New(bank.Config{
		CheckToken: func(r *http.Request) (bank.Access, error) {
			if w.checked != nil {
				w.checked()
			}
			return w.access, w.refuse
		},
		Statements: func(ctx context.Context, gateway string, keys []energy.Key, from, to time.Time) ([]ingest.MonthRoot, error) {
			if w.statements == nil {
				return nil, nil
			}
			return w.statements(ctx, gateway, keys, from, to)
		},
		Emissions: w, Scheme: sc, Application: relayURL, Service: "https://relay.example/emissions",
		Signer: provenance.Signer{Key: signer.Key, Chain: signer.Chain}, Now: func() time.Time { return w.now },
		Logger: record.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(w.mux)
	return w
}

// complete gives month n of the year n.5 kg.
func (w *world) complete(m emissions.Month, k emissions.Kind) emissions.Monthly {
	in := emissions.Inputs{Meters: []string{"main"}, HalfHours: m.HalfHours(), Qualities: map[string]int{"measured": m.HalfHours()},
		Batches: &emissions.Batches{First: 1, Last: 9, Count: 9, SHA256: "b"}}
	if k == emissions.Gas {
		in.Factor = &emissions.FactorInput{Value: "2.06672", Year: m.Year, Version: "v", URL: "u"}
	} else {
		in.Outcode, in.Grid = "SW8", &emissions.GridInput{SHA256: "g", FirstFetched: m.End(), LastFetched: m.End()}
	}
	return emissions.Monthly{Kind: k, Month: m, Result: &emissions.Result{
		Mass: emissions.Mass(m.Month)*1e9 + 5e8, Computed: m.End().Add(25 * time.Hour), Inputs: in}}
}

// get asks as the peer, over mutual TLS as the server sees it.
func (w *world) get(query string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/emissions"+query, nil)
	r.TLS = &tls.ConnectionState{}
	if w.peer != nil {
		r.TLS.VerifiedChains = append(r.TLS.VerifiedChains, w.peer.Chain)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

type report struct {
	Data []struct {
		Type, From, To, TakenAt string
		Emissions               struct {
			Value    json.Number
			UnitCode string
		}
	}
	Provenance json.RawMessage
}

func (w *world) report(query string) report {
	w.t.Helper()
	rec := w.get(query)
	if rec.Code != 200 {
		w.t.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
	}
	var r report
	if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (r report) String() string {
	var s []string
	for _, d := range r.Data {
		s = append(s, fmt.Sprintf("%s %s..%s %s %s", d.Type, d.From, d.To, d.Emissions.Value, d.Emissions.UnitCode))
	}
	return strings.Join(s, "\n")
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	const want = "electricity 2025-12-01T00:00:00Z..2026-01-01T00:00:00Z 12.500 KGM\n" +
		"electricity 2026-01-01T00:00:00Z..2026-02-01T00:00:00Z 1.500 KGM\n" +
		"electricity 2026-02-01T00:00:00Z..2026-03-01T00:00:00Z 2.500 KGM"
	for _, q := range []string{
		"?from=2025-12-01T00:00:00Z&to=2026-03-01T00:00:00Z", "?from=2025-12-01&to=2026-03-01", "?from=2025-12-01T00:00:00Z",
		"?from=2025-12-01T00:00:00.000Z&to=2027-01-01T00:00:00Z", "/?from=2025-12-01T00:00:00Z",
	} {
		r := w.report(q)
		if r.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", q, r, want)
		}
		if r.Data[0].TakenAt != "2026-01-02T01:00:00Z" {
			t.Errorf("takenAt %s", r.Data[0].TakenAt)
		}
	}
	for _, a := range w.asked {
		if a != "2025-12-01T00:00:00Z/2026-03-01T00:00:00Z" {
			t.Errorf("asked for %s", a)
		}
	}
	rec := w.get("?from=2025-12-01")
	if h := rec.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	if strings.Contains(rec.Body.String(), `"value":"`) {
		t.Error("the value is text, not a number")
	}
}

func TestParameters(t *testing.T) {
	w := newWorld(t)
	cases := []struct{ query, want string }{
		{"", "from: is required"},
		{"?to=2026-03-01T00:00:00Z", "from: is required"},
		{"?from=", "from: must be a time"},
		{"?from=yesterday", "from: must be a time"},
		{"?from=2025-12-01T00:00:00%2B00:00", "from: must be a time"},
		{"?from=2025-12-01T00:00:00", "from: must be a time"},
		{"?from=2025-12-02T00:00:00Z", "from: must be the first day"},
		{"?from=2025-12-01T00:30:00Z", "from: must be the first day"},
		{"?from=2025-12-01T00:00:00.001Z", "from: must be the first day"},
		{"?from=2025-12-01&to=2025-12-01T00:30:00Z", "to: must be the first day"},
		{"?from=2025-12-01&to=2025-12-15", "to: must be the first day"},
		{"?from=2025-12-05&to=2025-12-15", "from: must be the first day of a calendar month at 00:00:00Z, such as 2026-03-01T00:00:00Z; to: must be"},
		{"?from=2025-12-01&to=x", "to: must be a time"},
		{"?from=2025-12-01&from=2025-11-01", "from: give it once"},
		{"?from=2025-12-01&to=2026-01-01&to=2026-02-01", "to: give it once"},
		{"?from=2025-12-01&to=2025-12-01", "no whole month"},
		{"?from=2026-01-01&to=2025-12-01", "no whole month"},
		{"?from=2026-03-01", "no whole month"}, // this month has not ended
		{"?from=2026-03-01&to=2026-04-01", "no whole month"},
		{"?from=2027-01-01&to=2027-02-01", "no whole month"},
		{"?from=2010-01-01", "at most 120"},
		{"?from=0001-01-01", "at most 120"},
	}
	for _, c := range cases {
		rec := w.get(c.query)
		var e struct {
			Error       string
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != 400 || e.Error != "invalid_request" || !strings.Contains(e.Description, c.want) {
			t.Errorf("%s: %d %s, want 400 with %q", c.query, rec.Code, rec.Body, c.want)
		}
	}
	if len(w.asked) > 0 {
		t.Errorf("refused, but asked for %q", w.asked)
	}
}

func TestWhoMayAsk(t *testing.T) {
	const q = "?from=2026-01-01"
	fsp := func(w *world) string { return w.scheme.Role(scheme.FSP) }
	cases := []struct {
		name   string
		do     func(w *world)
		status int
		code   string
	}{
		{"bank", func(w *world) {}, 200, ""},
		{"emissions licence", func(w *world) { w.access.License = w.scheme.LicenseEmissions() }, 200, ""},
		{"no certificate", func(w *world) { w.peer = nil }, 403, "invalid_client"},
		{"CAP role alone", func(w *world) {
			w.peer = w.signing.Client(bankURL, "Bank plc", "m", w.scheme.Role(scheme.CAP), w.scheme.Role(scheme.EDP))
		}, 403, "access_denied"},
		{"FSP of another scheme", func(w *world) { w.peer = w.signing.Client(bankURL, "Bank plc", "m", "https://other"+fsp(w)) }, 403, "access_denied"},
		{"token of another", func(w *world) { w.access.Client = "https://directory.example/a/other" }, 403, "access_denied"},
		{"bad token", func(w *world) { w.refuse = fmt.Errorf("wrapped: %w", refusal{}) }, 401, ""},
		{"token check fails", func(w *world) { w.refuse = errors.New("database is locked") }, 500, "server_error"},
		{"consumption licence", func(w *world) { w.access.License = w.scheme.LicenseConsumption() }, 403, "insufficient_scope"},
		{"licence of another registry", func(w *world) {
			other, _ := scheme.New("https://registry.other")
			w.access.License = other.LicenseEmissions()
		}, 403, "insufficient_scope"},
		{"export alone", func(w *world) { w.access.Covers[0].Measure = energy.Export }, 404, "not_found"},
		{"emissions fail", func(w *world) { w.failing = errors.New("table monthly_emissions is gone") }, 500, "server_error"},
	}
	for _, c := range cases {
		w := newWorld(t)
		c.do(w)
		rec := w.get(q)
		if rec.Code != c.status || c.code != "" && !strings.Contains(rec.Body.String(), `"error":"`+c.code+`"`) {
			t.Errorf("%s: %d %s, want %d %s", c.name, rec.Code, rec.Body, c.status, c.code)
		}
		if c.status != 200 && c.status != 500 && len(w.asked) > 0 {
			t.Errorf("%s: refused, but emissions were looked up", c.name)
		}
		if body := rec.Body.String(); strings.Contains(body, "locked") || strings.Contains(body, "monthly_emissions") {
			t.Errorf("%s: internals leak: %s", c.name, body)
		}
		if c.status == 401 && rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", c.name)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		w := newWorld(t)
		rec := httptest.NewRecorder()
		w.mux.ServeHTTP(rec, httptest.NewRequest(method, "/emissions"+q, nil))
		if rec.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, rec.Code)
		}
	}
}

// 202 only while a month of the window is on its way. A month that never will
// have a figure does not hold up the others; where there is none but such, 404
// says so, so that a client can tell late from never.
func TestNotReady(t *testing.T) {
	lacking := func(pending bool, which ...string) func(w *world) {
		return func(w *world) {
			w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
				if slices.Contains(which, m.String()) {
					return emissions.Monthly{Kind: k, Month: m, Missing: emissions.Missing{HalfHours: 3}, Pending: pending}
				}
				return w.complete(m, k)
			}
		}
	}
	cases := []struct {
		name   string
		do     func(w *world)
		status int
		months int
	}{
		{"all there", lacking(false), 200, 2},
		{"one on its way", lacking(true, "2026-02"), 202, 0},
		{"one never", lacking(false, "2026-01"), 200, 1},
		{"both on their way", lacking(true, "2026-01", "2026-02"), 202, 0},
		{"none on its way", lacking(false, "2026-01", "2026-02"), 404, 0},
		{"permission begins in the middle of January", func(w *world) { w.access.From = w.access.From.AddDate(1, 0, 14) }, 200, 1},
		{"one on its way, one never", func(w *world) {
			w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
				return emissions.Monthly{Kind: k, Month: m, Missing: emissions.Missing{HalfHours: 3}, Pending: m.Month == 2}
			}
		}, 202, 0},
		{"gas never, electricity there", func(w *world) {
			w.access.Covers = append(w.access.Covers, grant.Cover{Meter: "boiler", Measure: energy.Gas})
			w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
				if k == emissions.Gas {
					return emissions.Monthly{Kind: k, Month: m, Missing: emissions.Missing{Factor: true}}
				}
				return w.complete(m, k)
			}
		}, 200, 2},
		{"permission begins this month", func(w *world) { w.access.From = w.now }, 404, 0},
	}
	for _, c := range cases {
		w := newWorld(t)
		c.do(w)
		rec := w.get("?from=2026-01-01")
		if rec.Code != c.status {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
			continue
		}
		switch c.status {
		case 202:
			if rec.Header().Get("Retry-After") != "60" || !strings.Contains(rec.Body.String(), `{"message":"`) || w.notified != 1 {
				t.Errorf("%s: %v %s, notified %d times", c.name, rec.Header(), rec.Body, w.notified)
			}
		case 404:
			if rec.Header().Get("Retry-After") != "" || !strings.Contains(rec.Body.String(), `"error":"not_found"`) || w.notified != 0 {
				t.Errorf("%s: %v %s, notified %d times", c.name, rec.Header(), rec.Body, w.notified)
			}
		default:
			if got := len(w.report("?from=2026-01-01").Data); got != c.months {
				t.Errorf("%s: %d months", c.name, got)
			}
		}
	}
}

// Years before the site had data, and before the permission: never, and from
// when there is something, to the month.
func TestNever(t *testing.T) {
	for name, c := range map[string]struct {
		from time.Time
		want string
	}{
		"from a month's beginning": {time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), "The first whole month that the permission covers is 2025-01."},
		"from the middle":          {time.Date(2025, 1, 17, 9, 30, 0, 0, time.UTC), "The first whole month that the permission covers is 2025-02."},
	} {
		w := newWorld(t)
		w.access.From = c.from
		rec := w.get("?from=2020-01-01&to=2020-03-01")
		var e struct {
			Error       string
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != 404 || e.Error != "not_found" ||
			!strings.Contains(e.Description, "No month from 2020-01 to 2020-02 is complete, and nothing is on its way that would complete one.") || !strings.HasSuffix(e.Description, c.want) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if rec := w.get("?from=2020-01-01&to=2020-02-01"); !strings.Contains(rec.Body.String(), "The month 2020-01 is not complete, and nothing") {
			t.Errorf("%s: one month: %s", name, rec.Body)
		}
	}
}

// No oracle (law 5): what a month lacks, and how much of it, does not show in
// an answer without it, whatever its status.
func TestWhatIsMissingDoesNotShow(t *testing.T) {
	for _, pending := range []bool{false, true} {
		var first string
		for _, missing := range []emissions.Missing{{HalfHours: 1}, {HalfHours: 1488}, {Intensity: 7}, {HalfHours: 2, Intensity: 1488}, {Factor: true}} {
			w := newWorld(t)
			w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
				return emissions.Monthly{Kind: k, Month: m, Missing: missing, Pending: pending}
			}
			rec := w.get("?from=2026-01-01")
			got := fmt.Sprint(rec.Code, rec.Header(), rec.Body)
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("lacking %s:\n%s\nwant as before:\n%s", missing, got, first)
			}
		}
	}
}

// The real thing on a wire: a server that demands certificates.
func TestOverMutualTLS(t *testing.T) {
	w := newWorld(t)
	server := w.signing.Server("127.0.0.1")
	srv := httptest.NewUnstartedServer(w.mux)
	srv.TLS = identity.ServerTLS(server.Get, w.signing.ClientCA.Pool())
	srv.TLS.Certificates = []tls.Certificate{*server.TLS()}
	srv.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	srv.StartTLS()
	defer srv.Close()
	ask := func(l *identitytest.Leaf) (int, error) {
		tr := &http.Transport{TLSClientConfig: identity.ClientTLS(w.signing.ServerCA.Pool(), l.Get)}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get(srv.URL + "/emissions?from=2026-01-01")
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	if status, err := ask(w.peer); err != nil || status != 200 {
		t.Errorf("the bank: %d, %v", status, err)
	}
	if status, err := ask(w.signing.Client(gateway, "Shop", "m")); err != nil || status != 403 {
		t.Errorf("a gateway: %d, %v", status, err)
	}
	if _, err := ask(identitytest.New(t).Client(bankURL, "Bank plc", "m", w.scheme.Role(scheme.FSP))); err == nil {
		t.Error("a stranger's certificate was let in")
	}
}
