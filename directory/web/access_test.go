package web

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/ca"
)

// TestAccess opens every page as: nobody; an owner of another organisation; an
// owner of this one; an administrator. It walks the application's own table of
// pages, so none can be forgotten.
func TestAccess(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		other := w.signUp("bob@bank.example", "bank", false)
		ada := w.signUp("ada@directory.example", "", true)
		w.signUp("pat@perse.example", "perse", false)

		// Things of perse, each made anew for each visit, since most pages use them up.
		application := func() string {
			a, err := w.dir.AddApplication(w.ctx(), directory.Application{Member: "perse", Name: "x"})
			w.must(err)
			return a.ID
		}
		service := func(app string) string {
			d, err := w.dir.AddDataService(w.ctx(), directory.DataService{Application: app, Title: "x", ConformsTo: "https://x.example/", Endpoint: "https://x.example/"})
			w.must(err)
			return d.ID
		}
		certificate := func() string {
			c, err := w.dir.IssueTo(w.ctx(), "perse", w.perseApp.ID, ca.Client, "", []byte(w.csr()))
			w.must(err)
			return c.Leaf.SerialNumber.String()
		}
		gateway := func() string {
			g, _, err := w.dir.AddGateway(w.ctx(), directory.Gateway{Member: "perse", Name: "x", Site: "y"})
			w.must(err)
			return g.ID
		}
		token := func() string {
			_, err := w.dir.MakeToken(w.ctx(), "perse", directory.Reader, "x")
			w.must(err)
			ts, err := w.dir.Tokens(w.ctx(), "perse")
			w.must(err)
			return ts[0].ID
		}
		invite := func(member string, administrator bool) string {
			_, err := w.accounts.Invite(w.ctx(), account.Link{Email: "new@x.example", Member: member, Administrator: administrator})
			w.must(err)
			ls, err := w.accounts.Invitations(w.ctx(), member)
			w.must(err)
			return ls[0].ID
		}
		owned := 0
		somebody := func() string { // one more owner of perse
			owned++
			return w.spareAccount(fmt.Sprintf("spare%d@perse.example", owned), "perse")
		}
		const gone = http.StatusGone
		onboard := url.Values{"legal": {"New"}, "company": {"1"}, "role": {w.edp}, "email": {"a@b.example"}, "street": {"x"}, "locality": {"x"}, "postcode": {"x"},
			"data-name": {"x"}, "data-phone": {"1"}, "licence-name": {"x"}, "licence-phone": {"1"}, "owner": {"a@b.example"}}
		form := func(pairs ...string) url.Values {
			f := url.Values{}
			for i := 0; i+1 < len(pairs); i += 2 {
				f.Add(pairs[i], pairs[i+1])
			}
			return f
		}
		type expect struct {
			path string     // with what is made for the visit
			form url.Values // of a POST
			want [4]int     // nobody, other owner, owner, administrator; 303 to the page of signing in is 401 here
		}
		all := func(s int) [4]int { return [4]int{s, s, s, s} }
		signedIn := func(s int) [4]int { return [4]int{401, s, s, s} }
		mine := func(s int) [4]int { return [4]int{401, 404, s, s} }
		admins := func(s int) [4]int { return [4]int{401, 404, 404, s} }
		o := "/o/perse"
		app := o + "/applications/"
		table := map[string]func() expect{
			"GET /sign-in":             func() expect { return expect{"/sign-in", nil, [4]int{200, 303, 303, 303}} },
			"POST /sign-in":            func() expect { return expect{"/sign-in", form("email", "x@x.example", "password", "wrong"), all(403)} },
			"GET /sign-in/second":      func() expect { return expect{"/sign-in/second", nil, all(401)} },
			"POST /sign-in/second":     func() expect { return expect{"/sign-in/second", form("code", "000000"), all(401)} },
			"POST /sign-out":           nil, // TestSignOut
			"GET /forgotten":           func() expect { return expect{"/forgotten", nil, all(200)} },
			"POST /forgotten":          func() expect { return expect{"/forgotten", form("email", "x@x.example"), all(200)} },
			"GET /password/{secret}":   func() expect { return expect{"/password/unknown", nil, all(gone)} },
			"POST /password/{secret}":  func() expect { return expect{"/password/unknown", form("password", goodPassword), all(gone)} },
			"GET /invitation/{secret}": func() expect { return expect{"/invitation/unknown", nil, all(gone)} },
			"POST /invitation/{secret}": func() expect {
				return expect{"/invitation/unknown", form("name", "x", "password", goodPassword), all(gone)}
			},
			"POST /invitation/{secret}/accept":  func() expect { return expect{"/invitation/unknown/accept", form(), signedIn(gone)} },
			"GET /set-up":                       func() expect { return expect{"/set-up", nil, all(303)} },
			"POST /set-up":                      func() expect { return expect{"/set-up", form("code", "000000"), all(303)} },
			"GET /{$}":                          func() expect { return expect{"/", nil, [4]int{401, 303, 303, 303}} },
			"GET /confirm":                      func() expect { return expect{"/confirm", nil, signedIn(200)} },
			"POST /confirm":                     func() expect { return expect{"/confirm", form("code", "000000"), signedIn(403)} },
			"GET /account":                      func() expect { return expect{"/account", nil, signedIn(200)} },
			"GET /account/password":             func() expect { return expect{"/account/password", nil, signedIn(200)} },
			"POST /account/password":            func() expect { return expect{"/account/password", form("password", "short"), signedIn(400)} },
			"GET /account/app":                  func() expect { return expect{"/account/app", nil, signedIn(200)} },
			"POST /account/app":                 func() expect { return expect{"/account/app", form("code", "000000"), signedIn(403)} },
			"POST /account/app/remove":          func() expect { return expect{"/account/app/remove", form(), signedIn(409)} },
			"GET /account/passkey":              func() expect { return expect{"/account/passkey", nil, signedIn(200)} },
			"POST /account/passkey":             func() expect { return expect{"/account/passkey", form("answer", "{}"), signedIn(403)} },
			"POST /account/passkey/{id}/remove": func() expect { return expect{"/account/passkey/none/remove", form(), signedIn(404)} },
			"POST /account/recovery-codes":      func() expect { return expect{"/account/recovery-codes", form(), signedIn(200)} },
			"POST /account/sign-out-everywhere": nil, // TestSignOut

			"GET /o/{member}":                          func() expect { return expect{o, nil, mine(200)} },
			"GET /o/{member}/details":                  func() expect { return expect{o + "/details", nil, mine(200)} },
			"POST /o/{member}/details":                 func() expect { return expect{o + "/details", form("email", "a@b.example"), mine(303)} },
			"GET /o/{member}/applications":             func() expect { return expect{o + "/applications", nil, mine(200)} },
			"GET /o/{member}/applications/new":         func() expect { return expect{app + "new", nil, mine(200)} },
			"POST /o/{member}/applications":            func() expect { return expect{o + "/applications", form("name", "x"), mine(303)} },
			"GET /o/{member}/applications/{id}":        func() expect { return expect{app + "perse-app", nil, mine(200)} },
			"GET /o/{member}/applications/{id}/change": func() expect { return expect{app + "perse-app/change", nil, mine(200)} },
			"POST /o/{member}/applications/{id}":       func() expect { return expect{app + "perse-app", form("name", "x"), mine(303)} },
			"POST /o/{member}/applications/{id}/delete": func() expect {
				return expect{app + application() + "/delete", form(), mine(303)}
			},
			"GET /o/{member}/applications/{id}/services/new": func() expect { return expect{app + "perse-app/services/new", nil, mine(200)} },
			"POST /o/{member}/applications/{id}/services/new": func() expect {
				return expect{app + "perse-app/services/new", form("title", "x", "standard", "https://x.example/", "endpoint", "https://x.example/"), mine(303)}
			},
			"GET /o/{member}/applications/{id}/services/{service}": func() expect {
				return expect{app + "perse-app/services/" + service("perse-app"), nil, mine(200)}
			},
			"POST /o/{member}/applications/{id}/services/{service}": func() expect {
				return expect{app + "perse-app/services/" + service("perse-app"), form("title", "x", "standard", "https://x.example/", "endpoint", "https://x.example/"), mine(303)}
			},
			"POST /o/{member}/applications/{id}/services/{service}/delete": func() expect {
				return expect{app + "perse-app/services/" + service("perse-app") + "/delete", form(), mine(303)}
			},
			"POST /o/{member}/applications/{id}/certificates": func() expect {
				return expect{app + "perse-app/certificates", form("type", "client", "csr", w.csr()), mine(303)}
			},
			"GET /o/{member}/certificates/{file}":           func() expect { return expect{o + "/certificates/" + certificate() + ".pem", nil, mine(200)} },
			"POST /o/{member}/certificates/{serial}/revoke": func() expect { return expect{o + "/certificates/" + certificate() + "/revoke", form(), mine(303)} },
			"GET /o/{member}/sites":                         func() expect { return expect{o + "/sites", nil, mine(200)} },
			"POST /o/{member}/sites": func() expect {
				owned++
				return expect{o + "/sites", form("name", fmt.Sprint("site ", owned), "outcode", "SW8"), mine(200)}
			},
			"POST /o/{member}/gateways/{id}/code":   func() expect { return expect{o + "/gateways/" + gateway() + "/code", form(), mine(200)} },
			"POST /o/{member}/gateways/{id}/revoke": func() expect { return expect{o + "/gateways/" + gateway() + "/revoke", form(), mine(303)} },
			"GET /o/{member}/tokens":                func() expect { return expect{o + "/tokens", nil, mine(200)} },
			"POST /o/{member}/tokens":               func() expect { return expect{o + "/tokens", form("label", "x", "access", "reader"), mine(200)} },
			"POST /o/{member}/tokens/{id}/end":      func() expect { return expect{o + "/tokens/" + token() + "/end", form(), mine(303)} },
			"GET /o/{member}/people":                func() expect { return expect{o + "/people", nil, mine(200)} },
			"POST /o/{member}/people":               func() expect { return expect{o + "/people", form("email", "new@x.example"), mine(200)} },
			"POST /o/{member}/people/{id}/remove":   func() expect { return expect{o + "/people/" + somebody() + "/remove", form(), mine(303)} },
			"POST /o/{member}/invitations/{id}/withdraw": func() expect {
				return expect{o + "/invitations/" + invite("perse", false) + "/withdraw", form(), mine(303)}
			},
			"GET /o/{member}/history": func() expect { return expect{o + "/history", nil, mine(200)} },
			"POST /o/{member}/roles":  func() expect { return expect{o + "/roles", form("role", w.edp, "role", w.cap), admins(303)} },
			"POST /o/{member}/officers": func() expect {
				return expect{o + "/officers", form("duty", "data", "name", "x", "phone", "1"), admins(303)}
			},

			"GET /admin":                            func() expect { return expect{"/admin", nil, admins(200)} },
			"GET /admin/organisations/new":          func() expect { return expect{"/admin/organisations/new", nil, admins(200)} },
			"POST /admin/organisations":             func() expect { return expect{"/admin/organisations", onboard, admins(200)} },
			"GET /admin/people":                     func() expect { return expect{"/admin/people", nil, admins(200)} },
			"POST /admin/people/invite":             func() expect { return expect{"/admin/people/invite", form("email", "new@x.example"), admins(200)} },
			"POST /admin/people/{id}/password-link": func() expect { return expect{"/admin/people/" + somebody() + "/password-link", form(), admins(200)} },
			"POST /admin/people/{id}/restore-link":  func() expect { return expect{"/admin/people/" + somebody() + "/restore-link", form(), admins(200)} },
			"POST /admin/people/{id}/demote":        func() expect { return expect{"/admin/people/" + somebody() + "/demote", form(), admins(404)} }, // is none
			"POST /admin/people/{id}/close":         func() expect { return expect{"/admin/people/" + somebody() + "/close", form(), admins(303)} },
			"POST /admin/invitations/{id}/withdraw": func() expect {
				return expect{"/admin/invitations/" + invite("", true) + "/withdraw", form(), admins(303)}
			},
			"GET /admin/history": func() expect { return expect{"/admin/history", nil, admins(200)} },
		}
		visitors := []*browser{w.browser(), other.browser, olive.browser, ada.browser}
		for _, r := range w.app.routes() {
			make, ok := table[r.method+" "+r.path]
			if !ok {
				t.Errorf("%s %s is not in the table of this test", r.method, r.path)
			}
			delete(table, r.method+" "+r.path)
			if make == nil {
				continue
			}
			for i, b := range visitors {
				e := make()
				form := e.form
				if r.method == http.MethodGet {
					form = nil
				}
				p := b.do(r.method, Prefix+e.path, form)
				got := p.status
				if got == 303 && strings.HasPrefix(p.to, Prefix+"/sign-in") {
					got = 401
				}
				if got != e.want[i] {
					t.Errorf("%s %s as visitor %d: %d to %q, want %d: %s", r.method, e.path, i, got, p.to, e.want[i], words(p.body))
				}
				checkHeaders(t, p)
			}
		}
		for path := range table {
			t.Errorf("%s is no page any more", path)
		}
	})
}

func checkHeaders(t *testing.T, p page) {
	t.Helper()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %s is %q", p.path, name, got)
		}
	}
	if csp := p.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.HasPrefix(csp, "default-src 'none';") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("%s: content policy %q", p.path, csp)
	}
	if !slices.Contains(p.header.Values("Cache-Control"), "no-store") {
		t.Errorf("%s may be kept: %q", p.path, p.header.Values("Cache-Control"))
	}
	if m := regexp.MustCompile(`<script>|<style|[^-]style="| on[a-z]+="|javascript:`).FindString(p.body); m != "" {
		t.Errorf("%s has a script or style within: %s", p.path, m)
	}
}

// spareAccount makes an account without going through the pages.
func (w *world) spareAccount(email, member string) string {
	w.t.Helper()
	secret, err := w.accounts.Invite(w.ctx(), account.Link{Email: email, Member: member})
	w.must(err)
	sealed, err := w.accounts.Begin(w.ctx(), secret, "Spare", goodPassword)
	w.must(err)
	d, err := w.accounts.Draft(sealed)
	w.must(err)
	a, codes, err := w.accounts.Finish(w.ctx(), d, "", account.Proof{Code: w.code(d.App)})
	w.must(err)
	w.secrets = append(append(w.secrets, secret, d.App), codes...)
	return a.ID
}

// Ids of another organisation under one's own: every page that names a thing
// finds it only there where it belongs.
func TestOthersThings(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		bob := w.signUp("bob@bank.example", "bank", false)
		olive := w.signUp("olive@perse.example", "perse", false)
		d, err := w.dir.AddDataService(w.ctx(), directory.DataService{Application: "perse-app", Title: "x", ConformsTo: "https://x.example/", Endpoint: "https://x.example/"})
		w.must(err)
		c, err := w.dir.IssueTo(w.ctx(), "perse", "perse-app", ca.Client, "", []byte(w.csr()))
		w.must(err)
		serial := c.Leaf.SerialNumber.String()
		g, _, err := w.dir.AddGateway(w.ctx(), directory.Gateway{Member: "perse", Name: "x", Site: "y"})
		w.must(err)
		_, err = w.dir.MakeToken(w.ctx(), "perse", directory.Reader, "x")
		w.must(err)
		ts, err := w.dir.Tokens(w.ctx(), "perse")
		w.must(err)
		_, err = w.accounts.Invite(w.ctx(), account.Link{Email: "new@x.example", Member: "perse"})
		w.must(err)
		ls, err := w.accounts.Invitations(w.ctx(), "perse")
		w.must(err)
		a, err := w.accounts.ByEmail(w.ctx(), olive.email)
		w.must(err)
		o := Prefix + "/o/bank"
		for _, p := range []string{"/applications/perse-app", "/applications/perse-app/change", "/applications/perse-app/services/new", "/applications/perse-app/services/" + d.ID,
			"/applications/bank-app/services/" + d.ID, "/certificates/" + serial + ".pem", "/certificates/../../perse/certificates/" + serial + ".pem"} {
			if got := bob.get(o + p); got.status != 404 && got.status != 301 && got.status != 307 {
				t.Errorf("GET %s: %d", p, got.status)
			}
		}
		for _, p := range []string{"/applications/perse-app", "/applications/perse-app/delete", "/applications/perse-app/services/new", "/applications/perse-app/services/" + d.ID,
			"/applications/bank-app/services/" + d.ID, "/applications/bank-app/services/" + d.ID + "/delete", "/applications/perse-app/certificates", "/certificates/" + serial + "/revoke",
			"/gateways/" + g.ID + "/code", "/gateways/" + g.ID + "/revoke", "/tokens/" + ts[0].ID + "/end", "/people/" + a.ID + "/remove", "/invitations/" + ls[0].ID + "/withdraw"} {
			bob.post(o+p, "name", "mine", "title", "x", "standard", "https://x.example/", "endpoint", "https://x.example/", "type", "client", "csr", w.csr()).is(404, "")
		}
		// A site of bob's own, for an application of olive's.
		bob.post(o+"/sites", "name", "x", "outcode", "SW8", "application", "perse-app").is(400, "another member")
		if got, err := w.dir.Application(w.ctx(), "perse-app"); err != nil || got.Name != w.perseApp.Name {
			t.Errorf("the application is now %+v %v", got, err)
		}
		if cs, err := w.dir.Certificates(w.ctx(), "perse-app"); err != nil || len(cs) != 1 || !cs[0].Revoked.IsZero() {
			t.Errorf("certificates %+v %v", cs, err)
		}
		olive.get(Prefix+"/o/perse").is(200, "")
	})
}

// A file is as good as text.
func TestUpload(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	upload := func(name, content string) page {
		body := "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nsigning\r\n--b\r\nContent-Disposition: form-data; name=\"csr\"\r\n\r\n\r\n" +
			"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + content + "\r\n--b--\r\n"
		r, err := http.NewRequest("POST", w.base+Prefix+"/o/perse/applications/perse-app/certificates", strings.NewReader(body))
		w.must(err)
		r.Header = olive.header.Clone()
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		res, err := olive.client.Do(r)
		w.must(err)
		defer res.Body.Close()
		all, err := io.ReadAll(res.Body)
		w.must(err)
		return page{w, "upload", res.StatusCode, res.Header.Get("Location"), string(all), res.Header}
	}
	upload("request.csr", w.csr()).is(303, "")
	upload("../../etc/passwd", "nonsense").is(400, "")
	upload("empty.csr", "").is(400, "Choose the file")
	upload("huge.csr", strings.Repeat("x", maxBody)).is(413, "64 KiB")
	if cs, err := w.dir.Certificates(w.ctx(), "perse-app"); err != nil || len(cs) != 1 || cs[0].Hierarchy != ca.Signing {
		t.Errorf("certificates %+v %v", cs, err)
	}
}
