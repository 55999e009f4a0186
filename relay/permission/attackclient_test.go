package permission_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// attackClientConfusion: a valid certificate, and another's name or property.
func attackClientConfusion(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	for _, id := range []string{bankURL + "/", bankURL + "#", strings.ToUpper(bankURL), bankURL + "%00", " " + bankURL, capURL} {
		f := url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {tok.refresh}}
		refused(t, w.bank.post("/oauth/token", f), 401, "invalid_client")
		refused(t, w.bank.post("/oauth/permission", url.Values{"client_id": {id}, "token": {tok.refresh}}), 401, "invalid_client")
		refused(t, w.bank.post("/oauth/revoke", url.Values{"client_id": {id}, "token": {tok.refresh}}), 401, "invalid_client")
	}
	refused(t, w.bank.post("/oauth/permission", url.Values{"client_id": {bankURL + "\n"}, "token": {tok.refresh}}), 400, "invalid_request")
	// The other's client_id with one's own certificate, and the other way round.
	f := url.Values{"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {tok.refresh}}
	refused(t, w.stranger.post("/oauth/token", f), 401, "invalid_client")
	f.Set("client_id", w.stranger.id)
	refused(t, w.stranger.post("/oauth/token", f), 400, "invalid_grant")
	// A gateway's certificate has no role: it is no client.
	refused(t, w.gate.use(tok.access), 401, "invalid_token")
	refused(t, w.gate.refresh(tok.refresh), 400, "invalid_grant")
	refused(t, w.bank.poll(t, "", ""), 403, "access_denied") // and an application is no gateway
	// A certificate of the signing hierarchy, with the same name and roles, is none for clients.
	signing := w.pki.Signing(bankURL, "Green Bank plc", "https://directory.example/m/bank", perseus.Role(scheme.FSP))
	c := w.client(signing.Get)
	if res, err := c.PostForm(w.server+"/oauth/token", f); err == nil {
		res.Body.Close()
		t.Errorf("a signing certificate was taken for a client's: %d", res.StatusCode)
	}
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Errorf("the owner, after all this: %d", res.Status)
	}
}

// kept asks a resource on one connection and fails where it is another one.
func (a *app) kept(t *testing.T, token string) (answer, bool) {
	t.Helper()
	r, err := http.NewRequest("GET", a.w.server+"/resource", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	var reused bool
	r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}))
	return do(t, a.http, r), reused
}

func attackExpired(t *testing.T, w *world) {
	leaf := w.bank.leaf.Cert()
	w.advance(leaf.NotAfter.Sub(w.now()) - 10*time.Minute)
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	if res, _ := w.bank.kept(t, tok.access); res.Status != 200 {
		t.Fatal(res.Status)
	}
	w.advance(10*time.Minute + time.Second)
	res, reused := w.bank.kept(t, tok.access)
	if !reused {
		t.Error("another connection")
	}
	refused(t, res, 401, "invalid_token")
	refused(t, w.bank.refresh(tok.refresh), 401, "invalid_client")
}

func attackRevoked(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	if res, _ := w.bank.kept(t, tok.access); res.Status != 200 {
		t.Fatal(res.Status)
	}
	w.revoke(w.bank)
	res, reused := w.bank.kept(t, tok.access)
	if !reused {
		t.Error("another connection")
	}
	refused(t, res, 401, "invalid_token")
	_, challenge := pkce()
	for _, res := range []answer{w.bank.refresh(tok.refresh), w.bank.post("/oauth/par", w.bank.parForm(perseus.LicenseCombined(), challenge)),
		w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}), w.bank.post("/oauth/permission", url.Values{"token": {tok.refresh}})} {
		refused(t, res, 401, "invalid_client")
	}
	w.revoke(w.gate)
	refused(t, w.gate.poll(t, "", ""), 403, "certificate_revoked")
	renewed := w.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP))
	if res := renewed.use(tok.access); res.Status != 200 {
		t.Errorf("the same application with a new certificate: %d", res.Status)
	}
}

// attackResumption: a TLS session must not outlive the check of its certificate.
func attackResumption(t *testing.T, w *world) {
	conf := identity.ClientTLS(w.pki.ServerCA.Pool(), w.bank.leaf.Get)
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	ask := func() answer {
		tr := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
		defer tr.CloseIdleConnections()
		r, err := http.NewRequest("GET", w.server+"/resource", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+tok.access)
		r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if s.DidResume {
				t.Error("a session was resumed: its certificate was not asked for again")
			}
		}}))
		return do(t, &http.Client{Transport: tr}, r)
	}
	for range 3 {
		if res := ask(); res.Status != 200 {
			t.Fatal(res.Status)
		}
	}
	w.revoke(w.bank)
	refused(t, ask(), 401, "invalid_token")
}

func (w *world) revoke(a *app) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[a.leaf.Cert().SerialNumber.String()] = true
}
