package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
)

// The tab of a page is marked, also on pages below it.
func TestTabs(t *testing.T) {
	for _, c := range []struct{ here, tab, want string }{
		{"/manage/o/x", "/manage/o/x", "page"}, {"/manage/o/x/applications", "/manage/o/x", ""}, {"/manage/o/x/applications", "/manage/o/x/applications", "page"},
		{"/manage/o/x/applications/new", "/manage/o/x/applications", "true"}, {"/manage/o/x/applicationsX", "/manage/o/x/applications", ""},
		{"/manage/admin/people", "/manage/admin", ""}, {"/manage/admin/people/x", "/manage/admin/people", "true"}, {"/manage/admin", "/manage/admin", "page"},
	} {
		if got := current(c.here, c.tab); got != c.want {
			t.Errorf("%s under %s: %q, want %q", c.here, c.tab, got, c.want)
		}
	}
}

// What others wrote comes out as text, and nothing can be put between the tags.
func TestNothingIsTakenForMarkup(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	a := olive.post(Prefix+"/o/perse/applications", "name", evil, "description", evil).is(303, "").to
	olive.post(Prefix+"/o/perse/tokens", "label", evil, "access", "reader").is(200, "")
	olive.post(Prefix+"/o/perse/sites", "name", evil, "outcode", evil).is(400, "")
	olive.post(Prefix+"/o/perse/sites", "name", evil, "outcode", "SW8").is(200, "")
	olive.post(a+"/services/new", "title", evil, "standard", evil, "endpoint", evil).is(400, "")
	for _, p := range []string{a, a + "/change", Prefix + "/o/perse", Prefix + "/o/perse/applications", Prefix + "/o/perse/tokens", Prefix + "/o/perse/sites", Prefix + "/o/perse/history", Prefix + "/sign-in?next=" + evil} {
		if got := olive.get(p); strings.Contains(got.body, "<script>") || strings.Contains(got.body, "<img") {
			t.Errorf("%s has markup from outside", p)
		}
	}
}

// The pages know the same roles as the directory.
func TestRoleWords(t *testing.T) {
	w := onSQLite(t)
	for _, r := range w.dir.SchemeRoles() {
		if roleWords(r) == r {
			t.Errorf("no words for %s", r)
		}
	}
}

// An organisation of many sites: some are shown, all are found.
func TestManySites(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	for i := range sitesShown + 5 {
		_, err := w.dir.OpenSite(w.ctx(), directory.Site{Member: "perse", Name: fmt.Sprintf("Site %03d", i), Outcode: "SW8"}, "", fmt.Sprintf("Box %03d", i))
		w.must(err)
	}
	p := olive.get(Prefix+"/o/perse/sites").is(200, "Site 003").is(200, "And 5 more")
	if n := strings.Count(p.body, `action="/manage/o/perse/gateways/`); n != sitesShown {
		t.Errorf("%d gateways are shown", n)
	}
	p = olive.get(Prefix+"/o/perse/sites?q=bOx+054").is(200, "Site 054")
	if strings.Contains(p.body, "Site 003") {
		t.Error("the search finds too much")
	}
	olive.get(Prefix+"/o/perse/sites?q=%3Cb%3E").is(200, "None with “<b>”")
}

// How a certificate stands: until its end, soon at its end, ended, revoked.
func TestCertificateStates(t *testing.T) {
	w := onSQLite(t)
	c, err := w.dir.IssueTo(w.ctx(), "perse", "perse-app", ca.Client, "", []byte(w.csr()))
	w.must(err)
	v := &visit{App: w.app}
	for _, x := range []struct {
		at   time.Time
		want string
	}{{c.Leaf.NotBefore, "good"}, {c.Leaf.NotAfter.Add(-soon), "good"}, {c.Leaf.NotAfter.Add(-soon + time.Second), "soon"}, {c.Leaf.NotAfter.Add(-time.Second), "soon"}, {c.Leaf.NotAfter, "ended"}} {
		w.pass(x.at.Sub(w.now()))
		is, err := w.dir.Certificates(w.ctx(), "perse-app")
		w.must(err)
		if got := v.certificateView(is[0]).State; got != x.want {
			t.Errorf("at %v: %s, want %s", x.at, got, x.want)
		}
	}
	w.must(w.dir.RevokeOf(w.ctx(), "perse", c.Leaf.SerialNumber.String()))
	is, err := w.dir.Certificates(w.ctx(), "perse-app")
	w.must(err)
	if got := v.certificateView(is[0]).State; got != "revoked" {
		t.Errorf("revoked: %s", got)
	}
}

// Style and script are what the pages name, and nothing else lies beside them.
func TestStatics(t *testing.T) {
	w := onSQLite(t)
	b := w.browser()
	p := b.get(Prefix + "/sign-in")
	for _, pattern := range []string{`href="(/manage/static/style\.css\?[0-9a-f]{12})"`, `src="(/manage/static/passkey\.js\?[0-9a-f]{12})"`} {
		s := b.get(p.find(pattern)).is(200, "")
		if s.header.Get("Content-Type") == "" || !strings.Contains(s.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", s.path, s.header)
		}
	}
	for _, path := range []string{"/static/", "/static/../pages/layout.html", "/static/nothing", "/pages/layout.html"} {
		if got := b.get(Prefix + path); got.status == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

// Who acts for an organisation by the member API alone is on its page of people,
// once, and not there any more with an account of the same address.
func TestPeopleByToken(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	for _, email := range []string{"api@perse.example", "olive@perse.example"} {
		_, err := w.dir.AddOwner(w.ctx(), "perse", email)
		w.must(err)
	}
	page := olive.get(Prefix+"/o/perse/people").is(200, "interface alone").body
	if strings.Count(page, "api@perse.example") != 1 || strings.Count(page, "<strong>olive@perse.example</strong>") != 0 {
		t.Errorf("people: %s", page)
	}
	bank := w.signUp("ben@bank.example", "bank", false)
	if page := bank.get(Prefix+"/o/bank/people").is(200, "").body; strings.Contains(page, "interface alone") {
		t.Error("another organisation has them too")
	}
}
