package permission_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// A code from the bill stands for the site like the one that the gateway shows,
// as long as it works; the evidence says which it was.
func TestPrintedCodes(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		if _, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "bill", 90*day); err == nil || !strings.Contains(err.Error(), gateway1) {
			t.Errorf("for a gateway that never registered: %v", err)
		}
		_, err := w.db.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, 'm', 'n', 'o', $2, 0, 0)`, gateway1, []byte("x"))
		must(t, err)
		code, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "bill of \x1b[31mNovember", 90*day)
		must(t, err)
		for _, life := range []time.Duration{0, time.Hour, 500 * day} {
			if _, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "", life); err == nil {
				t.Errorf("a code for %v", life)
			}
		}
		tok := w.bank.flow(perseus.LicenseCombined(), strings.ToLower(strings.ReplaceAll(code, "-", " ")))
		b := w.browser()
		list := func(code string) int { return b.post("/permissions", url.Values{"code": {code}}).Status }
		if list(code) != 200 || list(code1) != 200 {
			t.Error("one of the two codes does not show the permissions")
		}
		w.bank.flow(perseus.LicenseCombined(), code1) // renewed by the gateway's code
		evidence := w.bank.post("/oauth/permission", url.Values{"token": {tok.refresh}}).json()["permission"].(map[string]any)["evidence"].(string)
		page := text(b.get(evidence).Body)
		for _, want := range []string{"a code that had been printed for Riverside Unit 4 on a bill or letter", "the code that the energy gateway of Riverside Unit 4 shows"} {
			if strings.Count(page, want) != 1 {
				t.Errorf("the evidence does not say %q once: %s", want, page)
			}
		}
		var stored int
		must(t, w.db.QueryRow(`SELECT count(*) FROM permission_codes WHERE note LIKE '%November' AND note NOT LIKE $1`, "%\x1b%").Scan(&stored))
		if stored != 1 {
			t.Error("the note is not kept as it should be")
		}
		w.advance(90 * day)
		if got := list(code); got != 422 {
			t.Errorf("a code that ran out: %d", got)
		}
		must(t, w.svc.Sweep(t.Context()))
		again, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "", 90*day)
		must(t, err)
		if n, err := permission.ForgetCodes(t.Context(), w.db, gateway1); err != nil || n != 1 {
			t.Errorf("forgotten: %d, %v", n, err)
		}
		if got := list(again); got != 422 {
			t.Errorf("a code that was forgotten: %d", got)
		}
	})
}

// A renewal reaches as far back as what it renews, and the page says so.
func TestRenewalShowsItsReach(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	w.bank.flow(perseus.LicenseCombined(), code1)
	w.advance(300 * day)
	uri, _ := w.bank.push(perseus.LicenseCombined())
	page := text(w.browser().post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code1}}).Body)
	if !strings.Contains(page, "with the records back to 1 October 2025") {
		t.Errorf("the reach of the renewal: %s", page)
	}
	w.bank.flow(perseus.LicenseCombined(), code1)
	all, err := w.svc.Permissions(t.Context())
	if err != nil || len(all) != 1 || !all[0].From.Equal(time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", all, err)
	}
}
