package bank_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
)

// pipes is a listener of connections in memory, without any buffer between the
// two ends: what the client reads leaves the server at that instant.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// No byte of a bank's answer leaves later than 60 seconds after the withdrawal,
// in virtual time: the permission is withdrawn at the very instant at which the
// token was found good, and then all is as slow as it may be.
func TestNothingLeavesAMinuteAfterWithdrawal(t *testing.T) {
	const bound = 60 * time.Second
	for _, c := range []struct {
		name    string
		months  time.Duration // until the months are read
		pause   time.Duration // before each read of the client, of one byte unless it is zero
		waits   time.Duration // before its first
		arrives bool          // the whole answer
	}{
		{name: "nothing is slow", arrives: true},
		{name: "the database takes 45 seconds", months: 45 * time.Second, arrives: true},
		{name: "the database takes 59 seconds", months: 59 * time.Second},
		{name: "the database takes an hour", months: time.Hour},
		{name: "the client takes a byte in 5 ms", pause: 5 * time.Millisecond, arrives: true},
		{name: "the client takes a byte in 30 ms", pause: 30 * time.Millisecond},
		{name: "the client takes a byte in a second", pause: time.Second},
		{name: "the client begins after 45 seconds", waits: 45 * time.Second, arrives: true},
		{name: "the client begins after 59 seconds", waits: 59 * time.Second},
		{name: "the client begins after an hour", waits: time.Hour},
		{name: "both are slow", months: 30 * time.Second, pause: 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var checked time.Time
				w.checked = func() { checked = time.Now() } // and withdrawn
				w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
					time.Sleep(c.months) // virtual
					c.months = 0
					return w.complete(m, k)
				}
				srv := &http.Server{ErrorLog: log.New(record.Writer(t, "errors of a server", nil), "", 0), Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
					r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{w.peer.Chain}}
					w.mux.ServeHTTP(out, r)
				})}
				l := &pipes{make(chan net.Conn), make(chan struct{})}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					srv.Serve(l)
				}()
				defer func() { srv.Close(); <-ended }()
				client, server := net.Pipe()
				defer client.Close()
				l.conns <- server
				if _, err := io.WriteString(client, "GET /emissions?from=2025-03-01 HTTP/1.1\r\nHost: relay.example\r\nConnection: close\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				var got strings.Builder
				var last time.Time
				time.Sleep(c.waits)
				for buf := make([]byte, 64<<10); ; {
					one := buf
					if c.pause > 0 {
						time.Sleep(c.pause)
						one = buf[:1]
					}
					n, err := client.Read(one)
					if n > 0 {
						last = time.Now()
						got.Write(one[:n])
					}
					if err != nil {
						break
					}
				}
				_, body, _ := strings.Cut(got.String(), "\r\n\r\n")
				if late := last.Sub(checked); got.Len() > 0 && late > bound {
					t.Errorf("the last byte left %s after the withdrawal", late)
				}
				whole := strings.HasPrefix(got.String(), "HTTP/1.1 200 ") && strings.Contains(body, `"provenance"`) && strings.Contains(body, "}}")
				if !checked.IsZero() && whole != c.arrives {
					t.Errorf("whole: %v, %d bytes, the last one %s after: %.80q", whole, got.Len(), last.Sub(checked), got.String())
				}
				if checked.IsZero() {
					t.Error("the token was not asked for")
				}
			})
		})
	}
}
