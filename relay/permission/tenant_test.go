package permission_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// The business that moves in sees nothing of the permissions of the one before,
// can do nothing with them, and what it agrees to is its own: a record of its
// own, an account of its own, and no half-hour of the time before it came.
func TestNextTenantGetsNothingOfTheLast(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		w.sites.version = ingest.CodeVersion // as ingest names codes
		_, err := w.db.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, 'm', 'n', 'o', $2, 0, 0)`, gateway1, []byte(code1))
		must(t, err)
		recordOf := func(a *app, token string) (p struct{ Account, Evidence, DataAvailableFrom string }) {
			t.Helper()
			var answer struct{ Permission any }
			answer.Permission = &p
			must(t, json.Unmarshal([]byte(a.post("/oauth/permission", url.Values{"token": {token}}).Body), &answer))
			return p
		}
		list := func(code string) answer {
			return w.person().is(w.browser().post("/permissions", url.Values{"code": {code}}), 200)
		}
		next := func() string {
			t.Helper()
			_, err := permission.EndTenancy(t.Context(), w.db, w.now(), gateway1)
			must(t, err)
			code, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "new tenant", 90*day)
			must(t, err)
			w.advance(time.Minute)
			return code
		}

		w.cap.flow(perseus.LicenseConsumption(), code1)
		_, err = w.db.Exec(`UPDATE permissions SET expires = $1`, w.now().Add(time.Minute).Unix()) // it runs out, and nobody withdraws it
		must(t, err)
		w.advance(10 * time.Minute)
		was := recordOf(w.bank, w.bank.flow(perseus.LicenseCombined(), code1).refresh)
		old := w.idOf(bankURL, gateway1)
		if page := list(code1).Body; !strings.Contains(page, "Green Bank") || !strings.Contains(page, "/evidence/") {
			t.Fatalf("the last tenant sees: %s", text(page))
		}

		for range 2 { // the second time the gateway still has the code that was over before
			moved := w.now()
			code := next()
			if page := list(code).Body; strings.Contains(page, "Green Bank") || strings.Contains(page, "/evidence/") || !strings.Contains(page, "Nobody may use") {
				t.Errorf("the next tenant sees: %s", text(page))
			}
			w.person().is(w.browser().post("/permissions/withdraw", url.Values{"code": {code}, "permission": {old}}), 404, "no such permission")

			w.cap.flow(perseus.LicenseConsumption(), code) // the last one's ran out: this is no renewal of it
			is := recordOf(w.bank, w.bank.flow(perseus.LicenseCombined(), code).refresh)
			from, err := time.Parse(time.RFC3339, is.DataAvailableFrom)
			must(t, err)
			if from.Before(moved) || from.Sub(moved) > 30*time.Minute || from.Truncate(30*time.Minute) != from {
				t.Errorf("moved in at %s, data from %s", moved, from)
			}
			if is.Account == was.Account || is.Evidence == was.Evidence {
				t.Errorf("the last tenant's: %+v %+v", was, is)
			}
			page := list(code).Body
			if n := strings.Count(page, "/evidence/"); n != 2 {
				t.Errorf("%d permissions, want the two of this tenant: %s", n, text(page))
			}
			var grants int
			must(t, w.db.QueryRow(`SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM permission_grants GROUP BY permission) AS each`).Scan(&grants))
			if grants != 1 {
				t.Errorf("a permission with %d grants: one tenant's renews another's", grants)
			}
			was, old = is, w.idOf(bankURL, gateway1)
			w.advance(time.Hour)
		}
	})
}
