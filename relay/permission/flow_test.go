package permission_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// TestChecks is the suite of checks that any issuer here must pass
// (field/security-libs.md, part 1).
func TestChecks(t *testing.T) {
	checks := []struct {
		name string
		run  func(t *testing.T, w *world)
	}{
		{"no certificate", checkNoCertificate},
		{"PAR refusals", checkPARRefusals},
		{"request_uri is bound to its client", checkRequestBound},
		{"request_uri works once", checkRequestOnce},
		{"renewed certificate", checkRenewedCertificate},
		{"refresh, by its client only", checkRefresh},
		{"revoke, by its client only", checkRevoke},
		{"wrong verifier", checkWrongVerifier},
		{"wrong redirect_uri", checkWrongRedirect},
		{"stolen code", checkStolenCode},
		{"replayed code", checkReplay},
		{"expiry", checkExpiry},
		{"concurrent redemption", checkConcurrent},
	}
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		for _, c := range checks {
			t.Run(c.name, func(t *testing.T) { c.run(t, newWorld(t, open(t))) })
		}
	})
}

func refused(t *testing.T, res answer, status int, code string) {
	t.Helper()
	if res.Status != status || res.str("error") != code || res.str("error_description") == "" {
		t.Errorf("got %d %s, want %d %s with a description", res.Status, strings.TrimSpace(res.Body), status, code)
	}
	if (res.Header.Get("WWW-Authenticate") != "") != (status == http.StatusUnauthorized) {
		t.Errorf("status %d with WWW-Authenticate %q", status, res.Header.Get("WWW-Authenticate"))
	}
	if cc := res.Header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control %q", cc)
	}
}

func checkNoCertificate(t *testing.T, w *world) {
	for _, path := range []string{"/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/permission", "/gateway/v1/grants"} {
		if _, err := w.client(nil).PostForm(w.server+path, nil); err == nil {
			t.Errorf("%s: served without a certificate", path)
		}
	}
	if res := w.browser().get(w.issuer + "/permissions"); res.Status != http.StatusOK {
		t.Errorf("a browser got %d", res.Status)
	}
}

func checkRequestBound(t *testing.T, w *world) {
	uri, _ := w.bank.push(perseus.LicenseCombined())
	res := w.browser().get(w.authorizeURL(capURL, uri))
	if res.Status != http.StatusBadRequest || res.Header.Get("Location") != "" {
		t.Errorf("another client used the request: %d %s", res.Status, res.Header)
	}
}

func checkRequestOnce(t *testing.T, w *world) {
	uri, _ := w.bank.push(perseus.LicenseCombined())
	b := w.browser()
	b.get(w.authorizeURL(bankURL, uri)) // looking, even twice, does not use it up
	f := formWith(t, b.get(w.authorizeURL(bankURL, uri)), "code")
	f.Set("code", code1)
	f = formWith(t, b.post("/authorize", f), "seen")
	f.Set("decision", "agree")
	// Eight presses at once: one code.
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := 0
	for range 8 {
		wg.Go(func() {
			res := b.post("/authorize", f)
			mu.Lock()
			defer mu.Unlock()
			switch res.Status {
			case http.StatusSeeOther:
				codes++
			case http.StatusBadRequest:
			default:
				t.Errorf("status %d", res.Status)
			}
		})
	}
	wg.Wait()
	if codes != 1 {
		t.Errorf("%d codes from one request", codes)
	}
	if res := b.get(w.authorizeURL(bankURL, uri)); res.Status != http.StatusBadRequest {
		t.Errorf("a used request shows a page: %d", res.Status)
	}
	uri, _ = w.bank.push(perseus.LicenseCombined())
	w.advance(10 * time.Minute)
	if res := b.get(w.authorizeURL(bankURL, uri)); res.Status != http.StatusBadRequest {
		t.Errorf("an old request shows a page: %d", res.Status)
	}
}

func checkRenewedCertificate(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	answer := w.browser().agree(bankURL, uri, code1)
	if answer.Get("state") != "st 1&x" || answer.Get("iss") != w.issuer || answer.Get("from") != "perseus" {
		t.Errorf("redirect query: %v", answer)
	}
	renewed := w.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP)) // new key, same URI
	tok := renewed.redeem(answer.Get("code"), verifier)
	again := w.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP))
	if res := again.use(tok.access); res.Status != 200 {
		t.Errorf("resource with a renewed certificate: %d %s", res.Status, res.Body)
	}
	if res := again.refresh(tok.refresh); res.Status != 200 {
		t.Errorf("refresh with a renewed certificate: %d %s", res.Status, res.Body)
	}
}

func checkRefresh(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	res := w.bank.refresh(tok.refresh)
	if life, _ := res.json()["expires_in"].(float64); res.Status != 200 || life <= 0 || life > 3600 || res.str("refresh_token") != tok.refresh ||
		res.str("scope") != perseus.LicenseCombined() || res.str("token_type") != "Bearer" || res.str("access_token") == tok.access {
		t.Errorf("refresh: %d %s", res.Status, res.Body)
	}
	if res := w.bank.use(res.str("access_token")); res.Status != 200 {
		t.Errorf("refreshed token: %d", res.Status)
	}
	refused(t, w.stranger.refresh(tok.refresh), 400, "invalid_grant")
	refused(t, w.stranger.use(tok.access), 401, "invalid_token")
	refused(t, w.bank.refresh(tok.access), 400, "invalid_grant") // an access token is no refresh token
	refused(t, w.bank.use(tok.refresh), 401, "invalid_token")    // nor the other way round
	refused(t, w.bank.refresh("unknown"), 400, "invalid_grant")  //
	refused(t, w.bank.refresh(""), 400, "invalid_request")       //
	roleless := w.app(bankURL, "Green Bank plc")                 // the directory took the role away
	refused(t, roleless.refresh(tok.refresh), 400, "unauthorized_client")
}

func checkRevoke(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	refused(t, w.stranger.post("/oauth/revoke", url.Values{"token": {tok.refresh}}), 400, "invalid_grant")
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Fatalf("another client revoked the token: %d", res.Status)
	}
	if res := w.bank.post("/oauth/revoke", url.Values{"token": {"unknown"}, "token_type_hint": {"refresh_token"}}); res.Status != 200 {
		t.Errorf("unknown token: %d", res.Status)
	}
	for range 2 { // idempotent
		if res := w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}, "client_id": {bankURL}}); res.Status != 200 || res.Body != "" {
			t.Errorf("revoke: %d %s", res.Status, res.Body)
		}
	}
	refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
	refused(t, w.bank.use(tok.access), 401, "invalid_token")
	if len(w.purged) != 1 || w.purged[0] != gateway1 {
		t.Errorf("data deletion was asked for %v", w.purged)
	}
	// Revoking an access token ends that one alone.
	tok = w.bank.flow(perseus.LicenseCombined(), code1)
	w.bank.post("/oauth/revoke", url.Values{"token": {tok.access}})
	refused(t, w.bank.use(tok.access), 401, "invalid_token")
	if res := w.bank.refresh(tok.refresh); res.Status != 200 {
		t.Errorf("the permission ended with its access token: %d", res.Status)
	}
}

func checkWrongVerifier(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	other, _ := pkce()
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, other)), 400, "invalid_grant")
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, "short")), 400, "invalid_request")
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, "")), 400, "invalid_request")
	w.bank.redeem(code, verifier) // a failed guess did not spoil it
}

func checkWrongRedirect(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	f := w.bank.redeemForm(code, verifier)
	f.Set("redirect_uri", "https://app.bank.example/cb")
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_grant")
	f.Del("redirect_uri")
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_request")
}

func checkStolenCode(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	refused(t, w.stranger.post("/oauth/token", w.stranger.redeemForm(code, verifier)), 400, "invalid_grant")
	tok := w.bank.redeem(code, verifier)
	// Nor can the thief end the owner's tokens by replaying.
	refused(t, w.stranger.post("/oauth/token", w.stranger.redeemForm(code, verifier)), 400, "invalid_grant")
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Errorf("the thief ended the owner's tokens: %d", res.Status)
	}
}

func checkReplay(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	tok := w.bank.redeem(code, verifier)
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier)), 400, "invalid_grant")
	refused(t, w.bank.use(tok.access), 401, "invalid_token")
	refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
	if gs, err := w.svc.LiveGrants(t.Context(), gateway1, w.now()); err != nil || len(gs) != 0 {
		t.Errorf("data may still flow though nobody can use it: %v, %v", gs, err)
	}
}

func checkExpiry(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	w.advance(time.Minute)
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier)), 400, "invalid_grant")

	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	w.advance(time.Hour - time.Second)
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Errorf("a second before its end: %d", res.Status)
	}
	w.advance(time.Second)
	refused(t, w.bank.use(tok.access), 401, "invalid_token")
	granted := w.now().Add(-time.Hour)
	w.advance(granted.AddDate(1, 0, 0).Add(-time.Minute).Sub(w.now()))
	res := w.bank.refresh(tok.refresh)
	if life, _ := res.json()["expires_in"].(float64); res.Status != 200 || life != 60 {
		t.Errorf("in the last minute: %d %s", res.Status, res.Body)
	}
	w.advance(time.Minute)
	refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
	refused(t, w.bank.use(res.str("access_token")), 401, "invalid_token")
}

func checkConcurrent(t *testing.T, w *world) {
	for round := range 20 {
		uri, verifier := w.bank.push(perseus.LicenseCombined())
		code := w.browser().agree(bankURL, uri, code1).Get("code")
		var wg sync.WaitGroup
		got := make(chan string, 16)
		for range 16 {
			wg.Go(func() {
				res := w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier))
				switch res.Status {
				case http.StatusOK:
					got <- res.str("access_token")
				case http.StatusBadRequest:
				default:
					t.Errorf("status %d: %s", res.Status, res.Body)
				}
			})
		}
		wg.Wait()
		close(got)
		if len(got) != 1 {
			t.Fatalf("round %d: %d redemptions of one code", round, len(got))
		}
		refused(t, w.bank.use(<-got), 401, "invalid_token") // the 15 replays ended it
	}
	if gs, _ := w.svc.LiveGrants(t.Context(), gateway1, w.now()); len(gs) != 0 {
		t.Error(fmt.Sprint("still live: ", gs))
	}
}
