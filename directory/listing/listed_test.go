package listing_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/listing"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// TestListingFollows: whatever changes, in this process or in another on the
// same database, the listing that is brought up to date step by step is the one
// that is read anew, and holds what the database's own finders give.
func TestListingFollows(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		other := dirtest.Serve(t, dirtest.Must(directory.New(w.Config))(t)) // another process on the same database
		edp, cap, fsp := w.Scheme.Role(scheme.EDP), w.Scheme.Role(scheme.CAP), w.Scheme.Role(scheme.FSP)
		var members, apps []string
		rapid.Check(t, func(rt *rapid.T) {
			by := rapid.SampledFrom([]*server.Server{w.Front, other}).Draw(rt, "process")
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				switch k := rapid.IntRange(0, 3).Draw(rt, "change"); {
				case k == 0 || len(members) == 0:
					m := dirtest.Must(by.AddMember(ctx, directory.Member{LegalName: "Member " + form.NewID(), Roles: rapid.SampledFrom([][]string{nil, {edp}, {cap, edp}, {fsp}}).Draw(rt, "roles")}))(t)
					members = append(members, m.ID)
				case k == 1 || len(apps) == 0:
					a := dirtest.Must(by.AddApplication(ctx, directory.Application{Member: rapid.SampledFrom(members).Draw(rt, "member"), Name: "App", MessageDelivery: "https://" + form.NewID() + ".example/"}))(t)
					apps = append(apps, a.ID)
				case k == 2:
					dirtest.Must(by.AddDataService(ctx, directory.DataService{Application: rapid.SampledFrom(apps).Draw(rt, "app"), Title: "API", ConformsTo: w.Scheme.StandardConsumption(), Endpoint: "https://API.example.org:8443/v1"}))(t)
				default: // as an administrator's command will
					id := rapid.SampledFrom(members).Draw(rt, "member")
					if err := by.InTx(ctx, func(tx *sql.Tx) error {
						if _, err := tx.ExecContext(ctx, `DELETE FROM directory_member_roles WHERE member = $1 AND role = $2`, id, edp); err != nil {
							return err
						}
						return by.ListingChanged(ctx, tx, id)
					}); err != nil {
						rt.Fatal(err)
					}
				}
			}
			own := dirtest.Must(by.Listing.Listing(ctx))(t)
			w.Clock.Add(listing.AskEvery)
			for _, s := range []*server.Server{w.Front, other} {
				got := dirtest.Must(s.Listing.Listing(ctx))(t)
				want := dirtest.Must(by.Listing.Refreshed(ctx, nil))(t)
				if s == by && got.Number != own.Number {
					rt.Fatalf("a process saw its own changes only after a second: revision %d, then %d", own.Number, got.Number)
				}
				if !reflect.DeepEqual(got.Members(), want.Members()) || !reflect.DeepEqual(got.IDs(), want.IDs()) || !reflect.DeepEqual(got.ByApp(), want.ByApp()) || !reflect.DeepEqual(got.ByOffer(), want.ByOffer()) ||
					!reflect.DeepEqual(got.WithRole(edp), want.WithRole(edp)) || !reflect.DeepEqual(got.Hosts(), want.Hosts()) || got.Revision != want.Revision {
					rt.Fatal("the listing brought up to date is not the one read anew")
				}
			}
		})
		l := dirtest.Must(w.Front.Listing.Listing(ctx))(t)
		for id, e := range l.Members() {
			if m := dirtest.Must(w.Member(ctx, id))(t); !reflect.DeepEqual(m, e.Member) {
				t.Errorf("the listing has %+v, the database %+v", e.Member, m)
			}
		}
		for id, e := range l.ByApp() {
			if a := dirtest.Must(w.Application(ctx, id))(t); !reflect.DeepEqual(a, e.Application) {
				t.Errorf("the listing has %+v, the database %+v", e.Application, a)
			}
		}
		if offers := l.Conforming(w.Scheme.StandardConsumption()); len(l.ByApp()) < 3 || len(offers) == 0 || !slices.Contains(l.Hosts()["api.example.org"], offers[0].Application) {
			t.Errorf("the test has tried too little: %d applications, hosts %v", len(l.ByApp()), l.Hosts())
		}
	})
}

// TestListingIsShared: readers do not ask the database, but for the revision
// once a second.
func TestListingIsShared(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	a := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	w.Clock.Add(time.Hour)
	if b := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t); a != b {
		t.Error("nothing changed, and the listing was made anew")
	}
	m := dirtest.Must(w.AddMember(t.Context(), directory.Member{LegalName: "New Ltd"}))(t)
	b := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	if a == b || a.Members()[m.ID] != nil || b.Members()[m.ID] == nil {
		t.Error("the old listing changed, or the new one has not")
	}
	if a.Members()[w.Bank.ID] != b.Members()[w.Bank.ID] {
		t.Error("a member that stayed the same was read again")
	}
}

// TestDatabaseAway: the listing stays up for a while, and says so in the log.
func TestDatabaseAway(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	path := "/m/" + w.Provider.ID
	dirtest.Answer(t, w.Call("GET", path, nil), 200)
	w.DB.Close()
	for range 3 {
		w.Clock.Add(time.Minute)
		dirtest.Answer(t, w.Call("GET", path, nil), 200)
	}
	if n := strings.Count(w.Logs.String(), "the last state is served"); n != 3 {
		t.Errorf("said %d times", n)
	}
	dirtest.Answer(t, w.Call("GET", path, nil), 200)
	if n := strings.Count(w.Logs.String(), "the last state is served"); n != 3 {
		t.Errorf("within a second it was asked for again: said %d times", n)
	}
	w.Clock.Add(listing.StaleAtMost)
	dirtest.Answer(t, w.Call("GET", path, nil), 500)
}

// TestABackupPutBack: an older revision in the database means another history.
func TestABackupPutBack(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	dirtest.Must(w.Front.Listing.Listing(t.Context()))(t)
	for _, q := range []string{`DELETE FROM directory_tokens`, `DELETE FROM directory_applications`, `DELETE FROM directory_members`, `UPDATE directory_listing SET revision = 1`} {
		dirtest.Must(w.DB.Exec(q))(t)
	}
	w.Clock.Add(listing.AskEvery)
	if l := dirtest.Must(w.Front.Listing.Listing(t.Context()))(t); len(l.IDs()) != 0 {
		t.Errorf("members %v", l.IDs())
	}
}

func TestKnownHost(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	for host, want := range map[string]int{"messages.perse.example.com": 1, "MESSAGES.perse.example.com": 1, "perse.example.com": 0, "evil.example.com": 0, "": 0, "messages.perse.example.com.": 0} {
		if got := dirtest.Must(w.Front.KnownHost(context.Background(), host))(t); len(got) != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	for url, want := range map[string]string{"https://A.example:8443/x": "a.example", "https://127.0.0.1/": "", "https://[::1]/": "", "https://a.example./": "a.example", "https://*.example/": "", "": "", "https://a_b.example/": ""} {
		if got := form.DNSName(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}
