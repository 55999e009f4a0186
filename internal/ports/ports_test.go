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
	defer births.Wait()
	defer close(stop)
	for _, p := range Free(t, 300) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
		Listen(t, l.Addr().String()).Close()
	}
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
	var row []int
	defer func() { release(row) }()
	for i := range 41 {
		row = append(row, first+i)
		if seen[first+i] {
			t.Errorf("%d is in a row and was given before", first+i)
		}
		if claim(first + i) {
			t.Errorf("%d of the row can be claimed again", first+i)
		}
	}
}

// What a test was given is free again when it has ended, and not before.
func TestGivenBack(t *testing.T) {
	var given []int
	t.Run("a test", func(t *testing.T) {
		given = Free(t, 20)
		t.Cleanup(func() { // what it cleans up may still need them
			for _, p := range given {
				if claim(p) {
					t.Errorf("%d was given twice", p)
				}
			}
		})
	})
	for _, p := range given {
		if !claim(p) {
			t.Errorf("%d was not given back", p)
		}
	}
	release(given)
}
