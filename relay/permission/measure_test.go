package permission_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

var (
	measureFor  = flag.Duration("measure", 0, "how long to measure each rate; 0: TestMeasures does nothing")
	permissions = flag.Int("permissions", 1_000_000, "how many permissions to fill PostgreSQL with for TestMeasures")
)

// TestMeasures prints what the issuer does in a second, beside a bare mutual-TLS
// handler on the same listener in the same run, and how that changes as the
// database fills (make bench-oauth).
func TestMeasures(t *testing.T) {
	if *measureFor == 0 {
		t.Skip("measures are printed by make bench-oauth")
	}
	fmt.Printf("%-12s %12s %12s %12s %12s %12s %12s %10s\n", "database", "permissions", "flows/s", "refreshes/s", "checks/s", "bare/s", "checks:bare", "tidy")
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t), func(c *permission.Config) {
			c.PushRate, c.TokenRate = permission.Rate{PerSecond: 1e6, Burst: 1e9}, permission.Rate{PerSecond: 1e6, Burst: 1e9}
			c.Address = func(*http.Request) netip.Addr { // so many businesses, not one
				var b [4]byte
				rand.Read(b[:])
				return netip.AddrFrom4(b)
			}
			c.Logger = record.Logger(t)
		})
		sizes := []int{0}
		if w.db.Dialect == database.PostgreSQL {
			for n := 10_000; n <= *permissions; n *= 10 {
				sizes = append(sizes, n)
			}
		}
		have := 0
		for _, n := range sizes {
			fill(t, w, have, n)
			have = n
			measure(t, w, n)
		}
	})
}

func measure(t *testing.T, w *world, n int) {
	const workers = 8
	clients := make([]*app, workers)
	tokens := make([]tokens, workers)
	for i := range workers {
		code := fmt.Sprintf("0000-0000-%04d", i)
		w.sites.set(code, permission.Site{Gateway: fmt.Sprintf("https://directory.example/g/bench%d", i), Name: "Shop", Outcode: "SW8",
			Meters: []ingest.Meter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}})
		clients[i] = w.app(bankURL, "Green Bank plc", perseus.Role("financial-service-provider"))
		tokens[i] = clients[i].flow(perseus.LicenseCombined(), code)
	}
	flows := rate(t, workers, func(i int) {
		tokens[i] = clients[i].flow(perseus.LicenseCombined(), fmt.Sprintf("0000-0000-%04d", i))
	})
	refreshes := rate(t, workers, func(i int) {
		if res := clients[i].refresh(tokens[i].refresh); res.Status != 200 {
			t.Error(res.Status, res.Body)
		}
	})
	checks := rate(t, workers, func(i int) { plainGet(t, clients[i], "/resource", tokens[i].access) })
	bare := rate(t, workers, func(i int) { plainGet(t, clients[i], "/bare", tokens[i].access) })
	begin := time.Now()
	must(t, w.svc.Sweep(context.Background()))
	fmt.Printf("%-12s %12d %12.0f %12.0f %12.0f %12.0f %12.2f %10v\n", w.db.Dialect, n, flows, refreshes, checks, bare, checks/bare, time.Since(begin).Round(time.Millisecond))
}

// plainGet asks without the tests' own checks of the answer.
func plainGet(t *testing.T, a *app, path, token string) {
	r, err := http.NewRequest("GET", a.w.server+path, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := a.http.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil || res.StatusCode != 200 {
		t.Error(res.StatusCode, err)
	}
}

// rate is how often f is done in a second by so many at once.
func rate(t *testing.T, workers int, f func(worker int)) float64 {
	t.Helper()
	var wg sync.WaitGroup
	var n atomic.Int64
	begin := time.Now()
	for i := range workers {
		wg.Go(func() {
			for time.Since(begin) < *measureFor && !t.Failed() {
				f(i)
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

// fill makes permissions from the number have up to n, each with one grant, a
// refresh token, an access token and a version of its gateway's grants.
func fill(t *testing.T, w *world, have, n int) {
	t.Helper()
	now := w.now().Unix()
	covers, err := json.Marshal([]map[string]string{{"meter": "main", "measure": "import"}})
	must(t, err)
	words := strings.Repeat("Words that a business agreed to. ", 30)
	for _, q := range []string{
		`INSERT INTO permissions (id, client, client_name, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires)
			SELECT 'p' || i, '` + bankURL + `', 'Green Bank plc', 'fsp', '` + perseus.LicenseCombined() + `', 'https://directory.example/g/fill' || i, 'a' || i, 'e' || i, $3::text, $4::bigint, $4::bigint, $4::bigint, $4::bigint + 31536000 FROM generate_series($1::bigint, $2::bigint) i`,
		`INSERT INTO permission_grants (id, permission, granted, expires, license, client_name, site_name, outcode, address, user_agent, words, covers)
			SELECT 'n' || i, 'p' || i, $4::bigint, $4::bigint + 31536000, 'l', 'Green Bank plc', 'Shop', 'SW8', '192.0.2.1', 'Browser', '` + words + `', $3::text FROM generate_series($1::bigint, $2::bigint) i`,
		`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires, sealed)
			SELECT sha256(('r' || i)::bytea), 'refresh', 'n' || i, 'p' || i, '` + bankURL + `', $4::bigint, $4::bigint + 31536000, decode(repeat('00', 71), 'hex') FROM generate_series($1::bigint, $2::bigint) i WHERE $3::text <> ''`,
		`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires)
			SELECT sha256(('a' || i)::bytea), 'access', 'n' || i, 'p' || i, '` + bankURL + `', $4::bigint, $4::bigint + 3600 FROM generate_series($1::bigint, $2::bigint) i WHERE $3::text <> ''`,
		`INSERT INTO grant_versions (gateway, version, changed) SELECT 'https://directory.example/g/fill' || i, 1, $4::bigint - 86400 FROM generate_series($1::bigint, $2::bigint) i WHERE $3::text <> ''`,
	} {
		if have == n {
			return
		}
		_, err := w.db.Exec(q, have+1, n, string(covers), now)
		must(t, err)
	}
	_, err = w.db.Exec("ANALYZE")
	must(t, err)
}
