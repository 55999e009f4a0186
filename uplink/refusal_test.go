package uplink

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// broken is a connection that the other end has closed: nothing can be written.
type broken struct{ net.Conn }

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }
func (broken) Close() error              { return nil }

// The reading side has the last word: a write that failed is told only when the
// reader has closed the connection, or has had its time. Before, a relay that
// refused this gateway's certificate was now and then taken for an internet
// connection that breaks off.
func TestFailedWriteWaitsForTheAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			closes, want time.Duration
		}{{10 * time.Millisecond, 10 * time.Millisecond}, {time.Hour, alertPatience}} {
			conn := &listened{Conn: broken{}, closed: make(chan struct{})}
			began := time.Now()
			timer := time.AfterFunc(c.closes, func() { conn.Close() })
			if _, err := conn.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) || time.Since(began) != c.want {
				t.Errorf("closed after %v: %v after %v, want %v", c.closes, err, time.Since(began), c.want)
			}
			timer.Stop()
			conn.Close()
			conn.Close() // as often as one likes
		}
	})
}
