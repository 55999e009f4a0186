package permission_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// poll asks for grants as a gateway does.
func (a *app) poll(t *testing.T, etag, prefer string) answer {
	t.Helper()
	r, err := http.NewRequest("GET", a.w.server+"/gateway/v1/grants", nil)
	must(t, err)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	if prefer != "" {
		r.Header.Set("Prefer", prefer)
	}
	return do(t, a.http, r)
}

func (w *world) verify(t *testing.T, res answer) grant.Set {
	t.Helper()
	if res.Status != http.StatusOK {
		t.Fatalf("grants: %d %s", res.Status, res.Body)
	}
	set, err := grant.Verify([]byte(res.Body), w.pki.SigningCA.Pool(), scheme.EDP, w.now())
	must(t, err)
	return set
}

// Two processes on one database: what one changes, the other's waiting
// gateways learn within seconds, and tokens count in both.
func TestTwoProcesses(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		db := open(t)
		w1 := newWorld(t, db)
		w2 := newWorld(t, db)
		tok := w1.bank.flow(perseus.LicenseCombined(), code1)
		if res := w2.bank.use(tok.access); res.Status != 200 {
			t.Fatalf("the other process does not know the token: %d", res.Status)
		}
		etag := w2.gate.poll(t, "", "").Header.Get("ETag")
		waiting := make(chan answer)
		go func() { waiting <- w2.gate.poll(t, etag, "wait=50") }()
		for w2.svc.Waiting(gateway1) == 0 {
			runtime.Gosched()
		}
		if res := w1.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}); res.Status != 200 {
			t.Fatal(res.Status)
		}
		select {
		case res := <-waiting:
			if set := w2.verify(t, res); len(set.Grants) != 1 || set.Grants[0].Revoked.IsZero() {
				t.Errorf("%+v", set)
			}
		case <-time.After(time.Minute):
			t.Fatal("the gateway was not told")
		}
		refused(t, w2.bank.use(tok.access), 401, "invalid_token")
	})
}

func TestGrants(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	res := w.gate.poll(t, "", "wait=50") // without a known set there is nothing to wait for
	if set := w.verify(t, res); len(set.Grants) != 0 {
		t.Errorf("%+v", set)
	}
	etag := res.Header.Get("ETag")
	res = w.gate.poll(t, etag, "")
	if res.Status != http.StatusNotModified || res.Header.Get("ETag") != etag || res.Body != "" {
		t.Errorf("unchanged: %d", res.Status)
	}
	res = w.gate.poll(t, etag, "respond-async, wait=1")
	if res.Status != http.StatusNotModified || res.Header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("after a wait: %d %v", res.Status, res.Header)
	}
	// Agreeing alone gives nothing: the client must take it up.
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	if res := w.gate.poll(t, etag, ""); res.Status != http.StatusNotModified {
		t.Errorf("an agreement that nobody took up: %d", res.Status)
	}
	waiting := make(chan answer)
	go func() { waiting <- w.gate.poll(t, etag, "wait=50") }()
	w.bank.redeem(code, verifier)
	set := w.verify(t, <-waiting)
	want := grant.Grant{Gateway: gateway1, License: perseus.LicenseCombined(), Client: bankURL,
		From: time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC), Granted: w.now(), Expires: w.now().AddDate(1, 0, 0),
		Name: "Green Bank plc", Parts: "fsp",
		// A bank gets emissions alone: what they are not made of stays on the site.
		Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}, {Meter: "boiler", Measure: energy.Gas}}}
	g := set.Grants[0]
	if g.ID == "" || g.Gateway != want.Gateway || g.License != want.License || g.Client != want.Client || !g.From.Equal(want.From) ||
		!g.Granted.Equal(want.Granted) || !g.Expires.Equal(want.Expires) || !g.Revoked.IsZero() || g.Name != want.Name || g.Parts != want.Parts || !slices.Equal(g.Covers, want.Covers) {
		t.Errorf("got %+v, want %+v", g, want)
	}
	refused(t, w.bank.poll(t, "", ""), http.StatusForbidden, "access_denied")
	// A renewal keeps the grant's identity and its beginning.
	w.advance(300 * 24 * time.Hour)
	w.bank.flow(perseus.LicenseCombined(), code1)
	renewed := w.verify(t, w.gate.poll(t, "", "")).Grants
	if len(renewed) != 1 || renewed[0].ID != g.ID || !renewed[0].Granted.Equal(g.Granted) || !renewed[0].From.Equal(g.From) || !renewed[0].Expires.Equal(w.now().AddDate(1, 0, 0)) {
		t.Errorf("renewed: %+v", renewed)
	}
	// What ends by its date is gone, without anyone's doing.
	w.advance(366 * 24 * time.Hour)
	if set := w.verify(t, w.gate.poll(t, "", "")); len(set.Grants) != 0 {
		t.Errorf("ended: %+v", set)
	}
}

// A process that is stopped in the midst of a long poll does not answer with a
// set that is none: gateways warned of "not a signed set".
func TestStoppedInTheMidstOfAPoll(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	etag := w.gate.poll(t, "", "").Header.Get("ETag")
	mux := http.NewServeMux()
	w.svc.RegisterServer(mux)
	ctx, stop := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/gateway/v1/grants", nil)
	r.Header.Set("If-None-Match", etag)
	r.Header.Set("Prefer", "wait=50")
	leaf := w.gate.leaf.Cert()
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf},
		VerifiedChains: [][]*x509.Certificate{{leaf, w.pki.ClientCA.Issuer, w.pki.ClientCA.Root}}}
	res, over := httptest.NewRecorder(), make(chan struct{})
	go func() { defer close(over); mux.ServeHTTP(res, r) }()
	for w.svc.Waiting(gateway1) == 0 {
		runtime.Gosched()
	}
	stop()
	<-over
	if res.Code != http.StatusNotModified || res.Body.Len() != 0 {
		t.Errorf("%d %q", res.Code, res.Body)
	}
}

// Every use asks the CRL, also on a connection that was opened before.
func TestRevokedCertificate(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		if res := w.bank.use(tok.access); res.Status != 200 {
			t.Fatal(res.Status)
		}
		for _, a := range []*app{w.bank, w.gate} {
			w.mu.Lock()
			w.revoked[a.leaf.Cert().SerialNumber.String()] = true
			w.mu.Unlock()
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		refused(t, w.bank.refresh(tok.refresh), 401, "invalid_client")
		refused(t, w.bank.post("/oauth/par", nil), 401, "invalid_client")
		refused(t, w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}), 401, "invalid_client")
		refused(t, w.bank.post("/oauth/permission", url.Values{"token": {tok.refresh}}), 401, "invalid_client")
		refused(t, w.gate.poll(t, "", ""), 403, "certificate_revoked")
		renewed := w.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP))
		if res := renewed.use(tok.access); res.Status != 200 {
			t.Errorf("its successor: %d", res.Status)
		}
		w.advance(50 * 365 * 24 * time.Hour) // certificates run out on open connections too
		refused(t, renewed.post("/oauth/par", nil), 401, "invalid_client")
	})
}
