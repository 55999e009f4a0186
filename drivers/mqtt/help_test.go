package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// patience bounds each wait of these tests; none takes nearly as long.
const patience = time.Minute

// testBroker is mochi on a loopback port.
type testBroker struct {
	*mochi.Server
	address string
	end     sync.Once
}

func (b *testBroker) die() { b.end.Do(func() { _ = b.Server.Close() }) }

// rights are who may do what.
type rights struct {
	mochi.HookBase
	user, password string
	readable       func(topic string) bool // nil: all
}

func (r *rights) ID() string { return "rights" }

func (r *rights) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (r *rights) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	return string(pk.Connect.Username) == r.user && string(pk.Connect.Password) == r.password
}

func (r *rights) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return write || r.readable == nil || r.readable(topic)
}

func newTestBroker(t *testing.T, address string) *testBroker {
	t.Helper()
	return newGuardedBroker(t, address, &rights{}, nil)
}

func newGuardedBroker(t *testing.T, address string, r *rights, secure *tls.Config) *testBroker {
	t.Helper()
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: record.Logger(t)})
	if err := s.AddHook(r, nil); err != nil {
		t.Fatal(err)
	}
	l := ports.Listen(t, address)
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	if err := s.AddListener(listeners.NewNet("t", l)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	b := &testBroker{Server: s, address: l.Addr().String()}
	t.Cleanup(b.die)
	return b
}

func (b *testBroker) url() string { return "mqtt://" + b.address }

func (b *testBroker) say(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	if err := b.Publish(topic, []byte(payload), retain, 1); err != nil {
		t.Fatal(err)
	}
}

// heard is one reading that was delivered.
type heard struct {
	device int
	drivers.Reading
}

// The tests' connections come back quickly. On a machine with much to do nothing
// may look like a broker that hangs, but where a test wants to see that noticed:
// what was sent then comes again, and is counted.
var (
	patient  = pace{keepAlive: 20 * time.Second, ping: 10 * time.Second, connect: 10 * time.Second, retry: 100 * time.Millisecond, longest: time.Second, answer: 10 * time.Second, again: 100 * time.Millisecond}
	noticing = pace{keepAlive: time.Second, ping: time.Second, connect: 2 * time.Second, retry: 100 * time.Millisecond, longest: time.Second, answer: 2 * time.Second, again: 100 * time.Millisecond}
)

// listen runs a Broker until the test ends, or stop is called.
func listen(t *testing.T, c Config) (b *Broker, got <-chan heard, stop func()) {
	t.Helper()
	return listenAt(t, c, patient)
}

func listenAt(t *testing.T, c Config, p pace) (b *Broker, got <-chan heard, stop func()) {
	t.Helper()
	if c.ClientID == "" {
		c.ClientID = "agent"
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.pace = p
	out := make(chan heard, 4096)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- b.Listen(ctx, func(device int, r []drivers.Reading) {
			for _, one := range r {
				out <- heard{device, one}
			}
		})
	}()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Listen: %v", err)
			}
		case <-time.After(patience):
			t.Error("Listen does not end")
		}
	}
	t.Cleanup(stop)
	return b, out, stop
}

// healthy waits until a Broker hears, or does not.
func healthy(t *testing.T, b *Broker, want bool) {
	t.Helper()
	until(t, "health", func() bool { return (b.Health() == nil) == want })
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain for " + what)
		}
	}
}

func next(t *testing.T, got <-chan heard) heard {
	t.Helper()
	select {
	case h := <-got:
		return h
	case <-time.After(patience):
		t.Fatal("nothing heard")
	}
	return heard{}
}

// expect fails the test unless the next reading is that value of that time.
func expect(t *testing.T, got <-chan heard, device, point int, at string, base int64, flags ...int) {
	t.Helper()
	h := next(t, got)
	var f energy.Flags
	for _, n := range flags {
		f = f.With(n)
	}
	when, _ := time.Parse(time.RFC3339Nano, at)
	if h.Err != nil || h.device != device || h.Point != point || h.Sample.Value != base || h.Flags != f || at != "" && !h.Sample.At.Equal(when) {
		t.Fatalf("heard device %d point %d %d at %s flags %v error %v; want device %d point %d %d at %s flags %v",
			h.device, h.Point, h.Sample.Value, h.Sample.At.Format(time.RFC3339Nano), h.Flags.List(), h.Err, device, point, base, at, f.List())
	}
}

func udmiMain() []Device {
	return []Device{{Meter: "main", Name: "EM-1", Points: []Point{{Measure: energy.Import, Name: "energy_sensor", UnitName: "kWh"}}}}
}

func event(at string, kwh any) string {
	return fmt.Sprintf(`{"version":"1.5.7","timestamp":%q,"points":{"energy_sensor":{"present_value":%v}}}`, at, kwh)
}

func fixed(at string) func() time.Time {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return t }
}

var publishers atomic.Int64

// publisher is a client of somebody else's.
func publisher(t *testing.T, url string) paho.Client {
	t.Helper()
	// An identifier of its own: one that was left behind by a dead broker connects
	// again to the next, and would throw out its successor of the same name.
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(fmt.Sprintf("device-%d", publishers.Add(1))))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}
