package integration

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/consumption"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

const (
	monthsGateway = "https://directory.example/g/1"
	monthsMember  = "https://directory.example/m/1"
	monthsClient  = "https://directory.example/a/cap"
)

// monthsWorld is a gateway with the real store and uplink, a relay with the
// real ingest and consumption rooms, and a carbon accounting provider.
type monthsWorld struct {
	t      *testing.T
	pki    *identitytest.PKI
	scheme scheme.Scheme
	store  *store.Store
	client *uplink.Client
	ingest *ingest.Service
	mux    *http.ServeMux
	gate   *x509.Certificate // the gateway's client certificate
	cap    *x509.Certificate
	relay  *identitytest.Leaf
	clock  atomic.Pointer[time.Time]
	old    atomic.Bool // the relay is one of before there were statements of months

	mu     sync.Mutex
	grants []grant.Grant
	issued time.Time
	access permission.Access
}

func (w *monthsWorld) now() time.Time { return *w.clock.Load() }

func (w *monthsWorld) setNow(t time.Time) { w.clock.Store(&t) }

func (w *monthsWorld) LiveGrants(_ context.Context, _ string, now time.Time) (live []grant.Grant, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.grants {
		if g.Live(now) {
			live = append(live, g)
		}
	}
	return live, nil
}

// RoundTrip carries what the gateway asks to the relay.
func (w *monthsWorld) RoundTrip(q *http.Request) (*http.Response, error) {
	out := httptest.NewRecorder()
	r := q.Clone(q.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{w.gate}}}
	if q.URL.Path == "/gateway/v1/grants" {
		if q.Header.Get("If-None-Match") != "" {
			select { // a long poll that is never answered: the test's grants do not change under way
			case <-q.Context().Done():
				return nil, q.Context().Err()
			case <-w.t.Context().Done():
				return nil, w.t.Context().Err()
			}
		}
		w.mu.Lock()
		raw, err := grant.Sign(grant.Set{Gateway: monthsGateway, Issued: w.issued, Grants: w.grants}, w.relay.Key, w.relay.Chain)
		w.mu.Unlock()
		if err != nil {
			return nil, err
		}
		out.Header().Set("ETag", `"1"`)
		out.Write(raw)
	} else {
		w.mux.ServeHTTP(out, r)
	}
	res := out.Result()
	if w.old.Load() && q.URL.Path == "/gateway/v1/batches" && res.StatusCode == 200 {
		var a map[string]any
		if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
			return nil, err
		}
		delete(a, "takes_statements")
		b, _ := json.Marshal(a) // of what was JSON
		res.Body = io.NopCloser(bytes.NewReader(b))
	}
	res.Header.Set("Date", w.now().Format(http.TimeFormat))
	return res, nil
}

func newMonthsWorld(t *testing.T, db *database.DB, now time.Time, grants ...grant.Grant) *monthsWorld {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sch, err := scheme.New("https://registry.example")
	ok(err)
	w := &monthsWorld{t: t, pki: identitytest.New(t), scheme: sch, mux: http.NewServeMux(), grants: grants, issued: now}
	w.setNow(now)
	quiet := record.Logger(t)
	w.relay = w.pki.Signing("https://directory.example/a/relay", "Relay Ltd", monthsMember, sch.Role(scheme.EDP))
	w.cap = w.pki.Client(monthsClient, "Carbon Ltd", "https://directory.example/m/cap", sch.Role(scheme.CAP)).Cert()
	gate := w.pki.Client(monthsGateway, "Shop Ltd", monthsMember)
	w.gate = gate.Cert()
	dir := t.TempDir()
	gate.Write(dir, "client")
	w.pki.Signing(monthsGateway, "Shop Ltd", monthsMember).Write(dir, "signing")
	b, err := json.Marshal(uplink.Enrolment{Gateway: monthsGateway, Member: monthsMember, Relay: "https://relay.example", Directory: "https://directory.example"})
	ok(err)
	ok(os.WriteFile(filepath.Join(dir, "gateway.json"), b, 0o600))
	ok(os.WriteFile(filepath.Join(dir, "signing-root.pem"), identity.EncodeCertificates(w.pki.SigningCA.Root), 0o600))
	w.store, _, err = store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Now: w.now, Logger: quiet})
	ok(err)
	t.Cleanup(func() { w.store.Close() })
	w.ingest = ingest.New(ingest.Config{DB: db, SigningRoots: w.pki.SigningCA.Pool(), Members: []string{monthsMember}, Permits: w,
		TrustFramework: sch.TrustFramework(), Now: w.now, Logger: quiet})
	w.ingest.Register(w.mux)
	w.access = permission.Access{Permission: "p1", Client: monthsClient, License: sch.LicenseConsumption(), Gateway: monthsGateway, Account: "opaque",
		Covers: grants[0].Covers, From: grants[0].From, Granted: grants[0].Granted, Expires: grants[0].Expires}
	serve, err := consumption.New(consumption.Config{
		Access: func(*http.Request) (permission.Access, error) { return w.access, nil }, Store: w.ingest, Scheme: sch, Now: w.now, Logger: quiet,
		Provenance: consumption.NewRecorder(sch, "https://relay.example", provenance.Signer{Key: w.relay.Key, Chain: w.relay.Chain, Now: w.now}, w.ingest.BatchHashes),
	})
	ok(err)
	serve.Register(w.mux)
	w.client, err = uplink.New(uplink.Config{Dir: dir, Outbox: w.store, Now: w.now, Logger: quiet, HTTP: w, Site: uplink.Site{Name: "Unit 4", Outcode: "SW8",
		Meters: []uplink.SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import, energy.Export}}, {ID: "gas", Type: "gas", Measures: []energy.Measure{energy.Gas}}}}})
	ok(err)
	return w
}

func (w *monthsWorld) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	over := make(chan struct{})
	go func() { defer close(over); w.client.Run(ctx) }()
	return func() { cancel(); <-over }
}

// commit puts half-hours into the gateway's store, by the day.
func (w *monthsWorld) commit(k energy.Key, hh []energy.HalfHour) {
	w.t.Helper()
	for part := range slices.Chunk(hh, 480) {
		var round store.Round
		for _, h := range part {
			round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: h})
		}
		if err := w.store.Commit(round); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lifelike makes half-hours of a register with all that happens to one: holes,
// missing ones, estimates, substitutes, imports without a register, a wrap.
func lifelike(rng *rand.Rand, from, to time.Time) []energy.HalfHour {
	var out []energy.HalfHour
	register, imported := int64(9_000_000), 0
	for at := from.Truncate(energy.Period); at.Before(to); at = at.Add(energy.Period) {
		wh := rng.Int64N(3000)
		if register += wh; register >= 10_000_000 {
			register -= 10_000_000
		}
		h := energy.HalfHour{Start: at, Energy: wh, Cumulative: register, TakenAt: at.Add(energy.Period + 9*time.Second),
			Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}
		switch n := rng.IntN(100); {
		case n < 2:
			continue // a hole
		case n < 6:
			h.Quality, h.Energy, h.Cumulative, h.Evidence.Rule = energy.Missing, 0, -1, energy.RuleNone
		case n < 10:
			h.Quality, h.Evidence.Rule = energy.Estimated, energy.RuleSpread
		case n < 12:
			h.Quality, h.Evidence.Rule = energy.Substituted, energy.RuleLinear
		case n < 13:
			imported = 10
		}
		if imported > 0 && h.Quality == energy.Measured {
			imported--
			h.Cumulative, h.Evidence.Rule = -1, energy.RuleImported
		}
		out = append(out, h)
	}
	return out
}

// stated waits until every month that is over and covered is stated and
// nothing is on its way.
func (w *monthsWorld) stated(months int, ks ...energy.Key) {
	w.t.Helper()
	until(w.t, 120*time.Second, "every month is stated", nil, func() error {
		w.client.Notify()
		for _, k := range ks {
			if waiting, err := w.store.Pending(k, w.grants[0].From, w.now(), 1); err != nil || len(waiting) > 0 {
				return fmt.Errorf("%d of %s are pending, %v; %+v", len(waiting), k, err, w.client.Status())
			}
			got, err := w.ingest.MonthStatements(w.t.Context(), monthsGateway, k, w.now().AddDate(-2, 0, 0), w.now())
			if err != nil || len(got) != months {
				return fmt.Errorf("%d statements of %s, want %d, %v; %+v", len(got), k, months, err, w.client.Status())
			}
		}
		return nil
	})
}

// answer is a consumption answer as a client reads it.
type consumptionAnswer struct {
	Data       []provenance.HalfHour `json:"data"`
	Provenance json.RawMessage       `json:"provenance"`
	raw        []byte
}

func (w *monthsWorld) get(source, measure string, from, to time.Time) consumptionAnswer {
	w.t.Helper()
	q := url.Values{"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}}
	r := httptest.NewRequest("GET", "/datasources/"+source+"/"+measure+"?"+q.Encode(), nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{w.cap}}}
	out := w.ask(r)
	for out == nil { // broken off, since the half-hours changed under way: a client asks again
		out = w.ask(r)
	}
	if out.Code != 200 {
		w.t.Fatalf("%s: %d %s", r.URL, out.Code, out.Body)
	}
	raw := unzip(w.t, out.Body.Bytes())
	a := consumptionAnswer{raw: raw}
	if err := json.Unmarshal(raw, &a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// ask gives nil where the answer was broken off.
func (w *monthsWorld) ask(r *http.Request) (out *httptest.ResponseRecorder) {
	defer func() {
		switch why := recover(); why {
		case nil:
		case http.ErrAbortHandler:
			out = nil
		default:
			panic(why)
		}
	}()
	out = httptest.NewRecorder()
	w.mux.ServeHTTP(out, r)
	return out
}

func (w *monthsWorld) verify(raw json.RawMessage) []provenance.VerifiedStep {
	w.t.Helper()
	r, err := provenance.Parse(w.scheme.TrustFramework(), raw)
	if err != nil {
		w.t.Fatal(err)
	}
	steps, err := r.Verify(provenance.Verifier{Roots: w.pki.SigningCA.Pool(), Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	if errs := append(provenance.References(steps), provenance.CheckScheme(steps, w.scheme.URL())...); errs != nil {
		w.t.Fatal(errs)
	}
	return steps
}

// source is the name by which others know a meter.
func (w *monthsWorld) source(meter string) string {
	w.t.Helper()
	ms, err := w.ingest.Meters(w.t.Context(), monthsGateway)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range ms {
		if m.ID == meter {
			return m.Source
		}
	}
	w.t.Fatalf("no meter %s", meter)
	return ""
}

// From the gateway's signature to the outsider: what a meter counted, through
// the real store, uplink, ingest and API, is proved half-hour by half-hour with
// the signing root alone; no window shows more than was asked for or is
// covered; whatever is changed, added or left out on the way is noticed.
func TestHalfHoursAreProvedByTheGateway(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		now := time.Date(2026, 11, 4, 10, 17, 0, 0, time.UTC)
		imp, gas := energy.Key{Meter: "main", Measure: energy.Import}, energy.Key{Meter: "gas", Measure: energy.Gas}
		begin := now.AddDate(0, -5, -9).Add(-13 * time.Minute) // 26 May, 10:04
		g := grant.Grant{ID: "g", Gateway: monthsGateway, License: "https://registry.example/scheme/perseus/license/x/2026-03-12", Client: monthsClient, Name: "Carbon Ltd",
			Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}, {Meter: "gas", Measure: energy.Gas}}, From: begin, Granted: now.AddDate(0, 0, -3), Expires: now.AddDate(1, 0, 0)}
		w := newMonthsWorld(t, db, now, g)
		rng := rand.New(rand.NewPCG(11, 12))
		hh := map[energy.Key][]energy.HalfHour{}
		for _, k := range []energy.Key{imp, gas} {
			hh[k] = lifelike(rng, begin.AddDate(0, -2, 0), now.Add(-energy.Period)) // also of before the permission
			w.commit(k, hh[k])
		}
		defer w.run()()
		w.stated(6, imp, gas) // May (in part) to October

		main, boiler := w.source("main"), w.source("gas")
		whole := w.get(main, "import", begin, now)
		steps := w.verify(whole.Provenance)
		got, err := provenance.CheckConsumption(steps, whole.Data)
		if err != nil {
			t.Fatal(err)
		}
		nov := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		stated, present, absent := 0, 0, 0
		for _, h := range hh[imp] {
			if !h.Start.Before(begin) && h.Quality != energy.Missing {
				if present++; h.Start.Before(nov) {
					stated++
				}
			}
		}
		absent = int(nov.Sub(begin.Truncate(energy.Period).Add(energy.Period))/energy.Period) - stated
		if got.Served != present || got.Stated != stated || got.Absent != absent || got.Gateway != monthsGateway || len(got.Unstated) == 0 || !got.Unstated[0].From.Equal(whole.Data[stated].From) {
			t.Errorf("%+v; want %d served, %d stated, %d absent", got, present, stated, absent)
		}
		if n := len(whole.Provenance); n > 50_000 {
			t.Errorf("the record of five months has %d bytes", n)
		}
		seeds := 0
		for _, s := range steps {
			if s.Type == month.StepType {
				seeds++
			}
		}
		if seeds != 6 || strings.Contains(string(whole.raw), `"main"`) {
			t.Errorf("%d statements; or the gateway's own name of a meter went out", seeds)
		}
		if a := w.get(boiler, "import", begin, now); true {
			if got, err := provenance.CheckConsumption(w.verify(a.Provenance), a.Data); err != nil || got.Stated == 0 || a.Data[0].Type != "gas" {
				t.Errorf("gas: %+v, %v", got, err)
			}
			if _, err := provenance.CheckConsumption(w.verify(a.Provenance), whole.Data); err == nil {
				t.Error("another meter's half-hours were taken for these")
			}
		}
		for range 12 { // any window proves itself
			from := begin.Add(time.Duration(rng.Int64N(int64(now.Sub(begin)) - int64(48*time.Hour)))).Truncate(time.Minute)
			to := from.Add(24*time.Hour + time.Duration(rng.Int64N(int64(now.Sub(from)-24*time.Hour)))).Truncate(time.Minute)
			a := w.get(main, "import", from, to)
			if got, err := provenance.CheckConsumption(w.verify(a.Provenance), a.Data); err != nil || got.Served != len(a.Data) {
				t.Errorf("%s to %s: %+v, %v", from, to, got, err)
			}
		}
		part := w.get(main, "import", nov.AddDate(0, 0, -10), nov.AddDate(0, 0, -9))
		w.tamper(part)
		w.python(whole, part)
		w.correct(imp, main, hh[imp], begin)
	})
}

// tamper changes an answer as a dishonest relay could, which signs what it
// likes: only the gateway's statement is out of its reach.
func (w *monthsWorld) tamper(a consumptionAnswer) {
	w.t.Helper()
	steps := w.verify(a.Provenance)
	if got, err := provenance.CheckConsumption(steps, a.Data); err != nil || got.Stated != len(a.Data) || got.Stated == 0 {
		w.t.Fatalf("%+v, %v", got, err)
	}
	// The record's origin as a relay would forge it for other data.
	forge := func(data []provenance.HalfHour) []provenance.VerifiedStep {
		out := slices.Clone(steps)
		for i, s := range out {
			if s.Type == "origin" {
				body := map[string]any{}
				for k, v := range s.Body {
					body[k] = v
				}
				body[provenance.HalfHoursSHA256] = provenance.HashHalfHours(data)
				s.Body = body
				out[i] = s
			}
		}
		return out
	}
	for name, change := range map[string]func(d []provenance.HalfHour) []provenance.HalfHour{
		"energy":         func(d []provenance.HalfHour) []provenance.HalfHour { d[3].Energy.Value += "1"; return d },
		"unit":           func(d []provenance.HalfHour) []provenance.HalfHour { d[3].Energy.UnitCode = "KWH"; return d },
		"register":       func(d []provenance.HalfHour) []provenance.HalfHour { d[3].Cumulative = &d[4].Energy; return d },
		"left out":       func(d []provenance.HalfHour) []provenance.HalfHour { return slices.Delete(d, 3, 4) },
		"first left out": func(d []provenance.HalfHour) []provenance.HalfHour { return d[1:] },
		"changed about": func(d []provenance.HalfHour) []provenance.HalfHour {
			d[3].Energy, d[4].Energy = d[4].Energy, d[3].Energy
			return d
		},
	} {
		data := change(slices.Clone(a.Data))
		if _, err := provenance.CheckConsumption(steps, data); err == nil || !strings.Contains(err.Error(), "not what") {
			w.t.Errorf("%s: %v", name, err)
		}
		if _, err := provenance.CheckConsumption(forge(data), data); err == nil || !strings.Contains(err.Error(), "not those that the gateway signed") {
			w.t.Errorf("%s, with the relay's help: %v", name, err)
		}
	}
}

// python has the scheme's own package check records with the statements in.
func (w *monthsWorld) python(answers ...consumptionAnswer) {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "root.pem"), identity.EncodeCertificates(w.pki.SigningCA.Root), 0o600); err != nil {
		w.t.Fatal(err)
	}
	d := &description{TrustFramework: w.scheme.TrustFramework(), SigningCA: "root.pem", dir: dir}
	var records []wantedStep
	for _, a := range answers {
		records = append(records, wantedStep{a.Provenance, map[string]any{"type": "origin"}}) // there is but one
	}
	for i, v := range verifyWithPython(w.t, d, records...) {
		if v.Error != "" {
			w.t.Errorf("record %d: %s", i, v.Error)
		}
	}
}

// correct corrects a half-hour of a stated month: until the gateway has stated
// the month anew nothing is claimed of it, and then the new values are proved.
func (w *monthsWorld) correct(k energy.Key, source string, hh []energy.HalfHour, begin time.Time) {
	w.t.Helper()
	i := slices.IndexFunc(hh, func(h energy.HalfHour) bool {
		return h.Start.After(begin.AddDate(0, 2, 0)) && h.Quality == energy.Estimated
	})
	fixed := hh[i]
	fixed.Energy, fixed.Quality, fixed.Evidence.Rule = fixed.Energy+7, energy.Measured, energy.RuleBracketed
	w.commit(k, []energy.HalfHour{fixed})
	from, to := fixed.Start.Add(-24*time.Hour), fixed.Start.Add(24*time.Hour)
	until(w.t, 120*time.Second, "the correction is proved", nil, func() error {
		w.client.Notify()
		a := w.get(source, "import", from, to)
		at := slices.IndexFunc(a.Data, func(d provenance.HalfHour) bool { return d.From.Equal(fixed.Start) })
		got, err := provenance.CheckConsumption(w.verify(a.Provenance), a.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		if a.Data[at].Energy.Value.String() != fmt.Sprint(fixed.Energy) || got.Stated != got.Served {
			return fmt.Errorf("%s Wh, %+v", a.Data[at].Energy.Value, got)
		}
		return nil
	})
}

func unzip(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A relay of before there were statements of months gets none; once it is
// replaced, what it took long ago is stated all the same. A relay that has other
// half-hours than the gateway is sent the month again, and states it then.
func TestStatementsWithRelaysOldAndBroken(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		now := time.Date(2026, 11, 4, 10, 17, 0, 0, time.UTC)
		k := energy.Key{Meter: "main", Measure: energy.Import}
		begin := now.AddDate(0, -2, 0)
		g := grant.Grant{ID: "g", Gateway: monthsGateway, License: "https://registry.example/scheme/perseus/license/x/2026-03-12", Client: monthsClient, Name: "Carbon Ltd",
			Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}}, From: begin, Granted: now.AddDate(0, 0, -3), Expires: now.AddDate(1, 0, 0)}
		w := newMonthsWorld(t, db, now, g)
		w.old.Store(true)
		hh := lifelike(rand.New(rand.NewPCG(5, 5)), begin, now.Add(-energy.Period))
		w.commit(k, hh)
		defer w.run()()
		count := func(query string) (n int) {
			t.Helper()
			if err := db.QueryRow(query).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		settled := func() {
			t.Helper()
			until(t, 120*time.Second, "everything is delivered", nil, func() error {
				w.client.Notify()
				waiting, err := w.store.Pending(k, begin, now, 1)
				if n, _, err2 := w.store.Oldest(); err != nil || err2 != nil || len(waiting) > 0 || n != 0 {
					return fmt.Errorf("%d pending, %d sealed, %v, %v; %+v", len(waiting), n, err, err2, w.client.Status())
				}
				return nil
			})
		}
		settled()
		if n := count(`SELECT COUNT(*) FROM month_statement`); n != 0 {
			t.Errorf("an old relay got %d statements", n)
		}
		w.old.Store(false)
		// The next half-hour tells the gateway that the relay takes statements.
		w.commit(k, []energy.HalfHour{{Start: now.Truncate(energy.Period).Add(-energy.Period), Energy: 5, Cumulative: 5, TakenAt: now,
			Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}})
		w.stated(2, k) // September (in part) and October

		// The relay loses a day, and does not know. A correction elsewhere in the
		// month makes the gateway state it anew.
		oct := month.Of(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
		if _, err := db.Exec(`DELETE FROM day WHERE day = $1`, oct.Start.AddDate(0, 0, 4).Unix()/86400); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(hh, func(h energy.HalfHour) bool {
			return h.Start.After(oct.Start.AddDate(0, 0, 10)) && h.Quality == energy.Estimated
		})
		fixed := hh[i]
		fixed.Energy, fixed.Quality, fixed.Evidence.Rule = fixed.Energy+3, energy.Measured, energy.RuleBracketed
		w.commit(k, []energy.HalfHour{fixed})
		until(t, 120*time.Second, "a statement is refused", nil, func() error {
			w.client.Notify()
			if count(`SELECT COUNT(*) FROM month_statement WHERE state = 'refused'`) == 0 {
				return fmt.Errorf("%+v", w.client.Status())
			}
			return nil
		})
		w.stated(2, k)
		a := w.get(w.source("main"), "import", oct.Start, oct.End())
		if got, err := provenance.CheckConsumption(w.verify(a.Provenance), a.Data); err != nil || got.Stated != got.Served || got.Served < 1300 {
			t.Errorf("%+v, %v", got, err)
		}
		if n := count(`SELECT COUNT(*) FROM month_statement WHERE state = 'refused'`); n != 1 {
			t.Errorf("%d statements were refused", n)
		}
	})
}
