package server_test

import (
	"crypto/ecdsa"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
)

// TestHeaderTricks: who asks, for whom and what is said by the request line and
// by one header each; no other header moves it.
func TestHeaderTricks(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	path := "/m/" + w.Provider.ID
	plain := w.Call("GET", path, nil)

	// Whatever a request says of the host, addresses are the configured ones.
	for _, header := range []string{"Host", "X-Forwarded-Host", "X-Host", "Forwarded", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override",
		"X-HTTP-Method", "X-Method-Override", "Range", "Content-Location", "Origin", "Referer", "Cookie", "Upgrade", "Expect"} {
		for _, value := range []string{"evil.example", "host=evil.example", "/admin/organizations", "DELETE", "bytes=0-3", "session=" + w.Admin} {
			r := w.Request("GET", path, nil)
			if header == "Host" {
				r.Host = value
			} else {
				r.Header.Set(header, value)
			}
			got := w.Serve(r)
			if got.Code != 200 || got.Body.String() != plain.Body.String() {
				t.Errorf("%s: %s: %d %.200s", header, value, got.Code, got.Body)
			}
			for name, values := range got.Header() {
				if strings.Contains(strings.Join(values, " "), "evil.example") {
					t.Errorf("%s: %s came back in %s", header, value, name)
				}
			}
		}
	}
	for _, x := range []struct {
		name    string
		headers []string // pairs, added and not set
		status  int
	}{
		{"a token in the address", nil, 401},
		{"a token as a cookie", []string{"Cookie", "token=" + w.Admin}, 401},
		{"a token as a password", []string{"Authorization", "Basic " + w.Admin}, 401},
		{"a token with more behind it", []string{"Authorization", "Bearer " + w.Reader + " " + w.Admin}, 401},
		{"a token with a comma", []string{"Authorization", "Bearer " + w.Reader + ",Bearer " + w.Admin}, 401},
		{"a token in capitals", []string{"Authorization", "Bearer " + strings.ToUpper(w.Owner)}, 401},
		{"a token under another name", []string{"X-Authorization", "Bearer " + w.Owner}, 401},
		{"a token for the proxy", []string{"Proxy-Authorization", "Bearer " + w.Owner}, 401},
		{"as it should be", []string{"Authorization", "Bearer " + w.Owner}, 200},
	} {
		r := w.Request("GET", "/members/me?access_token="+w.Owner+"&token="+w.Owner, nil)
		for i := 0; i+1 < len(x.headers); i += 2 {
			r.Header.Add(x.headers[i], x.headers[i+1])
		}
		if got := w.Serve(r); got.Code != x.status {
			t.Errorf("%s: %d, want %d: %s", x.name, got.Code, x.status, got.Body)
		}
	}
	// Two tokens: the first counts, in whichever order, and they do not add up.
	for first, status := range map[string]int{w.Reader: 403, w.Owner: 201} {
		second := w.Owner
		if first == w.Owner {
			second = w.Reader
		}
		_, csr := dirtest.NewKeyCSR(t)
		r := w.Request("POST", "/members/applications/"+w.ProviderApp.ID+"/certificates", map[string]string{"type": "client", "csr": csr})
		r.Header.Add("Authorization", "Bearer "+first)
		r.Header.Add("Authorization", "Bearer "+second)
		if got := w.Serve(r); got.Code != status {
			t.Errorf("two tokens: %d, want %d: %s", got.Code, status, got.Body)
		}
	}
	// An owner who names another organisation stays where she is, however she
	// names it.
	for _, name := range []string{w.Bank.ID, dirtest.Base + "/m/" + w.Bank.ID, dirtest.Base + "/m/" + w.Provider.ID + "/../" + w.Bank.ID, w.Bank.ID + "," + w.Provider.ID, w.Provider.ID + "," + w.Bank.ID,
		" " + w.Bank.ID, w.Bank.ID + "\x00", strings.ToUpper(w.Bank.ID), dirtest.Base + "//m/" + w.Bank.ID, "%2e%2e/" + w.Bank.ID} {
		got := w.Call("GET", "/members/me", nil, "Authorization", "Bearer "+w.Owner, "X-Organization", name)
		if got.Code == 200 || strings.Contains(got.Body.String(), "Bank of Examples") {
			t.Errorf("X-Organization %q: %d %s", name, got.Code, got.Body)
		}
	}
}

// TestForwardedAddresses: a guesser who claims to come from elsewhere each time
// is still one guesser, unless the operator has said that a proxy stands in front.
func TestForwardedAddresses(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	last := 0
	for i := range 40 {
		_, a := dirtest.NewKeyCSR(t)
		_, b := dirtest.NewKeyCSR(t)
		from := fmt.Sprintf("198.51.100.%d", i)
		r := w.Request("POST", "/gateway/v1/enrollments", map[string]string{"code": "2222-2222-2222", "client_csr": a, "signing_csr": b},
			"X-Forwarded-For", from, "X-Real-IP", from, "Forwarded", "for="+from, "CF-Connecting-IP", from, "True-Client-IP", from)
		if last = w.Serve(r).Code; last == http.StatusTooManyRequests {
			return
		}
	}
	t.Errorf("40 guesses from as many pretended addresses: the last answered %d", last)
}

// TestPathTricks: what asks for a token is at one spelling of its address.
func TestPathTricks(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	for _, path := range []string{
		"/admin/organizations", "/Admin/organizations", "/admin//organizations", "/admin/./organizations", "/x/../admin/organizations", "/admin/organizations/",
		"/%61dmin/organizations", "/admin%2forganizations", "/admin;x=1/organizations", "/admin/organizations%00", "/admin/organizations%20", "/admin/organizations.json", "/m/%2e%2e/admin/organizations",
		"/acme/../admin/organizations", "/acme/%2e%2e/admin/organizations", "/registry/../admin/organizations", "/.well-known/est/../../admin/organizations", "//evil.example/admin/organizations",
		"/members/me", "/members//me", "/members/%6de", "/members/me;a=b", "/members/me/", "/members/ME", "/crl/../members/me", "/crl/%2e%2e%2fmembers%2fme",
	} {
		for _, method := range []string{"GET", "POST", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "DELETE"} {
			r := httptest.NewRequest("GET", "/", strings.NewReader("{}"))
			u, err := r.URL.Parse(dirtest.Base)
			if err != nil {
				t.Fatal(err)
			}
			r.Method, r.URL, r.RequestURI = method, u, path
			u.Path, u.RawPath = unescaped(path), path
			r.Header.Set("Content-Type", "application/json")
			got := w.Serve(r)
			to := got.Header().Get("Location") // a cleaned path, never another host
			if got.Code < 300 || strings.HasPrefix(to, "//") || strings.Contains(to, ":") {
				t.Errorf("%s %s: %d %v %s", method, path, got.Code, got.Header(), got.Body)
			}
		}
	}
	var n int
	if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_members`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d members, %v", n, err)
	}
}

func unescaped(path string) string {
	for _, x := range [][2]string{{"%61", "a"}, {"%6d", "m"}, {"%2f", "/"}, {"%2e", "."}, {"%00", "\x00"}, {"%20", " "}} {
		path = strings.ReplaceAll(path, x[0], x[1])
	}
	return path
}

// TestRequestTricks: certificate requests that are not what they seem.
func TestRequestTricks(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	key, good := dirtest.NewKeyCSR(t)
	other, second := dirtest.NewKeyCSR(t)
	block, _ := pem.Decode([]byte(good))
	point := dirtest.Must(key.PublicKey.Bytes())(t)
	patched := func(change func(der []byte, at int)) string {
		der := append([]byte(nil), block.Bytes...)
		change(der, strings.Index(string(der), string(point)))
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	for name, csr := range map[string]string{
		"a point that is not on the curve": patched(func(der []byte, at int) { der[at+64] ^= 1 }),
		"the point at infinity":            patched(func(der []byte, at int) { der[at] = 0 }),
		"a compressed point":               patched(func(der []byte, at int) { der[at] = 2 }),
		"another's key, own signature":     patched(func(der []byte, at int) { copy(der[at:], dirtest.Must(other.PublicKey.Bytes())(t)) }),
		"bytes behind it":                  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: append(append([]byte(nil), block.Bytes...), 0x30, 0)})),
		"a certificate":                    string(identity.EncodeCertificates(w.Authorities.Client.Issuer)),
		"a private key":                    dirtest.KeyPEM(t, key),
	} {
		if _, err := w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two requests in one text: the first counts, and nothing of the second.
	c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(good+second)))(t)
	if k, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey); !ok || !k.Equal(&key.PublicKey) {
		t.Error("not the first request's key")
	}
}
