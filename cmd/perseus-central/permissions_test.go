package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

// The operator's view of permissions and messages, on a database that a relay
// has written: a withdrawn permission whose client could not be told.
func TestPermissionsAndMessages(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	db, err := database.Open("sqlite:" + filepath.Join(filepath.Dir(path), "central.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for _, q := range []string{
		`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ('https://d.example/g/1', 'm', 'Unit 4', 'SW8', X'00', 0, 0)`,
		fmt.Sprintf(`INSERT INTO permissions (id, client, client_name, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires, revoked, revoked_by)
			VALUES ('p1', 'https://d.example/a/bank', 'Bank`+"\x1b[31m"+` plc', 'fsp', 'https://r.example/l', 'https://d.example/g/1', 'acc', 'ev', '[{"meter":"main","measure":"import"}]', 0, %[1]d, %[1]d, %[2]d, %[1]d, 'user'),
			       ('p2', 'https://d.example/a/cap', 'Count Ltd', 'cap', 'https://r.example/l', 'https://d.example/g/1', 'acc', 'ev2', '[]', 0, %[1]d, %[1]d, %[2]d, 0, '')`, now, now+1000000),
		fmt.Sprintf(`INSERT INTO permission_grants (id, permission, granted, expires, license, client_name, site_name, outcode, address, user_agent, words, covers)
			VALUES ('g1', 'p1', %d, %d, 'l', 'Bank plc', 'Unit 4', 'SW8', '192.0.2.1', 'Browser', 'words', '[]')`, now, now+1000000),
		fmt.Sprintf(`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires, revoked, sealed) VALUES (X'01', 'refresh', 'g1', 'p1', 'https://d.example/a/bank', %[1]d, %[2]d, %[1]d, X'02')`, now, now+1000000),
		fmt.Sprintf(`INSERT INTO messages (id, permission, token, client, created, due, attempts, dead, problem) VALUES ('m1', 'p1', X'01', 'https://d.example/a/bank', %[1]d, %[1]d, 20, %[1]d, 'no route to host')`, now),
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%v: %s", err, q)
		}
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("upstream\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want []string
		not  string
	}{
		{"permissions list", 0, []string{"p1", "withdrawn", "Unit 4", "Bank?[31m plc", "agreed, not in use"}, "\x1b"},
		{"permissions list --state withdrawn --format json", 0, []string{`"revokedBy": "user"`, `"site": "Unit 4"`}, "p2"},
		{"permissions list --state live --format json", 0, []string{`"data": []`}, "p1"},
		{"permissions list --state x", 2, []string{"--state is live"}, ""},
		{"permissions show --id p1", 0, []string{`"meter": "main"`, `"address": "192.0.2.1"`, `"words": "words"`, `"problem": "no route to host"`}, ""},
		{"permissions show --id nothing", 1, []string{"permissions list shows them"}, ""},
		{"permissions rely --id p2 --issuer https://d.example/a/dcc --token-file " + token, 0, []string{"https://d.example/a/dcc"}, "upstream"},
		{"permissions rely --id p1 --issuer https://d.example/a/dcc --token-file " + token, 1, []string{"withdrawn"}, ""},
		{"permissions rely --id p2 --issuer https://d.example/a/dcc --token-file /nowhere", 2, []string{"--token-file"}, ""},
		{"permissions withdraw --id p2", 0, []string{`"p2"`}, ""},
		{"permissions withdraw --id p2", 1, []string{"ended already"}, ""},
		{"permissions code", 2, []string{"give --gateway"}, ""},
		{"permissions code --gateway https://d.example/g/9", 1, []string{"has registered with this relay"}, ""},
		{"permissions code --gateway https://d.example/g/1 --days 500", 1, []string{"1 to 400 days"}, ""},
		{"permissions code --gateway https://d.example/g/1 --note letter", 0, []string{`"code": "`}, ""},
		{"permissions new-tenant", 2, []string{"give --gateway"}, ""},
		{"permissions new-tenant --gateway https://d.example/g/9", 1, []string{"has registered with this relay"}, ""},
		{"permissions code --gateway https://d.example/g/1 --forget", 0, []string{`"forgotten": 1`}, ""},
		{"permissions new-tenant --gateway https://d.example/g/1", 0, []string{`"ended": {`, `"permissions": 0`, `"code": "`}, ""},
		{"messages list", 0, []string{"m1", "dead", "no route to host", "0 waiting, 1 dead"}, ""},
		{"messages list --state dead --format json", 0, []string{`"attempts": 20`}, ""},
		{"messages list --state x", 1, []string{"waiting, sent or dead"}, ""},
		{"messages retry", 2, []string{"--id ID or --all"}, ""},
		{"messages retry --id m2", 1, []string{"nothing to send again"}, ""},
		{"messages retry --all", 0, []string{`"queued": 1`}, ""},
		{"messages list --state dead --format json", 0, []string{`"data": []`}, ""},
		{"messages", 2, []string{"messages list, messages retry"}, ""},
	} {
		code, out, errs := call(t, append(strings.Fields(c.args), "--config", path)...)
		if code != c.code {
			t.Errorf("%s: %d, %s%s", c.args, code, out, errs)
		}
		for _, w := range c.want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%s does not say %q: %s%s", c.args, w, out, errs)
			}
		}
		if c.not != "" && strings.Contains(out+errs, c.not) {
			t.Errorf("%s says %q: %s%s", c.args, c.not, out, errs)
		}
	}
	var issuer string
	if err := db.QueryRow(`SELECT issuer FROM permission_held WHERE permission = 'p2'`).Scan(&issuer); err != nil || issuer != "https://d.example/a/dcc" {
		t.Errorf("%q, %v", issuer, err)
	}
}

// The figures that an operator watches, in a form that Prometheus takes.
func TestMetrics(t *testing.T) {
	db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "central.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scrape := func() (int, string) {
		rec := httptest.NewRecorder()
		metricsHandler(db, record.Logger(t)).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		return rec.Code, rec.Body.String()
	}
	if code, body := scrape(); code != 500 || strings.Contains(body, "SQL") {
		t.Errorf("without tables: %d, %s", code, body)
	}
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-time.Hour).Unix()
	for _, q := range []string{
		`INSERT INTO permissions (id, client, client_name, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires, revoked)
			VALUES ('p1', 'c', 'n', 'fsp', 'l', 'g', 'a', 'e', '[]', 0, 0, 0, 0, %d)`,
		`INSERT INTO messages (id, permission, token, client, created, due) VALUES ('m1', 'p1', X'01', 'c', %d, 0)`,
		`INSERT INTO messages (id, permission, token, client, created, due, dead) VALUES ('m2', 'p1', X'02', 'c', %[1]d, 0, %[1]d)`,
	} {
		if _, err := db.Exec(fmt.Sprintf(q, ago)); err != nil {
			t.Fatal(err)
		}
	}
	code, body := scrape()
	for _, want := range []string{`perseus_relay_withdrawal_messages{state="waiting"} 1`, `perseus_relay_withdrawal_messages{state="dead"} 1`,
		"perseus_relay_withdrawal_message_oldest_seconds 36", "perseus_relay_withdrawals_undeleted 1", "perseus_relay_withdrawal_undeleted_oldest_seconds 36"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, no %q in\n%s", code, want, body)
		}
	}
	if ps, err := promlint.New(strings.NewReader(body)).Lint(); err != nil || len(ps) != 0 {
		t.Errorf("%+v, %v", ps, err)
	}
}

// init gives the relay what it needs to deliver messages and to be found for
// them; without it, messages wait.
func TestMessagesNeedAnIdentity(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	db, dir, err := openDirectory(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a, err := dir.Application(t.Context(), relayApplication)
	if err != nil || a.MessageDelivery != c.Relay.Server+"/messages" {
		t.Errorf("the relay is to be found for messages at %q, %v", a.MessageDelivery, err)
	}
	find, err := lookup(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := find(t.Context(), c.Directory.URL+"/a/"+relayApplication); err != nil || got != a.MessageDelivery {
		t.Errorf("looked up: %q, %v", got, err)
	}
	if _, err := find(t.Context(), "https://elsewhere.example/a/"+relayApplication); err == nil {
		t.Error("an application of another directory was found")
	}
	logger := record.Logger(t)
	d, err := messageDelivery(c, dir, logger)
	if err != nil || d == nil {
		t.Errorf("after init: %v, %v", d, err)
	}
	cs, err := identity.ReadCertificates(filepath.Join(c.path(c.Relay.Identity), clientCert))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := identity.PeerOf(cs[0]); err != nil || p.Application != c.Directory.URL+"/a/relay" || len(p.Roles) != 2 {
		t.Errorf("the relay's client certificate: %+v, %v", p, err)
	}
	if err := os.Remove(filepath.Join(c.path(c.Relay.Identity), clientCert)); err != nil {
		t.Fatal(err)
	}
	if d, err := messageDelivery(c, dir, logger); err != nil || d != nil {
		t.Errorf("without a certificate: %v, %v", d, err)
	}
	for registry, want := range map[string]bool{"https://registry.core.sandbox.trust.ib1.org": true, "https://registry.core.trust.ib1.org": false, "https://sandboxes.example": false} {
		c.Registry = registry
		if c.sandbox() != want {
			t.Errorf("%s is a sandbox: %v", registry, !want)
		}
	}
}
