package uplink

import (
	"context"
	"net"
	"sync"
	"time"
)

// alertPatience is how long a failed write waits for what the other end said
// before it closed.
const alertPatience = time.Second

// dialer makes connections whose failed writes leave the last word to the
// reading side.
//
// In TLS 1.3 a client has sent its request before the server has looked at its
// certificate. A server that refuses it says so in an alert and closes; the
// write of the request then fails, at times before the alert is read. All that
// net/http would tell is a connection that breaks off, and the installer would
// look for a fault of the internet connection.
func dialer(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &listened{Conn: conn, closed: make(chan struct{})}, nil
	}
}

// listened is a connection on which the reader is heard first: it closes the
// connection when it has read the alert, which lets a failed write go.
type listened struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *listened) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		wait := time.NewTimer(alertPatience)
		defer wait.Stop()
		select {
		case <-c.closed:
		case <-wait.C:
		}
	}
	return n, err
}

func (c *listened) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
