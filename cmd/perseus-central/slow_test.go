package main

import (
	"bufio"
	"crypto/tls"
	"errors"
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

// pipes is a listener without a network: the time of a test's bubble holds for
// its connections.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Clients that are slow in one way or another: each is let go of in its time,
// and its handler with it.
func TestSlowClients(t *testing.T) {
	pki := identitytest.New(t)
	server, client := pki.Server("relay.example"), pki.Client("https://directory.example/a/cap", "Carbon", "https://directory.example/m/carbon")
	for _, c := range []struct {
		name   string
		within time.Duration
		client func(raw net.Conn, dial func() *tls.Conn)
	}{
		{"no handshake", 10 * time.Second, func(raw net.Conn, _ func() *tls.Conn) { io.Copy(io.Discard, raw) }},
		{"no request", 10 * time.Second, func(_ net.Conn, dial func() *tls.Conn) { io.Copy(io.Discard, dial()) }},
		{"a header a byte at a time", 11 * time.Second, func(_ net.Conn, dial func() *tls.Conn) {
			trickle(dial(), "GET / HTTP/1.1\r\nHost: relay.example\r\nX-Long: "+strings.Repeat("x", 600))
		}},
		{"a body a byte at a time", 62 * time.Second, func(_ net.Conn, dial func() *tls.Conn) {
			conn := dial()
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: relay.example\r\nContent-Length: 10000\r\n\r\n")
			trickle(conn, strings.Repeat("x", 600))
		}},
		{"never reads", 2*time.Minute + 10*time.Second, func(_ net.Conn, dial func() *tls.Conn) {
			io.WriteString(dial(), "GET /much HTTP/1.1\r\nHost: relay.example\r\n\r\n")
			time.Sleep(10 * time.Minute) // of the bubble
		}},
		{"comes back too late", 2*time.Minute + time.Second, func(_ net.Conn, dial func() *tls.Conn) {
			conn := dial()
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: relay.example\r\n\r\n")
			io.Copy(io.Discard, conn)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				handled := make(chan time.Duration, 1)
				begin := time.Now()
				mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 16<<10)); err != nil {
						handled <- time.Since(begin)
					}
				})
				mux.HandleFunc("/much", func(w http.ResponseWriter, _ *http.Request) {
					for _, err := w.Write(make([]byte, 1<<20)); err == nil; _, err = w.Write(make([]byte, 1<<20)) {
					}
					handled <- time.Since(begin)
				})
				srv := site{handler: mux, tls: identity.ServerTLS(server.Get, pki.ClientCA.Pool())}.server(t.Context(), record.Logger(t))
				closed := make(chan time.Duration, 1)
				srv.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						closed <- time.Since(begin)
					}
				}
				l := pipes{make(chan net.Conn), make(chan struct{})}
				go srv.ServeTLS(l, "", "")
				here, there := net.Pipe()
				l.conns <- there
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					c.client(here, func() *tls.Conn {
						conf := identity.ClientTLS(pki.ServerCA.Pool(), client.Get)
						conf.ServerName = "relay.example"
						return tls.Client(here, conf)
					})
				}()
				took := <-closed
				if took > c.within {
					t.Errorf("held for %v, want at most %v", took, c.within)
				}
				synctest.Wait()
				select {
				case d := <-handled:
					if d > c.within {
						t.Errorf("its handler ran for %v", d)
					}
				default:
				}
				here.Close()
				<-gone
				srv.Close()
				synctest.Wait()
			})
		})
	}
}

// trickle sends a byte each second, until it may not; it reads all the while,
// since a pipe has no buffer for what the server says last.
func trickle(w io.ReadWriter, s string) {
	go io.Copy(io.Discard, w)
	for i := range len(s) {
		if _, err := io.WriteString(w, s[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second) // of the bubble
	}
}

// A header that is too large is refused before it is all read.
func TestGiantHeader(t *testing.T) {
	pki := identitytest.New(t)
	server := pki.Server("relay.example")
	synctest.Test(t, func(t *testing.T) {
		srv := site{handler: http.NotFoundHandler(), tls: identity.ServerTLS(server.Get, nil)}.server(t.Context(), record.Logger(t))
		l := pipes{make(chan net.Conn), make(chan struct{})}
		go srv.ServeTLS(l, "", "")
		here, there := net.Pipe()
		l.conns <- there
		conf := identity.ClientTLS(pki.ServerCA.Pool(), nil)
		conf.ServerName = "relay.example"
		conn := tls.Client(here, conf)
		go func() {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: relay.example\r\nX-Giant: ")
			for {
				if _, err := io.WriteString(conn, strings.Repeat("x", 4<<10)); err != nil {
					return
				}
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge && res.StatusCode != http.StatusBadRequest {
			t.Errorf("answered %d", res.StatusCode)
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		here.Close()
		srv.Close()
		time.Sleep(time.Second) // of the bubble: the server waits a little before it closes
	})
}
