package permission_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

const day = 24 * time.Hour

// A refresh token fetches its record, and the evidence can be seen, for more
// than twelve months after the end; then all of it goes, and nothing else.
func TestRecordsAreForgotten(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box), func(c *permission.Config) { c.KeepEnded = permission.MinKeepEnded })
		own := w.appOf(relayMember, "https://directory.example/a/own", "Perseus Relay Ltd", "https://registry.example/scheme/perseus/role/carbon-accounting-provider")
		base := own.flow(perseus.LicenseConsumption(), code1)
		tok := w.bank.flow(perseus.LicenseEmissions(), code1) // linked
		must(t, permission.Hold(t.Context(), w.db, w.now(), w.idOf(bankURL, gateway1), "https://directory.example/a/dcc", "upstream"))
		ranOut := w.cap.flow(perseus.LicenseConsumption(), code2)
		record := func(a *app, token string) answer { return a.post("/oauth/permission", url.Values{"token": {token}}) }
		evidence := record(w.bank, tok.refresh).json()["permission"].(map[string]any)["evidence"].(string)
		w.end("https://directory.example/a/own", code1)
		must(t, w.svc.Deliver(t.Context()))
		w.advance(2 * time.Minute)
		must(t, w.svc.Sweep(t.Context()))

		w.advance(367 * day)
		live := w.bank.flow(perseus.LicenseCombined(), code2)
		must(t, w.svc.Sweep(t.Context()))
		for _, x := range []struct {
			a *app
			t tokens
		}{{own, base}, {w.bank, tok}, {w.cap, ranOut}} {
			if res := record(x.a, x.t.refresh); res.Status != 200 {
				t.Errorf("%s, a year after: %d %s", x.a.id, res.Status, res.Body)
			}
		}
		if res := w.browser().get(evidence); res.Status != 200 {
			t.Errorf("evidence, a year after: %d", res.Status)
		}
		var sealed int
		must(t, w.db.QueryRow(`SELECT count(*) FROM oauth_tokens WHERE sealed IS NOT NULL AND revoked <> 0`).Scan(&sealed))
		if sealed != 0 {
			t.Errorf("%d copies of ended tokens are still kept", sealed)
		}

		w.advance(4 * day) // three hundred and seventy days and more since the withdrawal
		must(t, w.svc.Sweep(t.Context()))
		refused(t, record(w.bank, tok.refresh), 400, "invalid_grant")
		refused(t, record(own, base.refresh), 400, "invalid_grant")
		if res := w.browser().get(evidence); res.Status != http.StatusNotFound {
			t.Errorf("evidence that was forgotten: %d", res.Status)
		}
		if res := record(w.cap, ranOut.refresh); res.Status != 200 {
			t.Errorf("one that ran out a few days ago: %d", res.Status)
		}
		if res := record(w.bank, live.refresh); res.Status != 200 {
			t.Errorf("a live one: %d", res.Status)
		}
		for _, q := range []string{"permission_links", "permission_held", "messages"} {
			var n int
			must(t, w.db.QueryRow("SELECT count(*) FROM "+q).Scan(&n))
			if n != 0 {
				t.Errorf("%d rows are left in %s", n, q)
			}
		}
		if res := w.bank.use(w.bank.refresh(live.refresh).str("access_token")); res.Status != 200 {
			t.Errorf("the live one does not work: %d", res.Status)
		}
	})
}

// A permission whose data could not be deleted yet is not forgotten: somebody
// must still see that.
func TestNotForgottenBeforeTheData(t *testing.T) {
	w := newWorld(t, openSQLite(t), func(c *permission.Config) { c.KeepEnded = permission.MinKeepEnded })
	w.bank.flow(perseus.LicenseCombined(), code1)
	w.purge = http.ErrServerClosed
	w.end(bankURL, code1)
	w.advance(400 * day)
	w.svc.Sweep(t.Context())
	count := func() (n int) {
		must(t, w.db.QueryRow(`SELECT count(*) FROM permissions`).Scan(&n))
		return n
	}
	if count() != 1 {
		t.Error("forgotten with its data still there")
	}
	w.purge = nil
	w.advance(2 * time.Hour)
	must(t, w.svc.Sweep(t.Context()))
	w.advance(2 * time.Hour)
	must(t, w.svc.Sweep(t.Context()))
	if count() != 0 {
		t.Error("not forgotten in the end")
	}
}

func TestKeepAtLeastAYear(t *testing.T) {
	var c permission.Config
	newWorld(t, openSQLite(t), func(k *permission.Config) { c = *k })
	c.KeepEnded = 365 * day
	if _, err := permission.New(c); err == nil || !strings.Contains(err.Error(), "370 days") {
		t.Errorf("records kept for a year only: %v", err)
	}
}

// The operator sees every permission and each of its dates apart, withdraws on
// behalf of a business, and that reaches the running relays.
func TestOperator(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		began := w.now()
		w.advance(10 * day)
		w.bank.flow(perseus.LicenseCombined(), code1) // renewed
		w.cap.flow(perseus.LicenseConsumption(), code2)
		uri, _ := w.cap.push(perseus.LicenseConsumption())
		w.browser().agree(capURL, uri, code1) // agreed, never taken up
		id := w.idOf(bankURL, gateway1)
		list := func(f permission.Filter) []permission.Summary {
			t.Helper()
			ps, err := permission.List(t.Context(), w.db, w.now(), f)
			must(t, err)
			return ps
		}
		if n := len(list(permission.Filter{})); n != 3 {
			t.Errorf("%d permissions", n)
		}
		for state, n := range map[string]int{permission.StateLive: 2, permission.StateUnused: 1, permission.StateWithdrawn: 0, permission.StateEnded: 0} {
			if got := list(permission.Filter{State: state}); len(got) != n {
				t.Errorf("%s: %+v", state, got)
			}
		}
		if ps := list(permission.Filter{Gateway: gateway2}); len(ps) != 1 || ps[0].Client != capURL || ps[0].Site != "Corner Shop" {
			t.Errorf("of one gateway: %+v", ps)
		}
		all := list(permission.Filter{Limit: 2})
		if more := list(permission.Filter{After: all[1].ID}); len(all) != 2 || len(more) != 1 {
			t.Errorf("pages: %d, %d", len(all), len(more))
		}
		d, ok, err := permission.Show(t.Context(), w.db, w.now(), id)
		if err != nil || !ok || d.State != permission.StateLive || !d.Granted.Equal(began) || !d.LastGranted.Equal(began.Add(10*day)) ||
			!d.Expires.Equal(d.LastGranted.AddDate(1, 0, 0)) || !d.Revoked.IsZero() || len(d.Grants) != 2 || d.Grants[0].Address != "127.0.0.1" || !strings.Contains(d.Grants[1].Words, "Green Bank plc") {
			t.Errorf("%+v, %v, %v", d, ok, err)
		}
		if _, ok, err := permission.Show(t.Context(), w.db, w.now(), "x"); ok || err != nil {
			t.Errorf("nothing: %v, %v", ok, err)
		}
		res := w.gate.poll(t, "", "wait=50")
		waiting := make(chan answer)
		go func() { waiting <- w.gate.poll(t, res.Header.Get("ETag"), "wait=50") }()
		ended, err := permission.Withdraw(t.Context(), w.db, w.now(), id)
		if err != nil || len(ended) != 1 {
			t.Fatalf("withdraw: %v, %v", ended, err)
		}
		for _, g := range w.verify(t, <-waiting).Grants {
			if g.Client == bankURL && g.Revoked.IsZero() {
				t.Error("the gateway is not told")
			}
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		must(t, w.svc.Deliver(t.Context()))
		if len(box.got) != 2 {
			t.Errorf("told: %v", box.got)
		}
		w.advance(2 * time.Minute)
		must(t, w.svc.Sweep(t.Context()))
		d, _, err = permission.Show(t.Context(), w.db, w.now(), id)
		if err != nil || d.State != permission.StateWithdrawn || d.RevokedBy != "operator" || d.Revoked.IsZero() || d.DeletedAt.IsZero() || len(d.Messages) != 2 || d.Messages[0].State != permission.MessageSent {
			t.Errorf("afterwards: %+v, %v", d, err)
		}
		if again, err := permission.Withdraw(t.Context(), w.db, w.now(), id); err != nil || len(again) != 0 {
			t.Errorf("again: %v, %v", again, err)
		}
		// The business reads who did it, and that its bank knows.
		page := text(w.browser().post("/permissions", url.Values{"code": {code1}}).Body)
		for _, want := range []string{"by us, because the business asked us to", "Green Bank plc was told on 2 December 2026", "deleted on 2 December 2026"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q: %s", want, page)
			}
		}
	})
}
