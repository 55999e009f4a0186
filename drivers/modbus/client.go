package modbus

import (
	"context"
	"time"

	wire "github.com/simonvetter/modbus"
)

// client asks units for registers. Its questions to one unit make a round,
// from begin to believed, which says whether its answers can be believed.
type client interface {
	Open() error
	Close() error
	SetUnitId(uint8) error
	ReadRawBytes(addr, size uint16, t wire.RegType) ([]byte, error)
	bits(function byte, addr, count uint16) ([]byte, error) // coils or discrete inputs, as they are packed on the wire
	begin()
	believed(context.Context) error
}

func newClient(t target, c Config, n *counts) client {
	if t.scheme == "rtu" || t.scheme == "rtuovertcp" {
		r := newRTU(t, c.Timeout, c.Pause)
		r.line.counts = n
		return r
	}
	m := &mbapClient{timeout: c.Timeout, packets: t.scheme == "udp", counts: n}
	m.dial = func() (link, error) {
		if t.scheme == "tls" {
			return dialTLS(t, c.Timeout)
		}
		return dialSocket(t.scheme, t.address, c.Timeout)
	}
	return m
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
