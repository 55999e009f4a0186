package directory_test

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// An organisation adds a site over the member API and gets all it needs to pass
// on; what is wrong is told in words.
func TestOpenSite(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		post := func(body map[string]string, status int) map[string]any {
			t.Helper()
			return dirtest.Answer(t, w.Call("POST", "/members/sites", body, "Authorization", "Bearer "+w.Owner), status)
		}
		v := post(map[string]string{"name": "Riverside", "outcode": " sw8 ", "application": dirtest.Base + "/a/" + w.ProviderApp.ID, "gateway": "Unit 4"}, http.StatusCreated)
		g := v["gateway"].(map[string]any)
		if v["outcode"] != "SW8" || g["siteId"] != v["id"] || g["name"] != "Unit 4" || g["state"] != "new" || g["application"] != dirtest.Base+"/a/"+w.ProviderApp.ID {
			t.Errorf("%v", v)
		}
		code := g["code"].(string)
		if directory, c, ok := identity.ParseEnrolLink(g["codeLink"].(string)); !ok || directory != dirtest.Base || c != code || g["codeExpires"] != "2026-11-24T09:30:00Z" {
			t.Errorf("code %v", g)
		}
		for name, x := range map[string]struct {
			body   map[string]string
			status int
			want   string
		}{
			"no outcode":        {map[string]string{"name": "Lakeside"}, 400, "such as SW8"},
			"a whole postcode":  {map[string]string{"name": "Lakeside", "outcode": "SW8 4AA"}, 400, "such as SW8"},
			"no name":           {map[string]string{"outcode": "SW8"}, 400, "name is missing"},
			"the same":          {map[string]string{"name": "Riverside", "outcode": "SW8"}, 409, "already"},
			"another's app":     {map[string]string{"name": "Lakeside", "outcode": "SW8", "application": w.BankApp.ID}, 400, "another member"},
			"no such app":       {map[string]string{"name": "Lakeside", "outcode": "SW8", "application": "nothing"}, 404, "no such entry"},
			"a key of its own":  {map[string]string{"name": "Lakeside", "outcode": "SW8", "member": w.Bank.ID}, 400, "unknown field"},
			"two lines of name": {map[string]string{"name": "Lake\nside", "outcode": "SW8"}, 400, "one line"},
		} {
			if e := post(x.body, x.status); !strings.Contains(e["error_description"].(string), x.want) {
				t.Errorf("%s: %v", name, e)
			}
		}
		if xs := dirtest.Must(w.Sites(t.Context(), w.Provider.ID))(t); len(xs) != 1 || len(dirtest.Must(w.Gateways(t.Context(), w.Provider.ID))(t)) != 1 {
			t.Errorf("refused, and added all the same: %+v", xs)
		}

		id := v["id"].(string)
		second, _, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 5", Site: "Riverside"})
		if err != nil || second.SiteID != id || second.Outcode != "SW8" {
			t.Errorf("the site by its name: %+v, %v", second, err)
		}
		if _, _, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Bank.ID, Name: "Unit 6", SiteID: id}); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a site of another member: %v", err)
		}
		if _, err := w.SiteOf(t.Context(), w.Bank.ID, id); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a site of another member: %v", err)
		}
		dirtest.Answer(t, w.Call("PATCH", "/members/sites/"+id, map[string]string{"name": "Riverside North"}, "Authorization", "Bearer "+w.Owner), 200)
		if g := dirtest.Must(w.Gateway(t.Context(), second.ID))(t); g.Site != "Riverside North" || g.Outcode != "SW8" {
			t.Errorf("renamed: %+v", g)
		}
		dirtest.Must(w.AddSite(t.Context(), directory.Site{Member: w.Provider.ID, Name: "Lakeside", Outcode: "LA1"}))(t)
		if _, err := w.ChangeSite(t.Context(), id, "Lakeside", "LA1"); !errors.Is(err, fault.ErrExists) {
			t.Errorf("renamed to another's name: %v", err)
		}
		for _, action := range []string{"site.add", "site.update", "gateway.add", "code.issue"} {
			var n int
			if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_audit WHERE action = $1 AND member = $2`, action, w.Provider.ID).Scan(&n); err != nil || n == 0 {
				t.Errorf("%s is not in the audit log: %v", action, err)
			}
		}
		secret(t, w, code)
	})
}

// secret makes sure that a code is nowhere in the database or the log.
func secret(t *testing.T, w *dirtest.World, code string) {
	t.Helper()
	for _, form := range []string{code, strings.ReplaceAll(code, "-", "")} {
		if strings.Contains(w.Logs.String(), form) {
			t.Error("a code is in the log")
		}
		var n int
		err := w.DB.QueryRow(`SELECT (SELECT COUNT(*) FROM directory_codes WHERE hash LIKE $1) + (SELECT COUNT(*) FROM directory_audit WHERE detail LIKE $1 OR subject LIKE $1)`, "%"+form+"%").Scan(&n)
		if err != nil || n > 0 {
			t.Errorf("a code is in the database: %v", err)
		}
	}
}

// A gateway from its code to its revocation and back, as its member sees it.
func TestGatewayStanding(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		p := dirtest.Must(w.OpenSite(ctx, directory.Site{Member: w.Provider.ID, Name: "Riverside", Outcode: "SW8"}, w.ProviderApp.ID, ""))(t)
		g := p.Gateway
		standing := func(state string, code bool) directory.Standing {
			t.Helper()
			st := dirtest.Must(w.Standing(ctx, g.ID))(t)
			if st.State != state || st.CodeExpires.IsZero() == code {
				t.Errorf("%+v, want %s, code %t", st, state, code)
			}
			return st
		}
		standing("new", true)
		// A code that was withdrawn is none.
		if was := dirtest.Must(w.WithdrawCode(ctx, g.ID))(t); !was {
			t.Error("there was no code")
		}
		if was := dirtest.Must(w.WithdrawCode(ctx, g.ID))(t); was {
			t.Error("withdrawn twice")
		}
		standing("new", false)
		_, a := dirtest.NewKeyCSR(t)
		_, b := dirtest.NewKeyCSR(t)
		dirtest.Answer(t, w.Enrol(p.Code.Text, a, b), http.StatusForbidden)
		// The code of another gateway is refused and stays good.
		code := dirtest.Must(w.NewCode(ctx, g.ID))(t)
		body := map[string]string{"code": code, "client_csr": a, "signing_csr": b, "gateway": dirtest.Base + "/g/other"}
		for range 2 * directory.GuessBurst { // it is no guess
			if e := dirtest.Answer(t, w.Call("POST", "/gateway/v1/enrollments", body), http.StatusConflict); e["error"] != "other_gateway" || !strings.Contains(e["error_description"].(string), "still good") {
				t.Fatalf("%v", e)
			}
		}
		standing("new", true)
		body["gateway"] = dirtest.Base + "/g/" + g.ID
		dirtest.Answer(t, w.Call("POST", "/gateway/v1/enrollments", body), http.StatusCreated)
		st := standing("enrolled", false)
		if left := st.Until.Sub(dirtest.Start); left < 364*24*time.Hour {
			t.Errorf("until %s", st.Until)
		}
		first := good(t, w, g)

		dirtest.Answer(t, w.Call("POST", "/members/gateways/"+g.ID+"/codes", nil, "Authorization", "Bearer "+w.Owner), http.StatusCreated)
		w.Clock.Add(time.Hour)
		v := dirtest.Answer(t, w.Call("POST", "/members/gateways/"+g.ID+"/revoke", map[string]string{"reason": "stolen from the van"}, "Authorization", "Bearer "+w.Owner), http.StatusOK)
		if v["state"] != "revoked" || v["revoked"] != "2026-11-22T10:30:00Z" || v["codeExpires"] != nil {
			t.Errorf("%v", v)
		}
		standing("revoked", false)
		var why string
		if err := w.DB.QueryRow(`SELECT detail FROM directory_audit WHERE action = 'gateway.revoke'`).Scan(&why); err != nil || why != "2 certificates revoked: stolen from the van" {
			t.Errorf("audit log: %q, %v", why, err)
		}
		for h, c := range first {
			r := w.Reenroll("/client", a, first[ca.Client])
			if v := dirtest.Answer(t, r, http.StatusForbidden); v["error"] != "certificate_revoked" {
				t.Errorf("renewal: %v", v)
			}
			found := false
			for _, e := range w.ReadCRL(t, h).RevokedCertificateEntries {
				found = found || e.SerialNumber.Cmp(c.SerialNumber) == 0
			}
			if !found {
				t.Errorf("the %s certificate is not in the list", h)
			}
		}
		if n := dirtest.Must(w.RevokeGateway(ctx, g.ID, ""))(t); n != 0 {
			t.Errorf("revoked again: %d", n)
		}
		if _, err := w.RevokeGateway(ctx, "nothing", ""); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("no such gateway: %v", err)
		}

		_, a = dirtest.NewKeyCSR(t)
		_, b = dirtest.NewKeyCSR(t)
		e := dirtest.Must(w.EnrollAs(ctx, dirtest.Base+"/g/"+g.ID, dirtest.Must(w.NewCode(ctx, g.ID))(t), []byte(a), []byte(b)))(t)
		standing("enrolled", false)
		if e.Gateway.URL != dirtest.Base+"/g/"+g.ID {
			t.Errorf("back as %s", e.Gateway.URL)
		}
		w.Clock.Add(400 * 24 * time.Hour)
		standing("expired", false)
		_, a = dirtest.NewKeyCSR(t)
		_, b = dirtest.NewKeyCSR(t)
		dirtest.Must(w.Enroll(ctx, dirtest.Must(w.NewCode(ctx, g.ID))(t), []byte(a), []byte(b)))(t)
		standing("enrolled", false)
	})
}

// Renewals and enrolments beside a revocation: whatever the order, none of
// their certificates is good afterwards, and nothing stands still.
func TestRevokeRaces(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		for range 4 {
			g, e := dirtest.Enrolled(t, w)
			code := dirtest.Must(w.NewCode(t.Context(), g.ID))(t)
			var wg sync.WaitGroup
			for range 4 {
				_, a := dirtest.NewKeyCSR(t)
				_, b := dirtest.NewKeyCSR(t)
				wg.Go(func() {
					_, err := w.Renew(t.Context(), e.Client.Leaf, ca.Client, []byte(a))
					if he := new(fault.Refusal); err != nil && !errors.As(err, &he) {
						t.Error(err)
					}
				})
				wg.Go(func() {
					if _, err := w.Enroll(t.Context(), code, []byte(a), []byte(b)); err != nil && !errors.Is(err, fault.ErrCode) && !errors.Is(err, fault.ErrInvalid) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if _, err := w.RevokeGateway(t.Context(), g.ID, ""); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			if left := good(t, w, g); len(left) > 0 {
				t.Errorf("still good: %v", left)
			}
		}
	})
}

// Gateways of before there were sites keep their sites' names.
func TestSitesMigration(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": databasetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			old := fstest.MapFS{}
			files, err := fs.Glob(directory.Migrations(), "*.sql")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if b := dirtest.Must(fs.ReadFile(directory.Migrations(), f))(t); filepath.Base(f) < "00007" {
					old[filepath.Base(f)] = &fstest.MapFile{Data: b}
				}
			}
			db := dirtest.Must(database.Open(at))(t)
			if err := db.Migrate(context.Background(), "directory", old); err != nil {
				t.Fatal(err)
			}
			for _, q := range []string{
				`INSERT INTO directory_members (id, legal_name, brand_name, created_at) VALUES ('m1', 'A', 'A', 1), ('m2', 'B', 'B', 1)`,
				`INSERT INTO directory_gateways (id, member, name, site, created_at) VALUES ('g1', 'm1', 'x', 'Riverside', 5), ('g2', 'm1', 'y', 'Riverside', 4), ('g3', 'm1', 'z', 'Lakeside', 6), ('g4', 'm2', 'x', 'Riverside', 7)`,
			} {
				dirtest.Must(db.Exec(q))(t)
			}
			db.Close()
			w := dirtest.Bare()
			s := w.Open(t, at)
			sites := map[string]string{}
			for id, want := range map[string]string{"g1": "Riverside", "g2": "Riverside", "g3": "Lakeside", "g4": "Riverside"} {
				g := dirtest.Must(s.Gateway(t.Context(), id))(t)
				if g.Site != want || g.Outcode != "" {
					t.Errorf("%s: %+v", id, g)
				}
				sites[id] = g.SiteID
			}
			if sites["g1"] != sites["g2"] || sites["g1"] == sites["g3"] || sites["g1"] == sites["g4"] {
				t.Errorf("sites %v", sites)
			}
		})
	}
}

// good are a gateway's certificates that have not ended and are not revoked,
// one of each kind.
func good(t *testing.T, w *dirtest.World, g directory.Gateway) map[ca.Hierarchy]*x509.Certificate {
	t.Helper()
	out := map[ca.Hierarchy]*x509.Certificate{}
	err := w.InTx(t.Context(), func(tx *sql.Tx) error {
		cs, err := w.GoodCertificates(t.Context(), tx, g.ID)
		for h, of := range cs {
			out[h] = of[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
