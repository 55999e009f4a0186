package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back after a commit, not more often than every 10 s, and once
// a minute where nothing is committed.
func TestGiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGiver()
		var given atomic.Int64
		g.give = func() { given.Add(1) }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go g.run(ctx, 10*time.Second)
		after := func(d time.Duration, want int64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := given.Load(); n != want {
				t.Errorf("given back %d times, want %d", n, want)
			}
		}
		after(59*time.Second, 0)
		after(time.Second, 1)
		after(20*time.Second, 1)
		g.told()
		after(0, 2)
		for range 5 {
			g.told() // it does not block, and is one
		}
		after(9*time.Second, 2)
		after(time.Second, 3)
		after(69*time.Second, 3)
		after(time.Second, 4)
		cancel()
		g.told()
		after(time.Hour, 4)
	})
}
