package directory

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// What secrets look like, wherever they come from: a token, a private key in
// PEM or its DER in base64 (P-256 and P-384, PKCS #8 and SEC 1).
var secretForms = regexp.MustCompile(`pdt_[A-Za-z0-9_-]{16,}|PRIVATE KEY|MIGHAgEA|MIG2AgEA|MHcCAQEE|MIGkAgEB`)

var betweenWords = regexp.MustCompile(`[\s"'=,;()\[\]{}<>?&]+`)

// noSecrets looks through what was logged, and through the audit log, for each
// secret that the directory has made and knows the hash of, and for whatever
// looks like a secret.
func (w *world) noSecrets(t testing.TB) {
	hashes := map[string]bool{}
	ctx := context.Background()
	for _, table := range []string{"directory_tokens", "directory_codes", "directory_links", "directory_recovery_codes", "directory_sessions"} {
		found, err := texts(ctx, w.DB, `SELECT hash FROM `+table)
		if err != nil { // the test has closed the database
			break
		}
		for _, h := range found {
			hashes[h] = true
		}
	}
	logged := w.logs.String()
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
		if hashes[hash(word)] {
			t.Errorf("a secret is in a log: %.4s..", word)
		}
		if code, err := identity.ParseEnrolCode(word); err == nil {
			if h, err := codeHash(code); err != nil || hashes[h] {
				t.Errorf("an enrolment code is in a log: %.4s.. %v", word, err)
			}
		}
	}
}

// TestNoSecretsFinds: the look through the logs finds what was put there.
func TestNoSecretsFinds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		key, _ := newKeyCSR(t)
		for _, leak := range []func(){
			func() { w.Logger.Info("x", "token", w.owner) },
			func() { w.Logger.Info("made " + code + " for it") },
			func() { w.Logger.Info("x", "code", strings.ToLower(strings.ReplaceAll(code, "-", ""))) },
			func() { w.Logger.Info("x", "key", keyPEM(t, key)) },
		} {
			before := w.logs.String()
			leak()
			found := &recorder{TB: t}
			w.noSecrets(found)
			if !found.failed {
				t.Errorf("not found in %s", strings.TrimPrefix(w.logs.String(), before))
			}
			w.logs.mu.Lock()
			w.logs.b.Reset()
			w.logs.mu.Unlock()
		}
	})
}

// recorder is a test that only remembers that it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
