package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

// A restore ends what a relay gave out for a short time, since it may have been
// used up or ended after the backup; a move does not. Refresh tokens stay.
func TestRestoreEndsShortTokens(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	dir := filepath.Dir(path)
	db, err := database.Open("sqlite:" + filepath.Join(dir, "central.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for _, q := range []string{
		`INSERT INTO permissions (id, client, client_name, parts, license, gateway, account, evidence, covers, available_from, granted, last_granted, expires)
			VALUES ('p1', 'c', 'Bank plc', 'fsp', 'l', 'g', 'a', 'e', '[]', 0, %[1]d, %[1]d, %[2]d)`,
		`INSERT INTO permission_grants (id, permission, granted, expires, license, client_name, site_name, outcode, address, user_agent, words, covers)
			VALUES ('g1', 'p1', %[1]d, %[2]d, 'l', 'Bank plc', 'Unit 4', 'SW8', '', '', 'words', '[]')`,
		`INSERT INTO oauth_tokens (hash, kind, grant_id, permission, client, issued, expires) VALUES (X'01', 'refresh', 'g1', 'p1', 'c', %[1]d, %[2]d), (X'02', 'access', 'g1', 'p1', 'c', %[1]d, %[2]d)`,
		`INSERT INTO oauth_codes (hash, grant_id, permission, client, redirect_uri, challenge, expires) VALUES (X'03', 'g1', 'p1', 'c', 'r', 'h', %[2]d)`,
		`INSERT INTO accounts (id, number, password, app, app_step, made, seen) VALUES ('a1', '123412341234', '', X'', 0, %[1]d, %[1]d)`,
		`INSERT INTO account_sessions (hash, account, begun, seen, expires) VALUES (X'05', 'a1', %[1]d, %[1]d, %[2]d)`,
		`INSERT INTO oauth_requests (hash, client, client_name, parts, license, redirect_uri, state, challenge, expires) VALUES (X'04', 'c', 'Bank plc', 'fsp', 'l', 'r', '', 'h', %[2]d)`,
	} {
		if strings.Contains(q, "%[1]d") {
			q = fmt.Sprintf(q, now, now+3600)
		} else {
			q = strings.ReplaceAll(q, "%[2]d", fmt.Sprint(now+3600))
		}
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%v: %s", err, q)
		}
	}
	file := filepath.Join(dir, "relay.backup")
	ok(t, "backup", "--config", path, "--out", file)
	for name, target := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		for _, moved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moved %v", name, moved), func(t *testing.T) {
				dsn := target(t)
				there := filepath.Join(t.TempDir(), "there.yaml")
				if err := os.WriteFile(there, []byte(strings.Replace(text, "sqlite:central.db", dsn, 1)), 0o600); err != nil {
					t.Fatal(err)
				}
				args := []string{"restore", "--config", there, "--in", file}
				want := [5]int{1, 0, 0, 0, 0}
				if moved {
					args, want = append(args, "--move"), [5]int{1, 1, 1, 1, 1}
				}
				ok(t, args...)
				db, err := database.Open(dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				var got [5]int
				if err := db.QueryRow(`SELECT (SELECT COUNT(*) FROM oauth_tokens WHERE kind = 'refresh'), (SELECT COUNT(*) FROM oauth_tokens WHERE kind = 'access'),
					(SELECT COUNT(*) FROM oauth_codes), (SELECT COUNT(*) FROM oauth_requests), (SELECT COUNT(*) FROM account_sessions)`).Scan(&got[0], &got[1], &got[2], &got[3], &got[4]); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("refresh tokens, access tokens, codes, requests, sessions: %v, want %v", got, want)
				}
			})
		}
	}
}
