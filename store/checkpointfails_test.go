package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// failing is a checkpoint file that cannot be written for a while.
type failing struct {
	slotFile
	write, sync *error
}

func (f failing) WriteAt(b []byte, at int64) (int, error) {
	if *f.write != nil {
		return 0, *f.write
	}
	return f.slotFile.WriteAt(b, at)
}

func (f failing) Sync() error {
	if *f.sync != nil {
		return *f.sync
	}
	return f.slotFile.Sync()
}

// A checkpoint that cannot be written, or not be synced, costs nothing: bbolt
// takes the round and what the checkpoint held, also where a transaction was
// to take the checkpoint along. After an hour of rounds it is tried again.
func TestCheckpointFails(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, by := range []string{"a light round", "another transaction"} {
			t.Run(fmt.Sprint(by, sync), func(t *testing.T) {
				var write, syncs error
				log := &quiet{}
				o := options()
				o.Logger = newLogger(log)
				o.wrap = func(f slotFile) slotFile { return failing{f, &write, &syncs} }
				s, _, err := Open(filepath.Join(fastDir(t), "agent.db"), o)
				must(t, err)
				defer s.Close()
				commitLight(t, s, 0, 10)
				was := s.Written()
				if sync {
					syncs = errors.New("the card does not answer")
				} else {
					write = errors.New("the card is read-only")
				}
				next := 10
				if by == "a light round" {
					commitLight(t, s, 10, 11)
					next = 11
				} else {
					must(t, s.SetMeta("a", []byte("b")))
				}
				if w := s.Written(); w.Commits != was.Commits+1 || w.Checkpoints != was.Checkpoints || s.since.touched != 0 || !log.has("cannot be written") {
					t.Errorf("%+v after %+v; %d registers wait; %q", w, was, s.since.touched, log.lines)
				}
				path := copyOf(t, s)
				again, _ := logged(t, path)
				holdsLight(t, again, next)
				write, syncs = nil, nil
				commitLight(t, s, next, next+restRounds)
				if w := s.Written(); w.Checkpoints != was.Checkpoints {
					t.Errorf("%+v", w)
				}
				commitLight(t, s, next+restRounds, next+restRounds+5)
				if w := s.Written(); w.Checkpoints != was.Checkpoints+5 {
					t.Errorf("%+v", w)
				}
				holdsLight(t, s, next+restRounds+5)
			})
		}
	}
}
