package dcc

import (
	"context"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// limit bounds each wait of these tests; none takes nearly as long.
const limit = time.Minute

// testBroker is mochi on a loopback port.
type testBroker struct {
	*mochi.Server
	address    string
	end        sync.Once
	subscribed chan string
}

// subscriptions tells of each.
type subscriptions struct {
	mochi.HookBase
	to     chan string
	refuse bool
}

func (s *subscriptions) ID() string { return "subscriptions" }
func (s *subscriptions) Provides(b byte) bool {
	return b == mochi.OnSubscribed || b == mochi.OnACLCheck || b == mochi.OnConnectAuthenticate
}
func (s *subscriptions) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (s *subscriptions) OnACLCheck(_ *mochi.Client, _ string, write bool) bool {
	return write || !s.refuse
}
func (s *subscriptions) OnSubscribed(_ *mochi.Client, pk packets.Packet, _ []byte) {
	for _, f := range pk.Filters {
		s.to <- f.Filter
	}
}

func newBroker(t *testing.T, address string, refuse bool) *testBroker {
	t.Helper()
	b := &testBroker{Server: mochi.New(&mochi.Options{InlineClient: true, Logger: record.Logger(t)}), subscribed: make(chan string, 100)}
	var hook mochi.Hook = &subscriptions{to: b.subscribed, refuse: refuse}
	if err := b.AddHook(hook, nil); err != nil {
		t.Fatal(err)
	}
	l := ports.Listen(t, address)
	if err := b.AddListener(listeners.NewNet("t", l)); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	t.Cleanup(b.die)
	return b
}

func (b *testBroker) die() { b.end.Do(func() { _ = b.Server.Close() }) }

func (b *testBroker) waitSubscribed(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-b.subscribed:
		if got != want {
			t.Fatalf("subscribed to %s, want %s", got, want)
		}
	case <-time.After(limit):
		t.Fatal("nobody subscribed")
	}
}

// listening runs a glow until the test ends.
type listening struct {
	*testing.T
	g     *glow
	heard chan heard
	end   func()
}

func listenGlow(t *testing.T, c Config) *listening {
	t.Helper()
	c.Format, c.ClientID, c.Logger = "glow", "perseus-edge-test", quiet
	if c.Now == nil {
		c.Now = time.Now
	}
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &listening{T: t, g: l.(*glow), heard: make(chan heard, 100)}
	done := make(chan error, 1)
	go func() {
		done <- l.Listen(ctx, func(device int, rs []drivers.Reading) {
			for _, r := range rs {
				x.heard <- heard{device, r}
			}
		})
	}()
	var once sync.Once
	x.end = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Listen: %v", err)
				}
			case <-time.After(limit):
				t.Error("Listen does not end")
			}
		})
	}
	t.Cleanup(x.end)
	return x
}

func (x *listening) next() heard {
	x.Helper()
	select {
	case h := <-x.heard:
		return h
	case <-time.After(limit):
		x.Fatalf("nothing was heard, health %v", x.g.Health())
		return heard{}
	}
}

// healthIs waits until the health is as it should be.
func (x *listening) healthIs(ok func(error) bool) {
	x.Helper()
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for deadline := time.After(limit); ; {
		if ok(x.g.Health()) {
			return
		}
		select {
		case <-t.C:
		case <-deadline:
			x.Fatalf("health is still %v", x.g.Health())
		}
	}
}
