package directory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// TestBounds: each bound lets so many through and no more, however many come at
// once; the refusal says the number and what to do; another member is not
// touched; and what makes room lets one more in.
func TestBounds(t *testing.T) {
	const most = 3
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		app := func(of directory.Member) (directory.Application, error) {
			return w.AddApplication(ctx, directory.Application{Member: of.ID, Name: "Another"})
		}
		code := func(of directory.Member, site string) (directory.Gateway, error) {
			g, _, err := w.AddGateway(ctx, directory.Gateway{Member: of.ID, Name: "Unit", SiteID: site})
			return g, err
		}
		site := func(of directory.Member) (directory.Site, error) {
			return w.AddSite(ctx, directory.Site{Member: of.ID, Name: "Site " + form.NewID(), Outcode: "SW8"})
		}
		certificate := func(a directory.Application) (directory.Certificate, error) {
			_, csr := dirtest.NewKeyCSR(t)
			return w.IssueClient(ctx, a.ID, []byte(csr))
		}
		full := func(what, todo string, there int, add func(int) error) {
			t.Helper()
			errs := make([]error, most+4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = add(i) })
			}
			wg.Wait()
			added := 0
			for _, err := range errs {
				if err == nil {
					added++
				} else if say := err.Error(); !strings.Contains(say, "limit_reached") || !strings.Contains(say, fmt.Sprintf("%d %s", most, what)) || !strings.Contains(say, todo) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if there+added != most {
				t.Errorf("%s: %d where %d are the most", what, there+added, most)
			}
		}
		provider := w.Provider

		w.Service.Bounds.Applications = most
		full("applications", "Delete one", 1, func(int) error { _, err := app(provider); return err })
		if _, err := app(w.Bank); err != nil {
			t.Errorf("the other member's first: %v", err)
		}

		w.Service.Bounds.Sites = most
		full("sites", "Use one", 0, func(int) error { _, err := site(provider); return err })
		x, err := site(w.Bank)
		if err != nil {
			t.Fatal(err)
		}

		w.Service.Bounds.Gateways = most
		sites := dirtest.Must(w.Sites(ctx, provider.ID))(t)
		full("gateways", "new code", 0, func(i int) error { _, err := code(provider, sites[i%len(sites)].ID); return err })
		w.Service.Bounds.Gateways = 100

		w.Service.Bounds.SiteCodes = most
		full("codes", "Use or withdraw", 0, func(int) error { _, err := code(w.Bank, x.ID); return err })
		gs := dirtest.Must(w.Gateways(ctx, w.Bank.ID))(t)
		if _, err := w.NewCode(ctx, gs[0].ID); err != nil {
			t.Errorf("a code in the place of its own: %v", err)
		}
		dirtest.Must(w.WithdrawCode(ctx, gs[0].ID))(t)
		if _, err := code(w.Bank, x.ID); err != nil {
			t.Errorf("after a withdrawal: %v", err)
		}
		w.Clock.Add(directory.CodeLife)
		if _, err := code(w.Bank, x.ID); err != nil {
			t.Errorf("after the codes' end: %v", err)
		}

		w.Service.Bounds.Certificates = most
		full("certificates", "Revoke", 0, func(int) error { _, err := certificate(w.ProviderApp); return err })
		issued := dirtest.Must(w.Certificates(ctx, w.ProviderApp.ID))(t)
		if err := w.RevokeOf(ctx, provider.ID, issued[0].Serial); err != nil {
			t.Fatal(err)
		}
		if _, err := certificate(w.ProviderApp); err != nil {
			t.Errorf("after a revocation: %v", err)
		}
		// Over HTTP, in words: 409, and the web pages show the same sentence.
		_, csr := dirtest.NewKeyCSR(t)
		e := dirtest.Answer(t, w.Call("POST", "/members/applications/"+w.ProviderApp.ID+"/certificates/client/sign", map[string]string{"csr": csr}, "Authorization", "Bearer "+w.Owner), 409)
		if want := "3 certificates of applications are good, and 3 are the most that there may be. Revoke those that are not used any more, or ask the directory's operator for more."; e["error"] != "limit_reached" || e["error_description"] != want {
			t.Errorf("%v", e)
		}
		// Gateways go on enrolling and renewing: theirs is another allowance.
		w.Service.Bounds.Sites = 100
		dirtest.Enrolled(t, w)
	})
}

func TestBoundsDefault(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	if want := (directory.Bounds{Applications: 200, Sites: 20_000, Gateways: 40_000, Certificates: 1000, SiteCodes: 50}); w.Bounds != want {
		t.Errorf("%+v", w.Bounds)
	}
	c := w.Service.Config
	c.Bounds = directory.Bounds{Applications: 7, Sites: -1}
	if got := dirtest.Must(directory.New(c))(t).Bounds; got.Applications != 7 || got.Sites != 20_000 {
		t.Errorf("%+v", got)
	}
}
