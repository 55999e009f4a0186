package permission_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// Messages that others send to us.
func TestMessageTaken(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		send := func(a *app, body string) answer {
			r, err := http.NewRequest("POST", w.server+"/messages", strings.NewReader(body))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			return do(t, a.http, r)
		}
		// Of a permission that we issued to the sender.
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		if res := send(w.stranger, bodyOf(tok.refresh)); res.Status != 204 || w.bank.use(tok.access).Status != 200 {
			t.Errorf("somebody else's message: %d", res.Status)
		}
		if res := send(w.bank, bodyOf(tok.access)); res.Status != 204 || w.bank.use(tok.access).Status != 200 {
			t.Errorf("an access token: %d", res.Status)
		}
		for range 2 { // a message may come twice
			if res := send(w.bank, bodyOf(tok.refresh)); res.Status != 204 || res.Body != "" {
				t.Errorf("%d %s", res.Status, res.Body)
			}
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		if n := len(w.purged); n != 1 {
			t.Errorf("%d deletions", n)
		}
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 0 {
			t.Errorf("the sender was told: %v", box.got)
		}
		// Of one that another provider issued to us, on which two of ours rely.
		provider := w.app("https://directory.example/a/dcc", "Smart Meter Data Ltd", perseus.Role(scheme.EDP))
		a, b := w.bank.flow(perseus.LicenseCombined(), code1), w.cap.flow(perseus.LicenseConsumption(), code2)
		kept := w.cap.flow(perseus.LicenseConsumption(), code1)
		all, err := w.svc.Permissions(t.Context())
		must(t, err)
		for _, p := range all {
			if p.Client == bankURL || p.Gateway == gateway2 {
				must(t, permission.Hold(t.Context(), w.db, w.now(), p.Permission, provider.id, "upstream-token"))
			}
		}
		if err := permission.Hold(t.Context(), w.db, w.now(), "nonsense", provider.id, "x"); err == nil {
			t.Error("a link of nothing")
		}
		if res := send(w.stranger, bodyOf("upstream-token")); res.Status != 204 || w.bank.use(a.access).Status != 200 {
			t.Errorf("not the issuer: %d", res.Status)
		}
		if res := send(provider, bodyOf("upstream-token")); res.Status != 204 {
			t.Errorf("the issuer: %d %s", res.Status, res.Body)
		}
		refused(t, w.bank.use(a.access), 401, "invalid_token")
		refused(t, w.cap.use(b.access), 401, "invalid_token")
		if res := w.cap.use(kept.access); res.Status != 200 {
			t.Errorf("one that does not rely on it: %d", res.Status)
		}
		must(t, w.svc.Deliver(t.Context()))
		want := []string{bankURL + " " + bodyOf(a.refresh), capURL + " " + bodyOf(b.refresh)}
		slices.Sort(box.got)
		if !slices.Equal(box.got, want) {
			t.Errorf("passed on: %v", box.got)
		}
		// What is no message.
		for _, c := range []struct {
			body string
			want int
		}{
			{"", 400}, {"null", 400}, {"[]", 400}, {"{}", 400}, {bodyOf(""), 400}, {bodyOf(strings.Repeat("x", 5000)), 400},
			{strings.Replace(bodyOf("x"), "registry.example", "registry.other.example", 1), 400},
			{strings.Replace(bodyOf("x"), "withdrawal-of", "granting-of", 1), 400},
			{strings.Replace(bodyOf("x"), `"x"`, `7`, 1), 400},
			{bodyOf(strings.Repeat("x", 17<<10)), 413},
		} {
			refused(t, send(w.bank, c.body), c.want, "invalid_request")
		}
		refused(t, w.bank.post("/messages", url.Values{"token": {"x"}}), 415, "invalid_request")
		refused(t, send(w.gate, bodyOf("x")), 403, "access_denied")
		w.mu.Lock()
		w.revoked[w.bank.leaf.Chain[0].SerialNumber.String()] = true
		w.mu.Unlock()
		refused(t, send(w.bank, bodyOf("x")), 401, "invalid_client")
	})
}
