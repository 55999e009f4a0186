package permission_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// After a withdrawal on the page no token works, the gateway knows at once,
// and the deletion of its data was ordered.
func TestWithdrawal(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		tok, other := w.bank.flow(perseus.LicenseCombined(), code1), w.cap.flow(perseus.LicenseConsumption(), code1)
		w.bank.flow(perseus.LicenseCombined(), code2)
		res := w.gate.poll(t, "", "wait=50")
		set := w.verify(t, res)
		if len(set.Grants) != 2 || set.Gateway != gateway1 || !set.Grants[0].Live(w.now()) {
			t.Fatalf("before: %+v", set)
		}
		waiting := make(chan answer)
		go func() { waiting <- w.gate.poll(t, res.Header.Get("ETag"), "wait=50") }()

		for w.svc.Waiting(gateway1) == 0 {
			runtime.Gosched()
		}
		b := w.browser()
		page := b.post("/permissions", url.Values{"code": {code1}})
		if strings.Count(page.Body, ">Withdraw<") != 2 || strings.Count(page.Body, "In force") != 2 {
			t.Errorf("list: %s", text(page.Body))
		}
		i := slices.IndexFunc(set.Grants, func(g grant.Grant) bool { return g.Client == bankURL })
		f := url.Values{"code": {code1}, "permission": {set.Grants[i].ID}}
		stranger := url.Values{"code": {code2}, "permission": {set.Grants[i].ID}} // another business cannot
		if res := b.post("/permissions/withdraw", stranger); res.Status != http.StatusNotFound {
			t.Errorf("another business's code: %d", res.Status)
		}
		page = b.post("/permissions/withdraw", f)
		if page.Status != 200 || !strings.Contains(text(page.Body), "Withdrawn. Green Bank plc gets nothing more.") || strings.Count(page.Body, ">Withdraw<") != 1 {
			t.Errorf("after: %d %s", page.Status, text(page.Body))
		}

		after := w.verify(t, <-waiting)
		live := 0
		for _, g := range after.Grants {
			if g.Live(w.now()) {
				live++
				if g.Client != capURL {
					t.Errorf("still live: %+v", g)
				}
			} else if g.Revoked.IsZero() {
				t.Errorf("neither live nor revoked: %+v", g)
			}
		}
		if live != 1 || after.Issued.Before(set.Issued) {
			t.Errorf("after: %+v", after)
		}
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
		if res := w.cap.use(other.access); res.Status != 200 {
			t.Errorf("the other permission went too: %d", res.Status)
		}
		if gs, err := w.svc.LiveGrants(t.Context(), gateway1, w.now()); err != nil || len(gs) != 1 {
			t.Errorf("LiveGrants: %v, %v", gs, err)
		}
		if all, err := w.svc.Permissions(t.Context()); err != nil || len(all) != 2 {
			t.Errorf("Permissions: %v, %v", all, err)
		}
		if !slices.Equal(w.purged, []string{gateway1}) || w.changed[len(w.changed)-1] != gateway1 {
			t.Errorf("deletion ordered for %v, change told for %v", w.purged, w.changed)
		}
		// Pressing twice is harmless.
		if res := b.post("/permissions/withdraw", f); res.Status != 200 || len(w.purged) != 1 {
			t.Errorf("again: %d, %v", res.Status, w.purged)
		}
		// Agreeing anew makes a new permission; the old tokens stay dead.
		again := w.bank.flow(perseus.LicenseCombined(), code1)
		if w.bank.use(again.access).Status != 200 || w.bank.refresh(tok.refresh).Status != 400 {
			t.Error("a new permission is not a new one")
		}
	})
}

// Withdrawing while codes are redeemed and tokens refreshed leaves nothing
// that works.
func TestWithdrawalRaces(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		for range 10 {
			tok := w.bank.flow(perseus.LicenseCombined(), code1)
			uri, verifier := w.bank.push(perseus.LicenseCombined()) // a renewal on its way
			code := w.browser().agree(bankURL, uri, code1).Get("code")
			var mu sync.Mutex
			all := []string{tok.access}
			var wg sync.WaitGroup
			keep := func(res answer) {
				mu.Lock()
				defer mu.Unlock()
				if s := res.str("access_token"); s != "" {
					all = append(all, s)
				}
			}
			for range 4 {
				wg.Go(func() { keep(w.bank.refresh(tok.refresh)) })
			}
			for range 2 { // a replay, too
				wg.Go(func() { keep(w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier))) })
			}
			wg.Go(func() {
				if res := w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}); res.Status != 200 {
					t.Errorf("revoke: %d %s", res.Status, res.Body)
				}
			})
			wg.Go(func() { must(t, w.svc.Sweep(t.Context())) })
			wg.Wait()
			for _, a := range all {
				refused(t, w.bank.use(a), 401, "invalid_token")
			}
			if gs, err := w.svc.LiveGrants(t.Context(), gateway1, w.now()); err != nil || len(gs) != 0 {
				t.Fatalf("live after withdrawal: %v, %v", gs, err)
			}
		}
	})
}

// A withdrawal counts by itself: a code that is on its way gives no tokens
// afterwards, and tokens whose rows it did not reach are dead with it.
func TestWithdrawalIsFirst(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		tok := w.bank.flow(perseus.LicenseCombined(), code1)
		uri, verifier := w.bank.push(perseus.LicenseCombined())
		code := w.browser().agree(bankURL, uri, code1).Get("code")
		w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}})
		refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, verifier)), 400, "invalid_grant")

		tok = w.bank.flow(perseus.LicenseCombined(), code1)
		_, err := w.db.Exec(`UPDATE permissions SET revoked = $1 WHERE revoked = 0`, w.now().Unix())
		must(t, err)
		refused(t, w.bank.use(tok.access), 401, "invalid_token")
		refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
		if gs, err := w.svc.LiveGrants(t.Context(), gateway1, w.now()); err != nil || len(gs) != 0 {
			t.Errorf("LiveGrants: %v, %v", gs, err)
		}
	})
}

// A deletion that failed is tried again until it succeeds, and once more a
// minute after the withdrawal for what was under way at its instant.
func TestDeletionIsRetried(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	w.purge = errors.New("disk full")
	if res := w.bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}); res.Status != 200 {
		t.Fatalf("revocation waits for the deletion: %d", res.Status)
	}
	refused(t, w.bank.use(tok.access), 401, "invalid_token")
	once := func(want int) {
		t.Helper()
		must(t, w.svc.Sweep(t.Context()))
		if len(w.purged) != want {
			t.Errorf("%d deletions were ordered, want %d", len(w.purged), want)
		}
	}
	once(1) // too early for the second time
	w.advance(time.Minute)
	if err := w.svc.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") || !strings.Contains(err.Error(), gateway1) {
		t.Errorf("sweep: %v", err)
	}
	w.purge = nil
	once(3)
	once(3) // done for good
}

// Requests, codes and access tokens that ran out are dropped; refresh tokens
// and the log stay.
func TestTidy(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	w.bank.push(perseus.LicenseCombined())
	count := func() (n [4]int) {
		for i, q := range []string{"oauth_requests", "oauth_codes", "oauth_tokens", "permission_grants"} {
			must(t, w.db.QueryRow("SELECT count(*) FROM "+q).Scan(&n[i]))
		}
		return n
	}
	must(t, w.svc.Sweep(t.Context()))
	if got := count(); got != [4]int{1, 1, 2, 1} {
		t.Errorf("at first: %v", got)
	}
	w.advance(25 * time.Hour)
	must(t, w.svc.Sweep(t.Context()))
	if got := count(); got != [4]int{0, 0, 1, 1} {
		t.Errorf("a day later: %v", got)
	}
	if res := w.bank.refresh(tok.refresh); res.Status != 200 {
		t.Errorf("refresh: %d", res.Status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, w.svc.Run(ctx)) // ends with its context, without an error
}

// A withdrawal message must carry the refresh tokens: their sealed copies open
// in their own permission alone, and no token is stored in the clear.
func TestSealedCopies(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	other := w.bank.flow(perseus.LicenseCombined(), code2)
	all, err := w.svc.Permissions(t.Context())
	must(t, err)
	for i, want := range []string{tok.refresh, other.refresh} {
		got, err := w.svc.RefreshTokens(t.Context(), all[i].Permission)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("permission %d: %v, %v", i, len(got), err)
		}
	}
	_, err = w.db.Exec(`UPDATE oauth_tokens SET permission = $1 WHERE permission = $2`, all[0].Permission, all[1].Permission)
	must(t, err)
	if got, err := w.svc.RefreshTokens(t.Context(), all[0].Permission); err == nil {
		t.Errorf("a copy opened in another permission: %d tokens", len(got))
	}
	rows, err := w.db.Query(`SELECT hash, sealed FROM oauth_tokens`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var hash, sealed []byte
		must(t, rows.Scan(&hash, &sealed))
		for _, secret := range []string{tok.access, tok.refresh, other.access, other.refresh} {
			if strings.Contains(string(hash)+string(sealed), secret) {
				t.Error("a token is stored in the clear")
			}
		}
	}
}
