package modbus

import (
	"context"
	"errors"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func (b *Bus) connect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.open {
		return nil
	}
	if err := b.client.Open(); err != nil {
		hint := "is the address right, the device on, and no other program connected to it?"
		if b.target.scheme == "rtu" {
			hint = portHint(err)
		}
		return &drivers.Error{Kind: drivers.Refused, Op: "connect to " + b.cfg.URL, Err: err, Hint: hint}
	}
	b.open, b.asked = true, false
	b.counts.connects.Add(1)
	return nil
}

// pause waits until the wire may be used.
func (b *Bus) pause(ctx context.Context) error {
	if b.rtu == nil {
		if b.cfg.Pause > 0 && b.asked {
			return sleep(ctx, b.cfg.Pause)
		}
		return ctx.Err()
	}
	err := b.rtu.settle(ctx)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, errNoisy):
		return &drivers.Error{Kind: drivers.Protocol, Op: "wait for silence on " + b.cfg.URL, Err: err, Hint: "is there another master on this wire? It may have but one"}
	}
	b.Close()
	return &drivers.Error{Kind: drivers.Refused, Op: "listen on " + b.cfg.URL, Err: err, Hint: unplugged}
}

// ask makes one request. Any failure but the device's own "no" drops the
// connection, so that nothing half-read or late is met again; a serial port
// stays open while it is there.
func (b *Bus) ask(r request) ([]byte, error) {
	b.asked = true
	t := wire.HOLDING_REGISTER
	if r.input {
		t = wire.INPUT_REGISTER
	}
	data, err := b.client.ReadRawBytes(r.address, r.words*2, t) // the library counts bytes here
	if err == nil && len(data) != int(r.words)*2 {
		err = wire.ErrProtocolError
	}
	if isException(err) {
		b.counts.exceptions.Add(1)
	} else if err != nil && (b.target.scheme != "rtu" || errors.Is(err, errUnplugged)) {
		b.Close()
	}
	return data, err
}

// Close lets go of the connection. The next Poll opens it again.
func (b *Bus) Close() error {
	if !b.open {
		return nil
	}
	b.open = false
	return b.client.Close()
}
