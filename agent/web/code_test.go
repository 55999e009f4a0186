package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var (
	shownCode  = regexp.MustCompile(`class="big">([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})<`)
	replacesIn = regexp.MustCompile(`name="replaces" value="([^"]+)"`)
)

func codeOn(t *testing.T, h http.Handler) string {
	t.Helper()
	m := shownCode.FindStringSubmatch(send(h, "GET", "/", nil).Body.String())
	if m == nil {
		t.Fatal("the page shows no code")
	}
	return m[1]
}

// codeForm is what the question's form sends.
func codeForm(t *testing.T, h http.Handler, change ...func(*http.Request)) url.Values {
	t.Helper()
	page := send(h, "GET", "/code", nil, change...).Body.String()
	token, replaces := tokenForm.FindStringSubmatch(page), replacesIn.FindStringSubmatch(page)
	if token == nil || replaces == nil {
		t.Fatalf("no form: %s", page)
	}
	return url.Values{"token": {token[1]}, "replaces": {replaces[1]}}
}

// Nobody but this page, in a browser at an allowed place, makes a new code; and
// a form that comes twice makes one.
func TestNewCodeIsOurs(t *testing.T) {
	loopback := func(*config.Config) {}
	network := func(enroll string) func(*config.Config) {
		return func(c *config.Config) { c.Web = config.Web{Listen: "0.0.0.0:8480", Enroll: enroll} }
	}
	for name, x := range map[string]struct {
		config func(*config.Config)
		token  string // empty: the right one
		change []func(*http.Request)
		want   int
	}{
		"this page":               {loopback, "", nil, 303},
		"no token":                {loopback, "none", nil, 403},
		"another page":            {loopback, "", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"another origin":          {loopback, "", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		"rebinding":               {loopback, "", []func(*http.Request){host("evil.example:8480")}, 421},
		"the network":             {network("local"), "", []func(*http.Request){from("192.168.1.20")}, 403},
		"the network, allowed":    {network("lan"), "", []func(*http.Request){from("192.168.1.20")}, 303},
		"the gateway, on the net": {network("local"), "", nil, 303},
	} {
		h := enrolling(t, x.config, nil)
		before := codeOn(t, h)
		form := url.Values{"token": {"none"}, "replaces": {identity.CodeVersion(before)}}
		if x.token == "" {
			form.Set("token", tokenOf(t, h))
		}
		w := send(h, "POST", "/code", form, x.change...)
		if w.Code != x.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, x.want, w.Body)
		}
		after := codeOn(t, h)
		if (after != before) != (x.want == 303) {
			t.Errorf("%s: %s after %s", name, after, before)
		}
		if x.want == 303 {
			if again := send(h, "POST", "/code", form, x.change...); again.Code != 303 || codeOn(t, h) != after {
				t.Errorf("%s, twice: %d, %s after %s", name, again.Code, codeOn(t, h), after)
			}
		}
	}
	h := enrolling(t, loopback, nil)
	if w := send(h, "POST", "/code", url.Values{"token": {strings.Repeat("A", 5000)}}); w.Code != 400 {
		t.Errorf("a huge form: %d", w.Code)
	}
	page := send(h, "GET", "/code", nil).Body.String()
	for _, want := range []string{"Make a new meter code?", codeOn(t, h), "ends at once", "Yes, make a new code"} {
		if !strings.Contains(page, want) {
			t.Errorf("the question lacks %q", want)
		}
	}
	if page := send(h, "GET", "/code", nil, from("192.168.1.20")).Body.String(); strings.Contains(page, "<form") || !strings.Contains(page, "perseus-agent code new") {
		t.Errorf("from the network: %s", page)
	}
	if form := codeForm(t, h); send(h, "POST", "/code", form).Code != 303 {
		t.Error("the question's own form is refused")
	}
}

// The command's way in is for the gateway itself, and says what became of the
// code.
func TestNewCodeByCommand(t *testing.T) {
	h := enrolling(t, func(c *config.Config) { c.Web = config.Web{Listen: "0.0.0.0:8480", Enroll: "lan"} }, nil)
	before := codeOn(t, h)
	for _, x := range []struct {
		change func(*http.Request)
		want   int
	}{{from("192.168.1.20"), 403}, {header("Sec-Fetch-Site", "cross-site"), 403}, {header("Origin", "https://evil.example"), 403}} {
		if w := send(h, "POST", "/api/v1/code", nil, x.change); w.Code != x.want || codeOn(t, h) != before {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	w := send(h, "POST", "/api/v1/code", nil)
	var a NewCodeAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 || a.Code == before || a.Code != codeOn(t, h) || !strings.Contains(a.NotTold, "does not reach a relay yet") {
		t.Errorf("%d %+v, %v", w.Code, a, err)
	}
	records := enrolling(t, func(c *config.Config) { c.Uplink = nil }, nil)
	if w := send(records, "POST", "/api/v1/code", nil); w.Code != 409 || !strings.Contains(w.Body.String(), "only records") {
		t.Errorf("records only: %d %s", w.Code, w.Body)
	}
	if w := send(records, "GET", "/code", nil); w.Code != 303 {
		t.Errorf("records only, the question: %d", w.Code)
	}
}

// A code that stands for the site no more is not shown as one that does; the
// card says why and what to do, by who looks.
func TestRetiredCodeInWords(t *testing.T) {
	s := &server{token: "t", web: webConfig{Web: config.Web{Enroll: "local"}}}
	draw := func(st agent.Status, from string) string {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = from + ":50000"
		var b strings.Builder
		if err := pageTemplate.ExecuteTemplate(&b, "code", s.codeOf(st, r)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const code = "7K2M-9QXA-04TB"
	up := func(retired, notTold bool) *agent.UplinkStatus {
		return &agent.UplinkStatus{State: "sending", Status: &uplink.Status{Code: code, CodeRetired: retired, CodeNotTold: notTold}}
	}
	const gone = "This code is no longer valid: the site has a new tenant."
	if off := (&server{web: webConfig{Web: config.Web{Enroll: "off"}}}).mayCode(httptest.NewRequest("GET", "http://127.0.0.1:8480/", nil)); off == "" {
		t.Error("made on a page that is to change nothing")
	}
	for name, x := range map[string]struct {
		st         agent.Status
		from       string
		has, lacks []string
	}{
		"stands":               {agent.Status{Code: code, Uplink: up(false, false)}, "127.0.0.1", []string{code, "Type it", `href="/code"`}, []string{gone, "not heard"}},
		"stands, the network":  {agent.Status{Code: code, Uplink: up(false, false)}, "192.168.1.9", []string{code}, []string{`href="/code"`, "<form"}},
		"retired":              {agent.Status{Retired: true, Uplink: up(true, false)}, "127.0.0.1", []string{gone, "Make a new code", `action="/code"`, `role="alert"`}, []string{code, "Type it on"}},
		"retired, the network": {agent.Status{Retired: true, Uplink: up(true, false)}, "192.168.1.9", []string{gone, "on the gateway itself, by: perseus-agent code new"}, []string{code, "<form"}},
		"not told":             {agent.Status{Code: code, Uplink: up(false, true)}, "127.0.0.1", []string{code, "The relay has not heard of this code yet"}, []string{gone}},
	} {
		page := draw(x.st, x.from)
		for _, want := range x.has {
			if !strings.Contains(page, want) {
				t.Errorf("%s: lacks %q: %s", name, want, page)
			}
		}
		for _, bad := range x.lacks {
			if strings.Contains(page, bad) {
				t.Errorf("%s: has %q: %s", name, bad, page)
			}
		}
	}
}
