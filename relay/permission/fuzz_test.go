package permission

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

const fuzzClient = "https://directory.example/a/bank"

// forFuzzing is a service without a database, and the certificate of a client
// that has every role.
func forFuzzing(f *testing.F) (*Service, *x509.Certificate) {
	f.Helper()
	sc, err := scheme.New("https://registry.example")
	if err != nil {
		f.Fatal(err)
	}
	leaf := identitytest.New(f).Client(fuzzClient, "Bank", "https://directory.example/m/bank", sc.Role(scheme.CAP), sc.Role(scheme.FSP))
	return &Service{c: Config{Scheme: sc, Now: time.Now}}, leaf.Cert()
}

// refusal checks that an error is one that a client may see.
func refusal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status > 499 || e.Code == "" || e.Description == "" || ascii(e.Description) != e.Description {
		t.Fatalf("refused with %#v", err)
	}
}

// Whatever body and type a client sends: a form that is taken has one plain
// value for each name and is the client's own.
func FuzzForm(f *testing.F) {
	s, cert := forFuzzing(f)
	const form = "application/x-www-form-urlencoded"
	for _, seed := range []struct{ mt, body string }{
		{form, "client_id=" + url.QueryEscape(fuzzClient) + "&grant_type=refresh_token&refresh_token=x"}, {form + "; charset=utf-8", "a=b&a=c"}, {form, "a=%00&b=%ff"},
		{form, "client_id=x;y=z"}, {form, "%zz"}, {"multipart/form-data; boundary=x", "--x\r\n"}, {"", "a=b"}, {"application/json", "{}"}, {form + ";;", "&&=&="},
	} {
		f.Add(seed.mt, seed.body, true)
		f.Add(seed.mt, seed.body, false)
	}
	f.Fuzz(func(t *testing.T, mt, body string, needID bool) {
		r := httptest.NewRequest(http.MethodPost, "https://relay.example/oauth/token?client_id=query", strings.NewReader(body))
		r.Header["Content-Type"] = []string{mt}
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
		client, form, err := s.readForm(httptest.NewRecorder(), r, needID)
		if err != nil {
			refusal(t, err)
			return
		}
		if client.Application != fuzzClient || needID && form.Get("client_id") != fuzzClient {
			t.Fatalf("taken: %q for %s", body, client.Application)
		}
		for k, v := range form {
			if len(v) != 1 || !plain(v[0]) || v[0] == "query" && !strings.Contains(body, "query") {
				t.Fatalf("taken: %q = %q", k, v)
			}
		}
		if form.Has("client_secret") || form.Has("client_assertion") {
			t.Fatalf("taken with a secret: %q", body)
		}
	})
}

// Whatever is pushed: what is taken is for one licence, with a challenge of 32
// bytes and an address that a browser may be led to.
func FuzzPushedRequest(f *testing.F) {
	s, _ := forFuzzing(f)
	good := url.Values{"response_type": {"code"}, "scope": {s.c.Scheme.LicenseCombined()}, "redirect_uri": {"https://bank.example/cb"}, "state": {"x"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(make([]byte, 32))}, "code_challenge_method": {"S256"}}
	f.Add(good.Encode())
	for _, k := range []string{"response_type", "scope", "redirect_uri", "code_challenge", "code_challenge_method", "request", "request_uri", "response_mode"} {
		bad := url.Values{}
		for name, v := range good {
			bad[name] = v
		}
		bad.Set(k, good.Get(k)+" x")
		f.Add(bad.Encode())
	}
	client := identity.Peer{Application: fuzzClient, Organisation: "Bank", Roles: []string{s.c.Scheme.Role(scheme.FSP), s.c.Scheme.Role(scheme.CAP)}}
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := s.checkRequest(client, form)
		if err != nil {
			refusal(t, err)
			return
		}
		b, err := base64.RawURLEncoding.Strict().DecodeString(q.Challenge)
		if err != nil || len(b) != 32 || !slices.Contains(s.c.Scheme.Licenses(), q.License) || checkRedirect(q.RedirectURI) != nil || q.Client != fuzzClient || q.Parts == "" ||
			form.Has("request") || form.Has("request_uri") || len(q.State) > 1024 {
			t.Fatalf("taken: %+v of %q", q, query)
		}
	})
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer abc", "Bearer", "Bearer ", "Bearer a b", "Basic abc", "Bearer\tabc", "Bearer  abc", "", "Bearer " + strings.Repeat("x", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		token, err := bearer(r)
		if err != nil {
			refusal(t, err)
			return
		}
		if token == "" || len(token) > 512 || strings.ContainsAny(token, " \t") || !strings.HasSuffix(header, token) || !strings.EqualFold(header[:7], "bearer ") {
			t.Fatalf("%q gave %q", header, token)
		}
		r.Header.Add("Authorization", header)
		if _, err := bearer(r); err == nil {
			t.Fatal("two headers were taken")
		}
	})
}

func FuzzVerifier(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("a", 42), strings.Repeat("a", 43), strings.Repeat("~", 128), strings.Repeat("a", 129), strings.Repeat("a", 42) + "é", strings.Repeat("a", 42) + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if err := checkVerifier(v); err != nil {
			refusal(t, err)
			return
		}
		if len(v) < 43 || len(v) > 128 || url.QueryEscape(v) != v {
			t.Fatalf("%q was taken", v)
		}
		if b, err := base64.RawURLEncoding.DecodeString(challengeOf(v)); err != nil || len(b) != 32 {
			t.Fatalf("its challenge: %s", challengeOf(v))
		}
	})
}

func FuzzPreferredWait(f *testing.F) {
	for _, s := range []string{"wait=50", "wait=", `wait="5"`, "respond-async, wait=10;x", "wait=-1", "wait=1e9", ",,=,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := preferredWait([]string{header}); d < 0 || d > maxWait || d%time.Second != 0 {
			t.Fatalf("%q gave %v", header, d)
		}
	})
}
