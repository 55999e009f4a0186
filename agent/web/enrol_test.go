package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
)

// roundTrip is a directory for the agent.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// enrolling serves the page of an agent that is not running and not enrolled.
func enrolling(t *testing.T, change func(*config.Config), directory roundTrip) http.Handler {
	t.Helper()
	c := testConfig()
	c.Buses, c.Meters = nil, nil
	c.Web.Enroll = "local"
	c.Uplink = &config.Uplink{Identity: filepath.Join(t.TempDir(), "identity"), KeyStore: "file"}
	change(c)
	s, _, err := store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a, err := agent.New(agent.Options{Config: c, Store: s, Logger: quiet, HTTP: directory})
	if err != nil {
		t.Fatal(err)
	}
	return New(a, c, quiet)
}

func send(h http.Handler, method, target string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Host, r.RemoteAddr = "127.0.0.1:8480", "127.0.0.1:50000"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var tokenForm = regexp.MustCompile(`name="token" value="([^"]+)"`)

func tokenOf(t *testing.T, h http.Handler, change ...func(*http.Request)) string {
	t.Helper()
	m := tokenForm.FindStringSubmatch(send(h, "GET", "/", nil, change...).Body.String())
	if m == nil {
		t.Fatal("the page has no form")
	}
	return m[1]
}

func header(k, v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(k, v) }
}
func host(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr + ":50000" }
}

// Nobody but this page, in a browser at an allowed place, makes the gateway
// enrol.
func TestEnrolmentIsOurs(t *testing.T) {
	asked := 0
	directory := roundTrip(func(*http.Request) (*http.Response, error) {
		asked++
		return nil, errors.New("no way")
	})
	loopback := func(*config.Config) {}
	network := func(enroll string) func(*config.Config) {
		return func(c *config.Config) {
			c.Web = config.Web{Listen: "0.0.0.0:8480", Enroll: enroll, Names: []string{"Gateway.example.org"}}
		}
	}
	for name, x := range map[string]struct {
		config func(*config.Config)
		token  string // empty: the right one
		change []func(*http.Request)
		want   int
	}{
		"this page":                      {loopback, "", nil, 422},
		"this page, by name":             {loopback, "", []func(*http.Request){host("localhost:8480")}, 422},
		"this page, says the browser":    {loopback, "", []func(*http.Request){header("Sec-Fetch-Site", "same-origin"), header("Origin", "http://127.0.0.1:8480")}, 422},
		"no token":                       {loopback, "none", nil, 403},
		"another page":                   {loopback, "", []func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"another port":                   {loopback, "", []func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		"another origin":                 {loopback, "", []func(*http.Request){header("Origin", "https://evil.example")}, 403},
		"a file":                         {loopback, "", []func(*http.Request){header("Origin", "null")}, 403},
		"rebinding":                      {loopback, "", []func(*http.Request){host("evil.example:8480")}, 421},
		"rebinding, same origin":         {loopback, "", []func(*http.Request){host("evil.example:8480"), header("Origin", "http://evil.example:8480"), header("Sec-Fetch-Site", "same-origin")}, 421},
		"rebinding, an address":          {loopback, "", []func(*http.Request){host("192.0.2.9:8480")}, 421},
		"network, its address":           {network("lan"), "", []func(*http.Request){host("192.168.1.9:8480"), from("192.168.1.20")}, 422},
		"network, its name":              {network("lan"), "", []func(*http.Request){host("gateway:8480"), from("192.168.1.20")}, 422},
		"network, .local":                {network("lan"), "", []func(*http.Request){host("shop.LOCAL."), from("192.168.1.20")}, 422},
		"network, configured":            {network("lan"), "", []func(*http.Request){host("gateway.EXAMPLE.org"), from("192.168.1.20")}, 422},
		"network, rebinding":             {network("lan"), "", []func(*http.Request){host("evil.example"), from("192.168.1.20")}, 421},
		"network, where it listens":      {func(c *config.Config) { c.Web = config.Web{Listen: "shop.example.net:8480", Enroll: "lan"} }, "", []func(*http.Request){host("Shop.example.net:8480"), from("192.168.1.20")}, 422},
		"network, nearly configured":     {network("lan"), "", []func(*http.Request){host("gateway.example.org.evil.example"), from("192.168.1.20")}, 421},
		"network, but local only":        {network("local"), "", []func(*http.Request){host("192.168.1.9"), from("192.168.1.20")}, 403},
		"network, from the machine":      {network("local"), "", nil, 422},
		"off":                            {network("off"), "", nil, 403},
		"an IPv6 loopback":               {loopback, "", []func(*http.Request){host("[::1]:8480"), func(r *http.Request) { r.RemoteAddr = "[::1]:50000" }}, 422},
		"a mapped address is no network": {network("local"), "", []func(*http.Request){func(r *http.Request) { r.RemoteAddr = "[::ffff:192.168.1.20]:50000" }}, 403},
	} {
		h := enrolling(t, x.config, directory)
		asked = 0
		token := x.token
		if m := tokenForm.FindStringSubmatch(send(h, "GET", "/", nil).Body.String()); m != nil && token == "" {
			token = m[1]
		}
		form := url.Values{"token": {token}, "code": {identity.NewEnrolCode()}, "directory": {"https://directory.example"}}
		w := send(h, "POST", "/enrol", form, x.change...)
		if w.Code != x.want {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, x.want, w.Body)
		}
		if tried := asked > 0; tried != (x.want == 422) {
			t.Errorf("%s: the directory was asked: %t", name, tried)
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "form-action 'self'") || !strings.Contains(p, "default-src 'none'") {
			t.Errorf("%s: policy %q", name, p)
		}
	}
	h := enrolling(t, loopback, directory)
	if w := send(h, "GET", "/enrol", nil); w.Code != 405 {
		t.Errorf("GET /enrol: %d", w.Code)
	}
	if w := send(h, "POST", "/enrol", url.Values{"token": {tokenOf(t, h)}, "code": {strings.Repeat("A", 5000)}}); w.Code != 400 {
		t.Errorf("a huge form: %d", w.Code)
	}
}

// What goes wrong is said on the page, in words, and a typed code stays to be
// put right.
func TestEnrolmentRefused(t *testing.T) {
	var got string
	status, body := 403, `{"error":"invalid_code","error_description":"<b>wrong</b>"}`
	h := enrolling(t, func(*config.Config) {}, func(r *http.Request) (*http.Response, error) {
		got = r.URL.String()
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
	})
	token := tokenOf(t, h)
	good := identity.NewEnrolCode()
	for name, x := range map[string]struct {
		code, directory, want string
		asked                 bool
	}{
		"mistyped":        {"7K2M-9KXA-34TF", "https://d.example", "one character is wrong or two changed places", false},
		"look-alike":      {"OIL0-9KXA-34TE", "https://d.example", "no code has", false},
		"nothing":         {"", "https://d.example", "mistyped: there is none", false},
		"no directory":    {good, "", "address is missing", false},
		"not TLS":         {good, "http://d.example", "address must be like https://", false},
		"unknown":         {good, "https://d.example", "does not know this code", true},
		"a QR code's":     {identity.EnrolLink("https://other.example", good), "https://d.example", "https://other.example does not know this code", true},
		"a script's code": {`"><script>`, "https://d.example", "no code has", false},
	} {
		got = ""
		w := send(h, "POST", "/enrol", url.Values{"token": {token}, "code": {x.code}, "directory": {x.directory}})
		page := w.Body.String()
		if w.Code != 422 || !strings.Contains(page, x.want) || !strings.Contains(page, "It did not work") || (got != "") != x.asked {
			t.Errorf("%s: %d, asked %q: %s", name, w.Code, got, page)
		}
		if strings.Contains(page, "<script") || strings.Contains(page, "<b>wrong") {
			t.Errorf("%s: %s", name, page)
		}
	}
	// The directory of the configuration cannot be changed on the page.
	h = enrolling(t, func(c *config.Config) { c.Uplink.Directory = "https://ours.example" }, func(r *http.Request) (*http.Response, error) {
		got = r.URL.String()
		return nil, errors.New("no")
	})
	send(h, "POST", "/enrol", url.Values{"token": {tokenOf(t, h)}, "code": {identity.EnrolLink("https://evil.example", good)}})
	if !strings.HasPrefix(got, "https://ours.example/") {
		t.Errorf("asked %s", got)
	}
	if page := send(h, "GET", "/", nil).Body.String(); strings.Contains(page, `name="directory"`) || !strings.Contains(page, "https://ours.example") {
		t.Error("the page asks for a directory")
	}
	if w := send(h, "GET", "/enrolled", nil); w.Code != 303 {
		t.Errorf("/enrolled, though it is not: %d", w.Code)
	}
}

// The page says how the gateway's identity stands, and has the form where one
// is needed.
func TestIdentityInWords(t *testing.T) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	detail := func(state, store string) *uplink.Status {
		return &uplink.Status{Gateway: "https://d.example/g/1", Organisation: "Perse & Co", Directory: "https://d.example", Relay: "https://r.example", Connected: true,
			EnrolledAt: at.AddDate(0, -6, 0), Certificates: []uplink.CertificateStatus{
				{Kind: "client", State: state, NotAfter: at, RenewAt: at.AddDate(0, -4, 0), KeyStore: store, Words: "old words"},
				{Kind: "signing", State: "valid", NotAfter: at, RenewAt: at.AddDate(0, -4, 0), KeyStore: store}}}
	}
	inBoth := func(s *uplink.Status) *uplink.Status {
		s.Certificates[1].KeyStore, s.Certificates[1].Token = "pkcs11", "Gateway 1, serial number 12"
		return s
	}
	inToken := func(s *uplink.Status) *uplink.Status {
		s.Certificates[0].Token = "Gateway 1, serial number 12"
		return inBoth(s)
	}
	for name, x := range map[string]struct {
		u     *agent.UplinkStatus
		form  bool
		says  []string
		never []string
	}{
		"records only": {nil, false, []string{"This gateway only records"}, []string{"identity"}},
		"not enrolled": {&agent.UplinkStatus{State: "not enrolled"}, true, []string{"not enrolled yet", "Readings are kept here"}, []string{"Run by"}},
		"enrolled":     {&agent.UplinkStatus{State: "sending", Status: detail("valid", "file")}, false, []string{"Perse &amp; Co", "https://d.example/g/1", "good until 1 March 2027, renewed by itself from 1 November 2026", "in files that the agent alone can read"}, []string{"<form"}},
		"in a TPM":     {&agent.UplinkStatus{State: "sending", Status: detail("valid", "tpm")}, false, []string{"in this machine&#39;s TPM"}, []string{"<form"}},
		"in a token":   {&agent.UplinkStatus{State: "sending", Status: inToken(detail("valid", "pkcs11"))}, false, []string{"in the token Gateway 1, serial number 12"}, []string{"<form", "partly"}},
		"in both":      {&agent.UplinkStatus{State: "sending", Status: inBoth(detail("valid", "file"))}, false, []string{"partly in files that the agent alone can read, partly in the token Gateway 1, serial number 12"}, []string{"<form"}},
		"revoked":      {&agent.UplinkStatus{State: "revoked", Status: detail("revoked", "file")}, true, []string{"identity was revoked", "Perse &amp; Co", `value="https://d.example"`, "Readings are kept here"}, []string{"good until", "old words"}},
		"expired":      {&agent.UplinkStatus{State: "expired", Status: detail("expired", "file")}, true, []string{"identity has run out", "for a new code"}, []string{"good until"}},
		"unusable":     {&agent.UplinkStatus{State: "cannot begin", Reason: "the TPM was cleared"}, true, []string{"The TPM was cleared.", "a new code"}, nil},
	} {
		s := &server{token: "t", web: webConfig{Web: config.Web{Enroll: "local"}}}
		st := agent.Status{Uplink: x.u, Now: at, Wall: at}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:1"
		var b strings.Builder
		if err := pageTemplate.Execute(&b, view{Status: st, Uplink: uplinkWords(st), Enrol: s.enrolOf(st, r)}); err != nil {
			t.Fatal(err)
		}
		for _, w := range x.says {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: the page lacks %q", name, w)
			}
		}
		for _, w := range x.never {
			if strings.Contains(b.String(), w) {
				t.Errorf("%s: the page has %q", name, w)
			}
		}
		if strings.Contains(b.String(), "<form") != x.form {
			t.Errorf("%s: form %t", name, !x.form)
		}
		r.RemoteAddr = "192.168.1.20:1"
		if e := s.enrolOf(st, r); x.form && (e.Form || !strings.Contains(strings.Join(e.Words, " "), "perseus-agent enroll")) {
			t.Errorf("%s: from the network: %+v", name, e)
		}
	}
}
