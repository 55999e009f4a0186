package dirtest

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// What secrets look like, wherever they come from: a token, a private key in
// PEM or its DER in base64 (P-256 and P-384, PKCS #8 and SEC 1).
var secretForms = regexp.MustCompile(`pdt_[A-Za-z0-9_-]{16,}|PRIVATE KEY|MIGHAgEA|MIG2AgEA|MHcCAQEE|MIGkAgEB`)

var betweenWords = regexp.MustCompile(`[\s"'=,;()\[\]{}<>?&]+`)

// NoSecrets looks through what was logged, and through the audit log, for each
// secret that the directory has made and knows the hash of, and for whatever
// looks like a secret.
func (w *World) NoSecrets(t testing.TB) {
	hashes := map[string]bool{}
	ctx := context.Background()
	for _, table := range []string{"directory_tokens", "directory_codes", "directory_links", "directory_recovery_codes", "directory_sessions"} {
		found, err := hashesIn(ctx, w.DB, table)
		if err != nil { // the test has closed the database
			break
		}
		for _, h := range found {
			hashes[h] = true
		}
	}
	logged := w.Logs.String()
	for after := int64(0); ; {
		es, err := audit.List(ctx, w.DB, audit.Filter{After: after, Limit: 1000})
		if err != nil || len(es) == 0 {
			break
		}
		for _, e := range es {
			logged += strings.Join([]string{"", e.Actor, e.Action, e.Subject, e.Detail}, "\n")
			after = e.Seq
		}
	}
	if found := secretForms.FindString(logged); found != "" {
		t.Errorf("what looks like a secret is in a log: %.16s..", found)
	}
	for _, word := range betweenWords.Split(logged, -1) {
		if hashes[directory.TokenHash(word)] {
			t.Errorf("a secret is in a log: %.4s..", word)
		}
		if code, err := identity.ParseEnrolCode(word); err == nil {
			if h, err := directory.CodeHash(code); err != nil || hashes[h] {
				t.Errorf("an enrolment code is in a log: %.4s.. %v", word, err)
			}
		}
	}
}

func hashesIn(ctx context.Context, db *sql.DB, table string) (out []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT hash FROM `+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var h string
		if err := rows.Scan(&h); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}
