package directory

import (
	"context"
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// TestListingFollows: whatever changes, in this process or in another on the
// same database, the listing that is brought up to date step by step is the one
// that is read anew, and holds what the database's own finders give.
func TestListingFollows(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		other := *w
		other.Service = must(New(w.Config))(t) // another process on the same database
		edp, cap, fsp := w.scheme.Role(scheme.EDP), w.scheme.Role(scheme.CAP), w.scheme.Role(scheme.FSP)
		var members, apps []string
		rapid.Check(t, func(rt *rapid.T) {
			by := rapid.SampledFrom([]*Service{w.Service, other.Service}).Draw(rt, "process")
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				switch k := rapid.IntRange(0, 3).Draw(rt, "change"); {
				case k == 0 || len(members) == 0:
					m := must(by.AddMember(ctx, Member{LegalName: "Member " + newID(), Roles: rapid.SampledFrom([][]string{nil, {edp}, {cap, edp}, {fsp}}).Draw(rt, "roles")}))(t)
					members = append(members, m.ID)
				case k == 1 || len(apps) == 0:
					a := must(by.AddApplication(ctx, Application{Member: rapid.SampledFrom(members).Draw(rt, "member"), Name: "App", MessageDelivery: "https://" + newID() + ".example/"}))(t)
					apps = append(apps, a.ID)
				case k == 2:
					must(by.AddDataService(ctx, DataService{Application: rapid.SampledFrom(apps).Draw(rt, "app"), Title: "API", ConformsTo: w.scheme.StandardConsumption(), Endpoint: "https://API.example.org:8443/v1"}))(t)
				default: // as an administrator's command will
					id := rapid.SampledFrom(members).Draw(rt, "member")
					if err := by.inTx(ctx, func(tx *sql.Tx) error {
						if _, err := tx.ExecContext(ctx, `DELETE FROM directory_member_roles WHERE member = $1 AND role = $2`, id, edp); err != nil {
							return err
						}
						return by.listingChanged(ctx, tx, id)
					}); err != nil {
						rt.Fatal(err)
					}
				}
			}
			own := must(by.listing(ctx))(t)
			w.clock.add(askEvery)
			for _, s := range []*Service{w.Service, other.Service} {
				got := must(s.listing(ctx))(t)
				want := must(by.refreshed(ctx, nil))(t)
				if s == by && got.number != own.number {
					rt.Fatalf("a process saw its own changes only after a second: revision %d, then %d", own.number, got.number)
				}
				if !reflect.DeepEqual(got.members, want.members) || !reflect.DeepEqual(got.ids, want.ids) || !reflect.DeepEqual(got.byApp, want.byApp) || !reflect.DeepEqual(got.byOffer, want.byOffer) ||
					!reflect.DeepEqual(got.withRole(edp), want.withRole(edp)) || !reflect.DeepEqual(got.hosts(), want.hosts()) || got.revision != want.revision {
					rt.Fatal("the listing brought up to date is not the one read anew")
				}
			}
		})
		l := must(w.listing(ctx))(t)
		for id, e := range l.members {
			if m := must(w.Member(ctx, id))(t); !reflect.DeepEqual(m, e.Member) {
				t.Errorf("the listing has %+v, the database %+v", e.Member, m)
			}
		}
		for id, e := range l.byApp {
			if a := must(w.Application(ctx, id))(t); !reflect.DeepEqual(a, e.Application) {
				t.Errorf("the listing has %+v, the database %+v", e.Application, a)
			}
		}
		if offers := l.conforming(w.scheme.StandardConsumption()); len(l.byApp) < 3 || len(offers) == 0 || !slices.Contains(l.hosts()["api.example.org"], offers[0].Application) {
			t.Errorf("the test has tried too little: %d applications, hosts %v", len(l.byApp), l.hosts())
		}
	})
}

// TestListingIsShared: readers do not ask the database, but for the revision
// once a second.
func TestListingIsShared(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	a := must(w.listing(t.Context()))(t)
	w.clock.add(time.Hour)
	if b := must(w.listing(t.Context()))(t); a != b {
		t.Error("nothing changed, and the listing was made anew")
	}
	m := must(w.AddMember(t.Context(), Member{LegalName: "New Ltd"}))(t)
	b := must(w.listing(t.Context()))(t)
	if a == b || a.members[m.ID] != nil || b.members[m.ID] == nil {
		t.Error("the old listing changed, or the new one has not")
	}
	if a.members[w.bank.ID] != b.members[w.bank.ID] {
		t.Error("a member that stayed the same was read again")
	}
}

// TestDatabaseAway: the listing stays up for a while, and says so in the log.
func TestDatabaseAway(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	path := "/m/" + w.provider.ID
	answer(t, w.call("GET", path, nil), 200)
	w.DB.Close()
	for range 3 {
		w.clock.add(time.Minute)
		answer(t, w.call("GET", path, nil), 200)
	}
	if n := strings.Count(w.logs.String(), "the last state is served"); n != 3 {
		t.Errorf("said %d times", n)
	}
	answer(t, w.call("GET", path, nil), 200)
	if n := strings.Count(w.logs.String(), "the last state is served"); n != 3 {
		t.Errorf("within a second it was asked for again: said %d times", n)
	}
	w.clock.add(staleAtMost)
	answer(t, w.call("GET", path, nil), 500)
}

// TestABackupPutBack: an older revision in the database means another history.
func TestABackupPutBack(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	must(w.listing(t.Context()))(t)
	for _, q := range []string{`DELETE FROM directory_tokens`, `DELETE FROM directory_applications`, `DELETE FROM directory_members`, `UPDATE directory_listing SET revision = 1`} {
		must(w.DB.Exec(q))(t)
	}
	w.clock.add(askEvery)
	if l := must(w.listing(t.Context()))(t); len(l.ids) != 0 {
		t.Errorf("members %v", l.ids)
	}
}

// TestEveryChangeIsCounted reads our own source: a function that writes a table
// which the public sees must say listingChanged, or readers would not learn of
// it.
func TestEveryChangeIsCounted(t *testing.T) {
	writes := regexp.MustCompile(`(?is)(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+directory_(members|member_roles|applications|application_roles|data_services)\b`)
	files := must(filepath.Glob("*.go"))(t)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src := must(os.ReadFile(name))(t)
		f := must(parser.ParseFile(token.NewFileSet(), name, src, 0))(t)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name == "listingChanged" {
				continue
			}
			body := string(src[fn.Pos()-f.FileStart : fn.End()-f.FileStart])
			if !writes.MatchString(body) {
				continue
			}
			if seen++; !strings.Contains(body, "listingChanged(") {
				t.Errorf("%s: %s writes the listing without listingChanged", name, fn.Name.Name)
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d functions found: has the SQL changed its form?", seen)
	}
}

func TestKnownHost(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	for host, want := range map[string]int{"messages.perse.example.com": 1, "MESSAGES.perse.example.com": 1, "perse.example.com": 0, "evil.example.com": 0, "": 0, "messages.perse.example.com.": 0} {
		if got := must(w.KnownHost(context.Background(), host))(t); len(got) != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	for url, want := range map[string]string{"https://A.example:8443/x": "a.example", "https://127.0.0.1/": "", "https://[::1]/": "", "https://a.example./": "a.example", "https://*.example/": "", "": "", "https://a_b.example/": ""} {
		if got := dnsName(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}
