package mqtt

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// freezer stands between a client and a broker. Frozen it passes nothing on,
// and takes connections without a word: a broker that hangs, or a firewall
// that has forgotten the connection.
type freezer struct {
	net.Listener
	mu     sync.Mutex
	frozen bool
	conns  []net.Conn
}

func newFreezer(t *testing.T, target string) *freezer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{Listener: l}
	t.Cleanup(func() {
		_ = l.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.conns {
			_ = c.Close()
		}
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, in, out)
			f.mu.Unlock()
			go f.pass(in, out)
			go f.pass(out, in)
		}
	}()
	return f
}

func (f *freezer) pass(to io.WriteCloser, from io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			_ = to.Close()
			return
		}
		if f.is() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (f *freezer) is() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frozen
}

func (f *freezer) set(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = frozen
}

// telegraf 16038 and others: the connection is there, but nothing comes. It
// is noticed, and the other broker taken.
func TestBrokerFreezes(t *testing.T) {
	first, second := newTestBroker(t, ""), newTestBroker(t, "")
	f := newFreezer(t, first.address)
	b, got, _ := listenAt(t, Config{URLs: []string{"mqtt://" + f.Addr().String(), second.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()}, noticing)
	healthy(t, b, true)
	first.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 1), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 1000)
	f.set(true)
	until(t, "the second broker", func() bool { return strings.Contains(b.Stats().URL, second.address) })
	second.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:10Z", 2), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:10Z", 2000)
	// And back, when the second is gone and the first has thawed: with what it kept.
	first.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:05Z", 1.5), false)
	f.set(false)
	second.die()
	expect(t, got, 0, 0, "2026-03-01T11:00:05Z", 1500)
}

// Many short lives leave nothing behind, whether they ever connected or not.
func TestNothingIsLeftBehind(t *testing.T) {
	m := newTestBroker(t, "")
	live := func(url string, wait bool) {
		b, err := New(Config{URLs: []string{url}, ClientID: "agent", Format: "udmi", Devices: udmiMain()})
		if err != nil {
			t.Fatal(err)
		}
		b.pace.retry = 10 * time.Millisecond
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Listen(ctx, func(int, []drivers.Reading) {}) }()
		if wait {
			healthy(t, b, true)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if b.Health() == nil {
			t.Error("healthy without a listener")
		}
	}
	closed := ports.Address(t)
	live(m.url(), true)
	before := runtime.NumGoroutine()
	for range 10 {
		live(m.url(), true)
		live(m.url(), false)
		live("mqtt://"+closed, false)
	}
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// A publisher that drops off, a thousand messages a second: all are delivered
// in order, and once.
func TestFlood(t *testing.T) {
	m := newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()})
	healthy(t, b, true)
	p := publisher(t, m.url())
	const n = 3000
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for i := range n {
		p.Publish("/devices/EM-1/events/pointset", 1, false, event(start.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i))
	}
	for i := range n {
		expect(t, got, 0, 0, start.Add(time.Duration(i)*time.Second).Format(time.RFC3339), int64(i)*1000)
	}
	until(t, "the last message to be counted", func() bool { return b.Stats().Messages >= n }) // it is counted after it is delivered
	if s := b.Stats(); s.Messages != n || s.Duplicates != 0 || s.Unread != 0 || s.Bytes < 100*n {
		t.Errorf("%+v", s)
	}
}
