package ports

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
	"testing"
)

// A port that was given can be listened on at once, also while children are
// born all the time: an integration test failed where it could not.
func TestFreeWhileChildrenAreBorn(t *testing.T) {
	stop := make(chan struct{})
	var births sync.WaitGroup
	for range 2 {
		births.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					exec.Command("/bin/true").Run()
				}
			}
		})
	}
	for _, p := range Free(t, 300) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
		Listen(t, l.Addr().String()).Close()
	}
	close(stop)
	births.Wait()
}

func TestNoneTwice(t *testing.T) {
	seen := map[int]bool{}
	for _, p := range Free(t, 200) {
		if seen[p] {
			t.Errorf("%d twice", p)
		}
		seen[p] = true
	}
	first, err := Row(41)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 41 {
		if seen[first+i] {
			t.Errorf("%d is in a row and was given before", first+i)
		}
		if claim(first + i) {
			t.Errorf("%d of the row can be claimed again", first+i)
		}
	}
}
