// Package ports gives tests TCP ports on loopback for programs that must be
// told theirs before they start, or that come back under the same one.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The ports lie below those that the kernel lends to outgoing connections
// (from 32768), which would take a program's port while it is down, and above
// those that scripts/ci-demo and scripts/with-postgres take.
const from, to = 10_000, 15_000

var taken = struct {
	sync.Mutex
	claims map[int]net.Listener
}{claims: map[int]net.Listener{}}

// Free gives n ports that nobody uses and that no other test gets, in this
// process or in another, until the test and what it cleans up have ended.
func Free(t testing.TB, n int) []int {
	t.Helper()
	var out []int
	t.Cleanup(func() { release(out) })
	for range 1000 {
		if p := from + rand.IntN(to-from); claim(p) {
			if out = append(out, p); len(out) == n {
				return out
			}
		}
	}
	t.Fatalf("of the ports from %d to %d, %d are not free", from, to-1, n)
	return nil
}

// Row gives the first of n ports in a row, as Free does, until this process ends.
func Row(n int) (int, error) {
next:
	for range 100 {
		first := from + rand.IntN(to-from-n)
		var row []int
		for i := range n {
			if !claim(first + i) {
				release(row)
				continue next
			}
			row = append(row, first+i)
		}
		return first, nil
	}
	return 0, fmt.Errorf("no %d ports in a row are free from %d to %d", n, from, to-1)
}

// Address gives 127.0.0.1 with one such port.
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Free(t, 1)[0])
}

// Listen listens at an address of Address, or at a new one if it is empty. A
// test that closes its listener and opens it again must wait until the children
// born meanwhile have let go of it, which takes them some milliseconds.
func Listen(t testing.TB, address string) net.Listener {
	t.Helper()
	if address == "" {
		address = Address(t)
	}
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		l, err := net.Listen("tcp", address)
		if err == nil {
			return l
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// claim takes a port for this process, where it is free.
func claim(port int) bool {
	taken.Lock()
	defer taken.Unlock()
	if taken.claims[port] != nil {
		return false
	}
	// An abstract socket (Linux) is the note to other processes: it goes with
	// this one, however that ends. Elsewhere there is none, and no harm in it.
	note, err := net.Listen("unix", fmt.Sprintf("@perseus-edge-test-port-%d", port))
	if err != nil {
		return false
	}
	if !free(port) {
		note.Close()
		return false
	}
	taken.claims[port] = note
	return true
}

// release gives ports back, for a test that is run many times over.
func release(ports []int) {
	taken.Lock()
	defer taken.Unlock()
	for _, p := range ports {
		taken.claims[p].Close()
		delete(taken.claims, p)
	}
}

// free reports whether a port can be listened on. No child may be born
// meanwhile: between its fork and its exec it holds a copy of the socket, which
// keeps the port taken after it is closed here.
func free(port int) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
