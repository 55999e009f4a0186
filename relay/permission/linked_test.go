package permission_test

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// A bank's permission for emissions relies on that of the relay's own member,
// which works them out: it falls with it, at one stroke, and its bank is told.
func TestLinkedPermissions(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var box mailbox
		w := newWorld(t, open(t), mailed(&box))
		own := w.appOf(relayMember, "https://directory.example/a/own", "Perseus Carbon", perseus.Role(scheme.CAP)) // its name does not matter
		before := w.stranger.flow(perseus.LicenseEmissions(), code1)                                               // stood before there was anything to rely on
		base := own.flow(perseus.LicenseConsumption(), code1)
		linked := w.bank.flow(perseus.LicenseEmissions(), code1)
		elsewhere := w.bank.flow(perseus.LicenseEmissions(), code2)
		theirs := w.cap.flow(perseus.LicenseConsumption(), code1) // another accountant's leg
		// Upwards nothing falls.
		w.end(bankURL, code1)
		if own.use(base.access).Status != 200 {
			t.Error("what was relied on fell with what relied on it")
		}
		linked = w.bank.flow(perseus.LicenseEmissions(), code1)
		linked = w.bank.flow(perseus.LicenseEmissions(), code1) // a renewal keeps its link
		page := w.browser().post("/permissions", url.Values{"code": {code1}})
		if !strings.Contains(text(page.Body), "that of Green Bank plc ends too") {
			t.Errorf("the card does not say what falls with it: %s", text(page.Body))
		}
		box.got = nil
		must(t, w.svc.Deliver(t.Context()))
		box.got, w.purged = nil, nil
		w.end("https://directory.example/a/own", code1)
		refused(t, own.use(base.access), 401, "invalid_token")
		refused(t, w.bank.use(linked.access), 401, "invalid_token")
		for name, res := range map[string]answer{"older than it": w.stranger.use(before.access), "another site's": w.bank.use(elsewhere.access), "another accountant's": w.cap.use(theirs.access)} {
			if res.Status != 200 {
				t.Errorf("%s fell too: %d", name, res.Status)
			}
		}
		if !slices.Equal(w.purged, []string{gateway1}) {
			t.Errorf("deletions: %v", w.purged)
		}
		must(t, w.svc.Deliver(t.Context()))
		told := map[string]int{}
		for _, m := range box.got {
			c, _, _ := strings.Cut(m, " ")
			told[c]++
		}
		if told["https://directory.example/a/own"] != 1 || told[bankURL] != 2 || len(told) != 2 {
			t.Errorf("told: %v", told)
		}
		var with, by string
		must(t, w.db.QueryRow(`SELECT revoked_by, revoked_with FROM permissions WHERE client = $1 AND gateway = $2 ORDER BY granted DESC, revoked_by LIMIT 1`, bankURL, gateway1).Scan(&by, &with))
		if by != "linked" || with == "" {
			t.Errorf("recorded: by %q, with %q", by, with)
		}
		// A revocation by the client, and by a message, cascades as well.
		base = own.flow(perseus.LicenseConsumption(), code1)
		linked = w.bank.flow(perseus.LicenseEmissions(), code1)
		own.post("/oauth/revoke", url.Values{"token": {base.refresh}})
		refused(t, w.bank.use(linked.access), 401, "invalid_token")
	})
}

// Granting what relies on a permission while that is withdrawn leaves nothing
// that stands without it.
func TestLinkRaces(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		own := w.appOf(relayMember, "https://directory.example/a/own", "Perseus Carbon", perseus.Role(scheme.CAP))
		for range 8 {
			base := own.flow(perseus.LicenseConsumption(), code1)
			w.bank.flow(perseus.LicenseEmissions(), code1)
			uri, _ := w.bank.push(perseus.LicenseEmissions())
			var wg sync.WaitGroup
			wg.Go(func() { w.browser().agree(bankURL, uri, code1) })
			wg.Go(func() { own.post("/oauth/revoke", url.Values{"token": {base.refresh}}) })
			wg.Wait()
			var n int
			must(t, w.db.QueryRow(`SELECT count(*) FROM permission_links l JOIN permissions p ON p.id = l.permission JOIN permissions q ON q.id = l.relies_on
				WHERE p.revoked = 0 AND q.revoked <> 0`).Scan(&n))
			if n != 0 {
				t.Fatalf("%d permissions stand without what they rely on", n)
			}
			_, err := w.db.Exec(`UPDATE permissions SET revoked = 1 WHERE revoked = 0`)
			must(t, err)
		}
	})
}

// Another member that calls itself as the relay's own cannot make a bank's
// permission fall: what relies on what goes by the member's URL.
func TestNamesakeIsNotReliedOn(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		const url2 = "https://directory.example/a/namesake"
		namesake := w.app(url2, "Perseus Relay Ltd", perseus.Role(scheme.CAP))
		base := namesake.flow(perseus.LicenseConsumption(), code1)
		bank := w.bank.flow(perseus.LicenseEmissions(), code1)
		if page := w.browser().post("/permissions", url.Values{"code": {code1}}); !strings.Contains(text(page.Body), "Green Bank plc") || strings.Contains(text(page.Body), "ends too") {
			t.Errorf("a card says that the bank's permission falls: %s", text(page.Body))
		}
		namesake.post("/oauth/revoke", url.Values{"token": {base.refresh}})
		refused(t, namesake.use(base.access), 401, "invalid_token")
		if res := w.bank.use(bank.access); res.Status != 200 {
			t.Errorf("a namesake's permission took the bank's along: %d", res.Status)
		}
	})
}

// Permissions of before the member was known: their clients' certificates tell,
// at the latest when a client ends one. What was linked by a name and is
// another member's is unlinked, what ought to rely on our own member's does.
func TestLinksOfBeforeMembersWereKnown(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		const ownURL, otherURL = "https://directory.example/a/own", "https://directory.example/a/namesake"
		for name, end := range map[string]func(w *world, own, namesake tokens, a, b *app){
			"after a refresh": func(w *world, own, namesake tokens, a, b *app) {
				a.refresh(own.refresh)
				b.refresh(namesake.refresh)
				w.end(otherURL, code1)
			},
			"at once": func(w *world, own, namesake tokens, a, b *app) {
				b.post("/oauth/revoke", url.Values{"token": {namesake.refresh}})
			},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, open(t))
				a := w.appOf(relayMember, ownURL, "Perseus Relay Ltd", perseus.Role(scheme.CAP))
				b := w.app(otherURL, "Perseus Relay Ltd", perseus.Role(scheme.CAP))
				own, namesake := a.flow(perseus.LicenseConsumption(), code1), b.flow(perseus.LicenseConsumption(), code1)
				bank := w.bank.flow(perseus.LicenseEmissions(), code1)
				for _, q := range []string{`UPDATE permissions SET member = ''`, `DELETE FROM permission_links`} {
					_, err := w.db.Exec(q)
					must(t, err)
				}
				_, err := w.db.Exec(`INSERT INTO permission_links (permission, relies_on, made) VALUES ($1, $2, 1)`, w.idOf(bankURL, gateway1), w.idOf(otherURL, gateway1))
				must(t, err)
				end(w, own, namesake, a, b)
				refused(t, b.use(namesake.access), 401, "invalid_token")
				if res := w.bank.use(bank.access); res.Status != 200 {
					t.Errorf("a namesake's permission took the bank's along: %d", res.Status)
				}
				a.post("/oauth/revoke", url.Values{"token": {own.refresh}})
				refused(t, w.bank.use(bank.access), 401, "invalid_token")
			})
		}
	})
}
