package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// Over HTTP/2 many requests share one connection: each is let go of in its own
// time, and the connection goes on for the others. A deadline that a handler
// sets itself (consumption and emissions do) holds there too.
func TestSlowHTTP2(t *testing.T) {
	pki := identitytest.New(t)
	server, client := pki.Server("relay.example"), pki.Client("https://directory.example/a/cap", "Carbon", "https://directory.example/m/carbon")
	synctest.Test(t, func(t *testing.T) {
		handled := make(chan time.Duration, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			io.Copy(io.Discard, r.Body)
			handled <- time.Since(begin)
		})
		much := func(w http.ResponseWriter) {
			begin := time.Now()
			for _, err := w.Write(make([]byte, 1<<16)); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
			handled <- time.Since(begin)
		}
		mux.HandleFunc("GET /much", func(w http.ResponseWriter, _ *http.Request) { much(w) })
		mux.HandleFunc("GET /soon", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Second)); err != nil {
				t.Error(err)
			}
			much(w)
		})
		mux.HandleFunc("GET /proto", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
		srv := site{handler: mux, tls: identity.ServerTLS(server.Get, pki.ClientCA.Pool())}.server(t.Context(), record.Logger(t))
		l := pipes{make(chan net.Conn), make(chan struct{})}
		go srv.ServeTLS(l, "", "")
		defer srv.Close()
		tr := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			here, there := net.Pipe()
			l.conns <- there
			conf := identity.ClientTLS(pki.ServerCA.Pool(), client.Get)
			conf.ServerName, conf.NextProtos = "relay.example", []string{"h2"}
			conn := tls.Client(here, conf)
			return conn, conn.HandshakeContext(ctx)
		}}
		defer tr.CloseIdleConnections()
		c := &http.Client{Transport: tr}
		ask := func(path string) string {
			res, err := c.Get("https://relay.example" + path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			return string(b)
		}
		if got := ask("/proto"); got != "HTTP/2.0" {
			t.Fatal(got)
		}
		body, drip := io.Pipe()
		go func() {
			for {
				if _, err := drip.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second) // of the bubble
			}
		}()
		go func() {
			if res, err := c.Post("https://relay.example/", "text/plain", body); err == nil {
				res.Body.Close()
			}
		}()
		if d := <-handled; d > 61*time.Second {
			t.Errorf("a body a byte at a time: %v", d)
		}
		body.Close()
		for path, most := range map[string]time.Duration{"/much": 2*time.Minute + time.Second, "/soon": 51 * time.Second} {
			res, err := c.Get("https://relay.example" + path) // whose body nobody reads
			if err != nil {
				t.Fatal(err)
			}
			if d := <-handled; d > most {
				t.Errorf("%s, never read: %v", path, d)
			}
			if got := ask("/proto"); got != "HTTP/2.0" {
				t.Errorf("the others, after it: %s", got)
			}
			res.Body.Close()
		}
		r, err := http.NewRequest("GET", "https://relay.example/proto", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			r.Header.Set("X-"+strings.Repeat("a", i), strings.Repeat("x", 16<<10))
		}
		if res, err := c.Do(r); err == nil {
			if res.Body.Close(); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("a header of 160 KiB: %d", res.StatusCode)
			}
		}
	})
}
