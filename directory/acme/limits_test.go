package acme_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// onBothWith is onBoth under limits.
func onBothWith(t *testing.T, limits acme.Limits, f func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newWorld(t, sqliteDSN(t), limits)) })
	t.Run("postgres", func(t *testing.T) { f(t, newWorld(t, databasetest.Postgres(t), limits)) })
}

// sendFrom posts a body from a network address.
func (c *client) sendFrom(address, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, c.world.url+path, strings.NewReader(body))
	r.RemoteAddr = address
	r.Header.Set("Content-Type", "application/jose+json")
	return c.do(r)
}

// count runs a query of one number.
func (w *world) count(query string) (n int) {
	w.t.Helper()
	if err := w.dir.DB.QueryRow(query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestRequestsOfAnAddress: so many signed requests of one address within an hour,
// however many keys it has and whichever process it asks; they come back with time;
// another address has its own.
func TestRequestsOfAnAddress(t *testing.T) {
	const most = 6
	onBothWith(t, acme.Limits{RequestsPerHour: most}, func(t *testing.T, w *world) {
		other := w.open().Handler()
		from := "198.51.100.7:1"
		ask := func(c *client) int {
			c.nonce = ""
			body := c.sign("/acme/new-account", "{}", forms{})
			return c.sendFrom(from, "/acme/new-account", body).Code
		}
		for i := range most {
			c := w.client(t)
			if i%2 == 1 {
				c.handler = other
			}
			if got := ask(c); got != http.StatusCreated {
				t.Fatalf("request %d: %d", i, got)
			}
		}
		nonces := w.count(`SELECT COUNT(*) FROM directory_acme_nonces`)
		c := w.client(t)
		c.nonce = ""
		r := c.sendFrom(from, "/acme/new-account", c.sign("/acme/new-account", "{}", forms{}))
		if r.Code != http.StatusTooManyRequests || r.Header().Get("Retry-After") == "" || !strings.Contains(r.Body.String(), "rateLimited") || !strings.Contains(r.Body.String(), "6 requests") {
			t.Errorf("one more: %d %s", r.Code, r.Body)
		}
		if n := w.count(`SELECT COUNT(*) FROM directory_acme_nonces`); n != nonces {
			t.Errorf("the refused request took a row: %d after %d", n, nonces)
		}
		from = "198.51.100.8:1"
		if got := ask(w.client(t)); got != http.StatusCreated {
			t.Errorf("another address: %d", got)
		}
		from = "198.51.100.7:2"
		w.clock.add(time.Hour / most)
		if got := ask(w.client(t)); got != http.StatusCreated {
			t.Errorf("after a sixth of an hour: %d", got)
		}
		if got := ask(w.client(t)); got != http.StatusTooManyRequests {
			t.Errorf("and one more: %d", got)
		}
	})
}

// TestNoncesKept: the table of used nonces holds so many, whoever they were of.
func TestNoncesKept(t *testing.T) {
	onBothWith(t, acme.Limits{NoncesKept: 5}, func(t *testing.T, w *world) {
		w.clock.add(2 * time.Minute) // counted anew
		c := w.client(t)
		for range 8 {
			c.nonce = ""
			c.send("/acme/new-account", c.sign("/acme/new-account", "{}", forms{}))
		}
		if n := w.count(`SELECT COUNT(*) FROM directory_acme_nonces`); n > 5 || n < 4 {
			t.Errorf("%d nonces are kept", n)
		}
		c.nonce = ""
		r := c.send("/acme/new-account", c.sign("/acme/new-account", "{}", forms{}))
		if r.Code != http.StatusServiceUnavailable || r.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v %s", r.Code, r.Header(), r.Body)
		}
		w.clock.add(3 * time.Hour) // swept
		c.nonce = ""
		if r := c.send("/acme/new-account", c.sign("/acme/new-account", "{}", forms{})); r.Code >= 400 {
			t.Errorf("three hours later: %d %s", r.Code, r.Body)
		}
	})
}

// TestIdleAccounts: an account that has not got a certificate within a month goes,
// also one whose order came to nothing; one that has got one stays, however long ago.
func TestIdleAccounts(t *testing.T) {
	onBothWith(t, acme.Limits{}, func(t *testing.T, w *world) {
		idle, tried, good := w.registered(t), w.registered(t), w.registered(t)
		tried.order(apiHost)
		good.obtain(newKey(t), apiHost)
		status := func(c *client) int {
			c.nonce = ""
			return c.send(w.path(c.kid), c.sign(w.path(c.kid), "", forms{})).Code
		}
		w.clock.add(29 * 24 * time.Hour)
		for _, c := range []*client{idle, tried, good} {
			if got := status(c); got != 200 {
				t.Errorf("after 29 days: %d", got)
			}
		}
		w.clock.add(2 * 24 * time.Hour)
		status(good) // sweeps
		for i, c := range []*client{idle, tried} {
			if got := status(c); got != 400 {
				t.Errorf("account %d after 31 days: %d", i, got)
			}
		}
		w.clock.add(100 * 24 * time.Hour)
		status(good)
		if got := status(good); got != 200 {
			t.Errorf("the account that got a certificate: %d", got)
		}
		if n := w.count(`SELECT COUNT(*) FROM directory_acme_requests`); n > 2 {
			t.Errorf("%d allowances are kept", n)
		}
	})
}
