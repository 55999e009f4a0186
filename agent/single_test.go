package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// loner is a device on Modbus TCP that serves one client, and hangs up on any
// other, as inverters do.
type loner struct {
	address string
	busy    atomic.Bool
	served  atomic.Int64 // connections
	turned  atomic.Int64 // away
}

func newLoner(t *testing.T) *loner {
	l := ports.Listen(t, "")
	d := &loner{address: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !d.busy.CompareAndSwap(false, true) {
				d.turned.Add(1)
				c.Close()
				continue
			}
			d.served.Add(1)
			go func() {
				d.serve(c)
				c.Close()
				d.busy.Store(false)
			}()
		}
	}()
	return d
}

// serve answers each question for registers with what it counted: 5 MWh.
func (d *loner) serve(c net.Conn) {
	for q := make([]byte, 12); ; {
		if _, err := io.ReadFull(c, q); err != nil {
			return
		}
		words := binary.BigEndian.Uint16(q[10:])
		a := append(append([]byte{}, q[:8]...), byte(2*words))
		a = append(a, make([]byte, 2*words)...)
		binary.BigEndian.PutUint32(a[len(a)-4:], 5_000_000)
		binary.BigEndian.PutUint16(a[4:], uint16(len(a)-6))
		if _, err := c.Write(a); err != nil {
			return
		}
	}
}

// visit is another client's: it asks once, and leaves.
func (d *loner) visit() error {
	c, err := net.Dial("tcp", d.address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 4}); err != nil {
		return err
	}
	a := make([]byte, 17)
	if _, err := io.ReadFull(c, a); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(a[9:]) != 5_000_000 {
		return errors.New("a wrong answer")
	}
	return nil
}

const lonelyYAML = `site: {name: Roof}
buses: [{id: roof, driver: modbus, url: "tcp://ADDRESS", timeout: 20sSINGLE}]
meters: [{id: pv, bus: roof, unit: 1, poll: 300ms, registers: {import: {address: 0, type: uint64, unit: Wh}}}]
`

// On a real socket: with single_client another client of a device that serves
// one at a time comes in between the rounds, again and again, and the agent
// goes on reading; without, nobody else ever comes in.
func TestSingleClientLetsOthersIn(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		d := newLoner(t)
		text := strings.NewReplacer("ADDRESS", d.address, "SINGLE", map[bool]string{true: ", single_client: true"}[single]).Replace(lonelyYAML)
		c, err := config.Parse("roof.yaml", []byte(text))
		check(t, err)
		c.Store.KeepHalfHours, c.Store.KeepSamples = config.DefaultKeepHalfHours, config.DefaultKeepSamples
		s := openFaulty(t, storePath(t))
		a, err := New(Options{Config: c, Store: s, Logger: quietLog, Version: "test"})
		check(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		reads := func() MeterStatus { return a.Status().Meters[0] }
		awaited := func(what string, is func() bool) {
			t.Helper()
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.After(time.Minute); !is(); {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("single %v: waited in vain for %s: %+v, served %d, turned away %d", single, what, reads(), d.served.Load(), d.turned.Load())
				}
			}
		}
		readAfter := func(at time.Time) func() bool {
			return func() bool {
				m := reads()
				return m.Answered.After(at) && m.Failures == 0 && m.Registers[0].Value == "5000000"
			}
		}
		awaited("a reading", readAfter(time.Time{}))
		visits := 0
		for range 10 {
			if single {
				awaited("a visit", func() bool { return d.visit() == nil })
				visits++
			} else if d.visit() == nil {
				visits++
			}
			awaited("the next reading", readAfter(time.Now()))
		}
		if m := reads(); single && visits != 10 || !single && (visits != 0 || d.served.Load() != 1 || m.Errors != nil) {
			t.Errorf("single %v: %d visits, %d connections, %+v", single, visits, d.served.Load(), m)
		}
		cancel()
		check(t, <-ended)
		check(t, s.Close())
	}
}
