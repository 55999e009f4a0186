package account

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// cheap makes passwords cheap to check: what they cost is not what these tests
// are about.
var cheap = signin.Cost{Memory: 64, Time: 1, Threads: 1}

type world struct {
	*Service
	t     *testing.T
	clock *dirtest.Clock
	logs  *dirtest.Logs
}

var home = netip.MustParseAddr("192.0.2.1")

const goodPassword = "correct horse battery"

// onBoth runs a test on SQLite, and on PostgreSQL where there is one, with two
// members: perse and bank.
func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	databasetest.Each(t, "directory", os.DirFS("../migrations"), func(t *testing.T, db *database.DB) {
		w := &world{t: t, clock: dirtest.NewClock(dirtest.Start), logs: &dirtest.Logs{}}
		for _, id := range []string{"perse", "bank"} {
			_, err := db.Exec(`INSERT INTO directory_members (id, legal_name, brand_name, created_at) VALUES ($1, $1, $1, 0)`, id)
			w.must(err)
		}
		record.Secret(t, "password of a person", goodPassword)
		w.Service = w.open(db)
		f(t, w)
	})
}

// open is one more process on the same database.
func (w *world) open(db *database.DB) *Service {
	s, err := New(Config{DB: db.DB, Key: bytes.Repeat([]byte{7}, KeySize), URL: "https://directory.example.org", Name: "Example",
		Now: w.clock.Now, Logger: slog.New(record.Handler(w.t, slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))), Cost: cheap})
	w.must(err)
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// is fails unless an error is the one that is wanted.
func (w *world) is(what string, err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (w *world) tooMany(what string, err error) time.Duration {
	w.t.Helper()
	var tm *TooMany
	if !errors.As(err, &tm) {
		w.t.Fatalf("%s: %v, want too many attempts", what, err)
	}
	return tm.Wait
}

// person is an account as a test signs it up.
type person struct {
	Account
	secret string // of the app
	codes  []string
}

func (w *world) code(secret string) string {
	w.t.Helper()
	c, err := totp.GenerateCode(secret, w.clock.Now())
	w.must(err)
	return c
}

func (w *world) invite(l Link) string {
	w.t.Helper()
	secret, err := w.Invite(w.ctx(), l)
	w.must(err)
	return secret
}

func (w *world) ctx() context.Context { return audit.WithActor(w.t.Context(), "test:test") }

// signUp goes all the way from an invitation to an account, and then lets a
// minute pass so that the next code is good.
func (w *world) signUp(email, member string, administrator bool) person {
	w.t.Helper()
	secret := w.invite(Link{Email: email, Member: member, Administrator: administrator})
	p := w.finish(secret, "Olive Owner")
	w.clock.Add(time.Minute)
	return p
}

func (w *world) finish(secret, name string) person {
	w.t.Helper()
	sealed, err := w.Begin(w.ctx(), secret, name, goodPassword)
	w.must(err)
	d, err := w.Draft(sealed)
	w.must(err)
	a, codes, err := w.Finish(w.ctx(), d, "", Proof{Code: w.code(d.App)})
	w.must(err)
	if len(codes) != RecoveryCodes || !a.HasApp() {
		w.t.Fatalf("account %+v with %d codes", a, len(codes))
	}
	return person{a, d.App, codes}
}

func (w *world) entries(action string) []audit.Entry {
	w.t.Helper()
	es, err := audit.List(w.ctx(), w.DB, audit.Filter{Action: action})
	w.must(err)
	return es
}

// silent fails when a secret is in the log or in the audit log.
func (w *world) silent(secrets ...string) {
	w.t.Helper()
	var all strings.Builder
	all.WriteString(w.logs.String())
	for _, e := range w.entries("") {
		all.WriteString(e.Actor + e.Subject + e.Detail)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(all.String(), s) {
			w.t.Errorf("a secret is in a log: %s", s)
		}
	}
}
