package permission_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// The receiver of another member, behind mutual TLS: it sees the relay's
// certificate, and the relay checks its.
func TestHTTPDelivery(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	relay := w.pki.Client("https://directory.example/a/relay", "Perseus Relay Ltd", "https://directory.example/m/relay", perseus.Role(scheme.EDP))
	type got struct{ peer, body, kind, key string }
	var seen []got
	status := 204
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inbox", func(rw http.ResponseWriter, r *http.Request) {
		p, err := identity.RequestPeer(r)
		must(t, err)
		b, err := io.ReadAll(r.Body)
		must(t, err)
		seen = append(seen, got{p.Application, string(b), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key")})
		rw.WriteHeader(status)
	})
	moved := w.listen(http.RedirectHandler("https://elsewhere.example/", http.StatusTemporaryRedirect), true)
	host := w.listen(mux, true)
	address := host + "/inbox"
	var lookup error
	config := permission.HTTPDeliveryConfig{Certificate: relay.Get, ServerRoots: w.pki.ServerCA.Pool(), Private: true,
		Find: func(_ context.Context, app string) (string, error) { return address, lookup }}
	d, err := permission.NewHTTPDelivery(config)
	must(t, err)
	must(t, d.Deliver(t.Context(), bankURL, "id1", []byte(`{"a":1}`)))
	if len(seen) != 1 || seen[0] != (got{"https://directory.example/a/relay", `{"a":1}`, "application/json", `"id1"`}) {
		t.Errorf("the receiver saw %+v", seen)
	}
	untrusted := httptest.NewTLSServer(mux)
	defer untrusted.Close()
	for _, c := range []struct {
		name, address, want string
		status              int
	}{
		{"an error", host + "/inbox", "503", 503},
		{"moved", moved, "307", 204},
		{"a server of nobody's", untrusted.URL + "/inbox", "certificate", 204},
		{"no address", "", "messageDelivery", 204},
		{"http", "http://bank.example/inbox", "https", 204},
		{"a user", "https://u:p@bank.example/inbox", "https", 204},
		{"nonsense", "https://%zz", "https", 204},
	} {
		address, status = c.address, c.status
		if err := d.Deliver(t.Context(), bankURL, "id2", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	lookup = errors.New("directory down")
	if err := d.Deliver(t.Context(), bankURL, "id2", nil); err == nil || !strings.Contains(err.Error(), "directory down") {
		t.Errorf("directory down: %v", err)
	}
	// Outside a sandbox nothing goes to a private address, by whatever name.
	lookup, status, config.Private = nil, 204, false
	d, err = permission.NewHTTPDelivery(config)
	must(t, err)
	n := len(seen)
	for _, a := range []string{host + "/inbox", strings.Replace(host, "127.0.0.1", "localhost", 1) + "/inbox", strings.Replace(host, "127.0.0.1", "[::ffff:127.0.0.1]", 1) + "/inbox"} {
		address = a
		if err := d.Deliver(t.Context(), bankURL, "id3", nil); err == nil || !strings.Contains(err.Error(), "public internet") || len(seen) != n {
			t.Errorf("%s: %v", a, err)
		}
	}
	if _, err := permission.NewHTTPDelivery(permission.HTTPDeliveryConfig{}); err == nil {
		t.Error("made of nothing")
	}
}

func TestRefusePrivate(t *testing.T) {
	for _, a := range []string{"10.1.2.3:443", "127.0.0.1:443", "169.254.169.254:80", "172.16.0.1:443", "192.168.0.1:443", "100.64.0.1:443", "0.0.0.0:443",
		"224.0.0.1:443", "255.255.255.255:443", "198.18.0.1:443", "[::1]:443", "[::]:443", "[fe80::1%eth0]:443", "[fd00::1]:443", "[ff02::1]:443",
		"[::ffff:10.0.0.1]:443", "[64:ff9b::a00:1]:443", "[2002:a00:1::1]:443", "[2001:db8::1]:443", "[::10.0.0.1]:443", "[::ffff:0:10.0.0.1]:443", "[fec0::1]:443", "[4000::1]:443", "name:443", ""} {
		if permission.RefusePrivate(a) == nil {
			t.Errorf("%s is taken for public", a)
		}
	}
	for _, a := range []string{"93.184.215.14:443", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443"} {
		if err := permission.RefusePrivate(a); err != nil {
			t.Error(err)
		}
	}
}

func TestMessageAddress(t *testing.T) {
	const app, in = "https://d.example/a/1", "https://in.example/m"
	for _, c := range []struct{ doc, want string }{
		{`{"id":"` + app + `","messageDelivery":"` + in + `"}`, in},
		{`{"@context":{},"@id":"` + app + `","ib1:messageDelivery":{"@id":"` + in + `"}}`, in},
		{`{"@graph":[{"@id":"` + app + `","https://registry.trust.ib1.org/ns/1.0#messageDelivery":[{"@value":"` + in + `"}]},{"@id":"https://d.example/a/2","messageDelivery":"https://wrong.example"}]}`, in},
		{`[{"@id":"` + app + `","https://registry.trust.ib1.org/ns/1.0/messageDelivery":[{"@id":"` + in + `"}]}]`, in},
		{`{"@id":"` + app + `"}`, ""},
		{`{"@id":"` + app + `","messageDelivery":""}`, ""},
		{`{"@id":"https://d.example/a/2","messageDelivery":"` + in + `"}`, ""},
		{`{"messageDelivery":[1,null,true,{"@id":7}]}`, ""},
		{`{"messageDelivery":["https://a.example","https://b.example"]}`, "error"},
		{`<html>`, "error"},
		{strings.Repeat("[", 5000) + strings.Repeat("]", 5000), ""},
	} {
		got, err := permission.MessageAddress([]byte(c.doc), app)
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%.120s: %q, %v; want %q", c.doc, got, err, c.want)
		}
	}
}

func FuzzMessageAddress(f *testing.F) {
	f.Add([]byte(`{"@graph":[{"@id":"https://d.example/a/1","ib1:messageDelivery":{"@id":"x"}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		a, err := permission.MessageAddress(doc, "https://d.example/a/1")
		if err != nil && a != "" {
			t.Errorf("%q and %v", a, err)
		}
	})
}

// The address is looked up in the directory, which says how long it holds;
// nothing outside the directory is asked for.
func TestDirectoryLookup(t *testing.T) {
	var asked []string
	cache, body, status := "public, max-age=60", "", 200
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Accept"))
		rw.Header().Set("Cache-Control", cache)
		rw.WriteHeader(status)
		io.WriteString(rw, body)
	}))
	defer srv.Close()
	now := time.Now()
	d := permission.NewDirectoryLookup(srv.URL, srv.Client(), func() time.Time { return now })
	app := srv.URL + "/a/bank"
	body = fmt.Sprintf(`{"@id":%q,"ib1:messageDelivery":{"@id":"https://bank.example/in"}}`, app)
	find := func(want string, times int) {
		t.Helper()
		got, err := d.Find(t.Context(), app)
		if err != nil {
			got = "error: " + err.Error()
		}
		if !strings.HasPrefix(got, want) || len(asked) != times {
			t.Errorf("%q after %d questions, want %q after %d", got, len(asked), want, times)
		}
	}
	find("https://bank.example/in", 1)
	find("https://bank.example/in", 1)
	now = now.Add(time.Minute)
	body, cache = `{}`, "no-store, max-age=60"
	find("", 2)
	find("", 3)
	status = 404
	find("error: the directory answered 404", 4)
	status, body = 200, strings.Repeat(" ", 1<<20+1)
	find("error: the directory's answer is larger", 5)
	for _, a := range []string{"https://169.254.169.254/a", srv.URL, srv.URL + ".evil.example/a", "http://x"} {
		if _, err := d.Find(t.Context(), a); err == nil || len(asked) != 5 {
			t.Errorf("%s was asked for: %v", a, err)
		}
	}
}
