package permission_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// cluster is several services on one database, each with its own connections
// and listeners, as on several machines.
func cluster(t *testing.T, n int, f func(t *testing.T, ws []*world), change ...func(*permission.Config)) {
	t.Helper()
	start := func(t *testing.T, dsn string) {
		ws := []*world{newWorld(t, openAt(t, dsn), change...)}
		for len(ws) < n {
			ws = append(ws, ws[0].sibling(openAt(t, dsn)))
		}
		f(t, ws)
	}
	t.Run("sqlite", func(t *testing.T) { start(t, databasetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { start(t, databasetest.Postgres(t)) })
}

// Four services race for one press of the button, for one code, and for its
// replay: one of each, whichever gets it, and what the replay ends is ended
// everywhere.
func TestServicesRace(t *testing.T) {
	cluster(t, 4, func(t *testing.T, ws []*world) {
		for round := range 8 {
			asked, shown := ws[round%4], ws[(round+1)%4]
			uri, verifier := asked.bank.push(perseus.LicenseCombined())
			b := shown.browser()
			f := formWith(t, b.get(shown.authorizeURL(bankURL, uri)), "code")
			f.Set("code", code1)
			f = formWith(t, b.post("/authorize", f), "seen")
			f.Set("decision", "agree")

			var wg sync.WaitGroup
			codes := make(chan string, 16)
			for i := range 16 {
				wg.Go(func() {
					b := ws[i%4].browser()
					switch res := b.post("/authorize", f); res.Status {
					case http.StatusSeeOther:
						codes <- b.back(res).Get("code")
					case http.StatusBadRequest:
					default:
						t.Errorf("agree: %d %s", res.Status, text(res.Body))
					}
				})
			}
			wg.Wait()
			close(codes)
			if len(codes) != 1 {
				t.Fatalf("round %d: %d codes for one request", round, len(codes))
			}
			code := <-codes

			got := make(chan string, 16)
			for i := range 16 {
				wg.Go(func() {
					a := ws[i%4].bank
					switch res := a.post("/oauth/token", a.redeemForm(code, verifier)); res.Status {
					case http.StatusOK:
						got <- res.str("access_token")
					case http.StatusBadRequest:
					default:
						t.Errorf("token: %d %s", res.Status, res.Body)
					}
				})
			}
			wg.Wait()
			close(got)
			if len(got) != 1 {
				t.Fatalf("round %d: one code was redeemed %d times", round, len(got))
			}
			token := <-got
			for _, w := range ws { // the 15 replays ended it, for all of them
				refused(t, w.bank.use(token), 401, "invalid_token")
			}
		}
	}, manyAddresses)
}

// manyAddresses lets every request come from an address of its own: one address
// has no more than ten tries at once.
func manyAddresses(c *permission.Config) {
	var n atomic.Uint32
	c.Address = func(*http.Request) netip.Addr {
		i := n.Add(1)
		return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
}

// What one service did, the others know at the next request.
func TestServicesAgree(t *testing.T) {
	cluster(t, 2, func(t *testing.T, ws []*world) {
		tok := ws[0].bank.flow(perseus.LicenseCombined(), code1)
		res := ws[1].bank.refresh(tok.refresh)
		if res.Status != 200 {
			t.Fatalf("refresh at the other: %d %s", res.Status, res.Body)
		}
		second := res.str("access_token")
		if res := ws[0].bank.use(second); res.Status != 200 {
			t.Errorf("a token of the other: %d", res.Status)
		}
		if res := ws[1].bank.post("/oauth/revoke", url.Values{"token": {tok.refresh}}); res.Status != 200 {
			t.Fatal(res.Status)
		}
		for _, w := range ws {
			refused(t, w.bank.use(tok.access), 401, "invalid_token")
			refused(t, w.bank.use(second), 401, "invalid_token")
			refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
		}
	})
}

// The limits hold for all services together, and for guesses at the same time.
func TestLimitsHoldOverServices(t *testing.T) {
	address := func(c *permission.Config) {
		c.Address = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-Test-Address")) }
		c.PushRate = permission.Rate{PerSecond: 1, Burst: 30}
		c.TokenRate = permission.Rate{PerSecond: 1, Burst: 40}
	}
	cluster(t, 4, func(t *testing.T, ws []*world) {
		guess := func(w *world, from string) int {
			b := w.browser()
			r, err := http.NewRequest("POST", w.issuer+"/permissions", strings.NewReader("code="+identity.NewCode()))
			must(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("X-Test-Address", from)
			return do(t, b.http, r).Status
		}
		var wg sync.WaitGroup
		var looked, limited atomic.Int64
		for i := range 40 {
			wg.Go(func() {
				switch s := guess(ws[i%4], "192.0.2.7"); s {
				case http.StatusUnprocessableEntity:
					looked.Add(1)
				case http.StatusTooManyRequests:
					limited.Add(1)
				default:
					t.Errorf("status %d", s)
				}
			})
		}
		wg.Wait()
		if looked.Load() != 10 || limited.Load() != 30 {
			t.Errorf("one address: %d of 40 codes looked up, %d refused; want 10 and 30", looked.Load(), limited.Load())
		}
		ws[0].advance(20 * time.Second) // one more, at whichever service
		if a, b := guess(ws[2], "192.0.2.7"), guess(ws[1], "192.0.2.7"); a != 422 || b != 429 {
			t.Errorf("after 20 s: %d, %d", a, b)
		}
		if s := guess(ws[3], "192.0.2.8"); s != 422 {
			t.Errorf("another address: %d", s)
		}

		// Pushed requests, and everything with tokens, for one client.
		count := func(n int, ask func(w *world) answer, ok int) (taken int64) {
			var yes atomic.Int64
			for i := range n {
				wg.Go(func() {
					switch res := ask(ws[i%4]); res.Status {
					case ok:
						yes.Add(1)
					case http.StatusTooManyRequests:
						refused(t, res, 429, "temporarily_unavailable")
						if res.Header.Get("Retry-After") == "" {
							t.Error("no Retry-After")
						}
					default:
						t.Errorf("%d %s", res.Status, res.Body)
					}
				})
			}
			wg.Wait()
			return yes.Load()
		}
		push := func(w *world) answer {
			_, challenge := pkce()
			return w.bank.post("/oauth/par", w.bank.parForm(perseus.LicenseCombined(), challenge))
		}
		if n := count(60, push, 201); n != 30 {
			t.Errorf("%d pushed requests at once, want 30", n)
		}
		_, challenge := pkce()
		if res := ws[0].cap.post("/oauth/par", ws[0].cap.parForm(perseus.LicenseCombined(), challenge)); res.Status != 201 {
			t.Errorf("another client pays for it: %d", res.Status)
		}
		if n := count(60, func(w *world) answer { return w.bank.refresh("x") }, 400); n != 40 {
			t.Errorf("%d wrong refresh tokens at once, want 40", n)
		}
		ws[0].advance(time.Minute)
		must(t, ws[0].svc.Sweep(context.Background()))
		var rows int
		must(t, ws[0].db.QueryRow(`SELECT COUNT(*) FROM limits WHERE name <> 'codes' AND full_at <= $1`, ws[0].now().UnixMilli()).Scan(&rows))
		if rows != 0 {
			t.Errorf("%d limits remembered that nobody owes to", rows)
		}
		if n := count(4, push, 201); n != 4 {
			t.Errorf("after a minute: %d", n)
		}
	}, address)
}
