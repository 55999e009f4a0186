package main

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/store"
)

// giver returns memory that is free to the system: what it took to read the
// configuration, to commit, to show a page. Polls allocate nothing, so that Go
// by itself would not come to collect it for minutes, and then keep it. And of
// the program and the store the system keeps every page mapped that was ever read.
type giver struct {
	stored chan struct{}
	give   func()
	store  atomic.Pointer[store.Store] // nil before it is opened
}

func newGiver() *giver {
	g := &giver{stored: make(chan struct{}, 1)}
	g.give = func() {
		// Twice: what lies in pools (bbolt's pages are some MiB) outlives one collection.
		debug.FreeOSMemory()
		debug.FreeOSMemory()
		if s := g.store.Load(); s != nil {
			s.LetGo()
		}
		letGoOfProgram() // last: collecting reads in all of it
	}
	return g
}

// told lets it know that a commit is over. It never blocks.
func (g *giver) told() {
	select {
	case g.stored <- struct{}{}:
	default:
	}
}

// run gives back after each commit, but lets at least so much time lie between, for
// a collection costs milliseconds; and once a minute where none is told of.
func (g *giver) run(ctx context.Context, least time.Duration) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C: // rested enough
		}
		minute := time.NewTimer(time.Minute)
		select {
		case <-ctx.Done():
			minute.Stop()
			return
		case <-g.stored:
			minute.Stop()
		case <-minute.C:
		}
		g.give()
		rest.Reset(least)
	}
}
