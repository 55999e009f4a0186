package acme_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/acme"
)

// farm is an internet of its own: addresses lead to handlers, names to
// addresses. Nothing leaves the machine.
type farm struct {
	*names
	mu     sync.Mutex
	at     map[string]*httptest.Server // by address and port
	dialed []string
}

func newFarm() *farm {
	return &farm{names: &names{m: map[string][]string{}, n: map[string]int{}}, at: map[string]*httptest.Server{}}
}

func (f *farm) serve(t *testing.T, address string, h http.HandlerFunc) {
	s := httptest.NewServer(h)
	if strings.HasSuffix(address, ":443") {
		s.Close()
		s = httptest.NewTLSServer(h)
	}
	t.Cleanup(s.Close)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[address] = s
}

// lost has packets to an address get lost.
func (f *farm) lost(address string) { f.at[address] = nil }

func (f *farm) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.mu.Lock()
	f.dialed = append(f.dialed, address)
	s, lost := f.at[address]
	f.mu.Unlock()
	if lost && s == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	if s == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, s.Listener.Addr().String())
}

func (f *farm) sawOnly(t *testing.T, addresses ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.dialed, " "); got != strings.Join(addresses, " ") {
		t.Errorf("connections to %q, want %q", got, addresses)
	}
	f.dialed = nil
}

func say(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, s) }
}

func to(u string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, u, http.StatusFound) }
}

const (
	token   = "tokentokentokentoken"
	keyAuth = token + ".thumbprint"
)

// TestValidate: what is found is said as it is.
func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, x := range map[string]struct {
		prepare func(t *testing.T, f *farm)
		kind    string // empty: met
		words   []string
		seen    []string // connections
	}{
		"there": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "a.example" || r.URL.Path != "/.well-known/acme-challenge/"+token || r.Header.Get("User-Agent") != "test" || r.Header.Get("Cookie") != "" {
					t.Errorf("asked %s %s %v", r.Host, r.URL, r.Header)
				}
				io.WriteString(w, keyAuth)
			})
		}, "", nil, []string{"93.184.0.1:80"}},
		"there, with white space behind": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", say(keyAuth+" \r\n\t\n"))
		}, "", nil, []string{"93.184.0.1:80"}},
		"second address": {func(t *testing.T, f *farm) {
			f.set("a.example", "2600::1", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", say(keyAuth))
		}, "", nil, []string{"[2600::1]:80", "93.184.0.1:80"}},
		"private addresses are passed over": {func(t *testing.T, f *farm) {
			f.set("a.example", "10.0.0.1", "93.184.0.1", "fd00::1")
			f.serve(t, "93.184.0.1:80", say(keyAuth))
		}, "", nil, []string{"93.184.0.1:80"}},
		"redirect to https with a certificate that nobody trusts": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("https://a.example/elsewhere"))
			f.serve(t, "93.184.0.1:443", say(keyAuth))
		}, "", nil, []string{"93.184.0.1:80", "93.184.0.1:443"}},
		"redirect to another host": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.set("b.example", "93.184.0.2")
			f.serve(t, "93.184.0.1:80", to("http://b.example/x"))
			f.serve(t, "93.184.0.2:80", say(keyAuth))
		}, "", nil, []string{"93.184.0.1:80", "93.184.0.2:80"}},

		"no such name": {func(t *testing.T, f *farm) {}, "dns", []string{"no address for a.example"}, nil},
		"no addresses": {func(t *testing.T, f *farm) { f.set("a.example") }, "dns", []string{"no address", "public addresses only"}, nil},
		"private only": {func(t *testing.T, f *farm) { f.set("a.example", "192.168.1.4", "::1") }, "dns", []string{"192.168.1.4", "::1", "public addresses only"}, nil},
		"nothing listens": {func(t *testing.T, f *farm) { f.set("a.example", "93.184.0.1") }, "connection",
			[]string{"http://a.example/.well-known/acme-challenge/" + token, "93.184.0.1:80", "connection refused", "port 80"}, []string{"93.184.0.1:80"}},
		"not found": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", http.NotFound)
		}, "incorrectResponse", []string{"93.184.0.1:80", "answered 404", "another machine"}, []string{"93.184.0.1:80"}},
		"forbidden": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) })
		}, "incorrectResponse", []string{"answered 403", "open to all"}, []string{"93.184.0.1:80"}},
		"right words, wrong status": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); io.WriteString(w, keyAuth) })
		}, "incorrectResponse", []string{"answered 500"}, []string{"93.184.0.1:80"}},
		"other words": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", say("<html>\nparked"))
		}, "incorrectResponse", []string{`"<html>\nparked"`, keyAuth}, []string{"93.184.0.1:80"}},
		"more behind it": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", say(keyAuth+"x"))
		}, "incorrectResponse", []string{keyAuth + "x"}, []string{"93.184.0.1:80"}},
		"before it": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", say(" "+keyAuth))
		}, "incorrectResponse", []string{`" ` + keyAuth}, []string{"93.184.0.1:80"}},
		"without end": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
				for { // until the reader has had enough
					if _, err := io.WriteString(w, long); err != nil {
						return
					}
				}
			})
		}, "incorrectResponse", []string{"more than 1024 bytes", "xxx"}, []string{"93.184.0.1:80"}},
		"huge header": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
				for i := range 10 {
					w.Header().Set("X-"+strconv.Itoa(i), long)
				}
			})
		}, "connection", []string{"header"}, []string{"93.184.0.1:80"}},
		"not HTTP": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
				c, _, err := w.(http.Hijacker).Hijack()
				if err == nil {
					io.WriteString(c, "220 mail.example ESMTP\r\n")
					c.Close()
				}
			})
		}, "connection", []string{"malformed HTTP"}, []string{"93.184.0.1:80"}},
		"redirect to a private address": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.set("inside.example", "10.0.0.1")
			f.serve(t, "93.184.0.1:80", to("http://inside.example/secret"))
			f.serve(t, "10.0.0.1:80", say(keyAuth))
		}, "dns", []string{"inside.example", "10.0.0.1", "public addresses only"}, []string{"93.184.0.1:80"}},
		"redirect to an address": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("http://169.254.169.254/latest/meta-data"))
			f.serve(t, "169.254.169.254:80", say(keyAuth))
		}, "incorrectResponse", []string{"169.254.169.254", "an address instead of a name"}, []string{"93.184.0.1:80"}},
		"redirect to an address in disguise": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.set("0x7f000001", "127.0.0.1")
			f.serve(t, "93.184.0.1:80", to("http://0x7f000001/"))
			f.serve(t, "127.0.0.1:80", say(keyAuth))
		}, "dns", []string{"0x7f000001", "public addresses only"}, []string{"93.184.0.1:80"}},
		"redirect to another port": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("http://a.example:6379/"))
			f.serve(t, "93.184.0.1:6379", say(keyAuth))
		}, "incorrectResponse", []string{"port 6379", "only 80 and 443"}, []string{"93.184.0.1:80"}},
		"redirect to a file": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("file:///etc/passwd"))
		}, "incorrectResponse", []string{"neither http nor https"}, []string{"93.184.0.1:80"}},
		"redirect with a password": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("http://me:secret@a.example/"))
		}, "incorrectResponse", []string{"has a password"}, []string{"93.184.0.1:80"}},
		"redirects in a ring": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("http://a.example/again"))
		}, "incorrectResponse", []string{"more than 5 redirects"}, []string{"93.184.0.1:80", "93.184.0.1:80", "93.184.0.1:80", "93.184.0.1:80", "93.184.0.1:80", "93.184.0.1:80"}},
		"redirect to https, which nobody serves": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("https://a.example/"))
		}, "connection", []string{"https://a.example/ (93.184.0.1:443)", "connection refused", "port 443"}, []string{"93.184.0.1:80", "93.184.0.1:443"}},
		"no answer": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.lost("93.184.0.1:80")
		}, "connection", []string{"93.184.0.1:80", "no answer in time", "port 80"}, []string{"93.184.0.1:80"}},
		"redirect to nowhere": {func(t *testing.T, f *farm) {
			f.set("a.example", "93.184.0.1")
			f.serve(t, "93.184.0.1:80", to("http://gone.example/"))
		}, "dns", []string{"no address for gone.example"}, []string{"93.184.0.1:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarm()
			x.prepare(t, f)
			v := acme.Validator{Resolver: f, Dial: f.dial, Agent: "test"}
			p := v.Validate(t.Context(), "a.example", token, keyAuth)
			f.sawOnly(t, x.seen...)
			if x.kind == "" {
				if p != nil {
					t.Errorf("%s", p)
				}
				return
			}
			if p == nil {
				t.Fatal("met")
			}
			if p.Type != "urn:ietf:params:acme:error:"+x.kind {
				t.Errorf("%s", p)
			}
			for _, words := range x.words {
				if !strings.Contains(p.Detail, words) {
					t.Errorf("%q does not say %q", p.Detail, words)
				}
			}
			if strings.Contains(p.Detail, "secret@") {
				t.Errorf("a password is repeated: %s", p.Detail)
			}
		})
	}
}

// TestRebinding: what was checked is what is spoken to. A name that leads
// elsewhere at a second look-up gains nothing, since there is none.
func TestRebinding(t *testing.T) {
	f := newFarm()
	f.set("a.example", "93.184.0.1")
	f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
		f.set("a.example", "127.0.0.1")
		http.Redirect(w, r, "http://a.example/again", http.StatusFound)
	})
	f.serve(t, "127.0.0.1:80", say(keyAuth))
	p := (&acme.Validator{Resolver: f, Dial: f.dial}).Validate(t.Context(), "a.example", token, keyAuth)
	if p == nil || !strings.Contains(p.Detail, "127.0.0.1") {
		t.Errorf("%v", p)
	}
	f.sawOnly(t, "93.184.0.1:80")
	if f.n["a.example"] != 2 {
		t.Errorf("%d look-ups for two connections", f.n["a.example"])
	}
}

// TestValidateEnds: a host that does not answer is given up with the caller.
func TestValidateEnds(t *testing.T) {
	f := newFarm()
	f.set("a.example", "93.184.0.1")
	ctx, cancel := context.WithCancel(t.Context())
	f.serve(t, "93.184.0.1:80", func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // the asker has gone
	})
	if p := (&acme.Validator{Resolver: f, Dial: f.dial}).Validate(ctx, "a.example", token, keyAuth); p == nil || !strings.HasSuffix(p.Type, "connection") {
		t.Errorf("%v", p)
	}
}

// TestSandbox: another port and networks of its own, and no others.
func TestSandbox(t *testing.T) {
	f := newFarm()
	f.set("a.example", "10.0.0.1", "10.1.0.1")
	f.serve(t, "10.1.0.1:5002", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "a.example:5002" {
			t.Errorf("Host %s", r.Host)
		}
		io.WriteString(w, keyAuth)
	})
	v := acme.Validator{Resolver: f, Dial: f.dial, Port: 5002, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if p := v.Validate(t.Context(), "a.example", token, keyAuth); p != nil {
		t.Error(p)
	}
	f.sawOnly(t, "10.1.0.1:5002")
}

// TestRealDial: without a dialler of the test's own.
func TestRealDial(t *testing.T) {
	srv := httptest.NewServer(say(keyAuth))
	u := must(url.Parse(srv.URL))(t)
	port := must(strconv.Atoi(u.Port()))(t)
	dns := &names{m: map[string][]string{"a.example": {"127.0.0.1"}}, n: map[string]int{}}
	v := acme.Validator{Resolver: dns, Port: port, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	if p := v.Validate(t.Context(), "a.example", token, keyAuth); p != nil {
		t.Error(p)
	}
	srv.Close()
	if p := v.Validate(t.Context(), "a.example", token, keyAuth); p == nil || !strings.Contains(p.Detail, "connection refused") || !strings.Contains(p.Detail, fmt.Sprint("port ", port)) {
		t.Error(p)
	}
}
