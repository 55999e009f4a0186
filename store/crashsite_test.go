package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// siteAt is the site of the crash test: registers whose states say how many
// half-hours were made of them, and when they were last read.
type siteAt struct {
	t      *testing.T
	random *rand.Rand
	keys   []energy.Key
	half   map[energy.Key]int
	tick   int
	fat    int // how much longer the states are
}

func (f *siteAt) now() time.Time { return day0.Add(time.Duration(f.tick) * time.Minute) }

func (f *siteAt) round(heavy bool) (r Round) {
	f.tick++
	for i, k := range f.keys {
		if f.random.IntN(4) == 0 && i > 0 {
			continue
		}
		if heavy {
			r.HalfHours = append(r.HalfHours, halfHours(k, f.half[k], f.half[k]+1)...)
			f.half[k]++
		}
		state := binary.BigEndian.AppendUint32(nil, uint32(f.half[k]))
		state = binary.BigEndian.AppendUint32(state, uint32(f.tick))
		r.States = append(r.States, KeyedState{k, append(state, make([]byte, f.fat+f.random.IntN(9))...)})
		if f.random.IntN(5) > 0 {
			at := f.now().Add(time.Duration(f.random.IntN(1000)) * time.Millisecond)
			if f.random.IntN(20) == 0 {
				at = at.Add(-time.Hour) // a clock that was set back
			}
			r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: at, Value: int64(f.tick) * 7}})
		}
	}
	return r
}

// step makes one call of those that an agent makes.
func (f *siteAt) step(s *Store) (string, func() error) {
	switch f.random.IntN(16) {
	case 0, 1:
		r := f.round(true)
		return "a round with half-hours", func() error { return s.Commit(r) }
	case 2:
		v := be64(f.random.Uint64())
		return "a named value", func() error { return s.SetMeta("m", v) }
	case 3:
		seq, _, err := s.Chain()
		must(f.t, err)
		return "a batch is sealed", func() error {
			if f.half[f.keys[0]] == 0 {
				return nil
			}
			return s.Seal(seq+1, hash(1), []byte("b"), []energy.Span{span(f.keys[0], 0, f.half[f.keys[0]]+1)}, 0)
		}
	case 4:
		seq, _, err := s.Chain()
		must(f.t, err)
		return "all is acknowledged", func() error { return s.Acknowledge(seq) }
	case 5:
		if len(f.keys) < 12 {
			f.keys = append(f.keys, energy.Key{Meter: fmt.Sprint("m", len(f.keys)), Measure: energy.Import})
		}
		r := f.round(false)
		return "a round with a new register", func() error { return s.Commit(r) }
	case 6:
		f.fat = f.random.IntN(3000)
		r := f.round(false)
		return "a round of long states", func() error { return s.Commit(r) }
	case 8:
		return "a transaction that fails", func() error {
			// What bbolt does when the disk is full, with the checkpoint written
			// already that was to go along. The next transaction has its number.
			s.write.Lock()
			defer s.write.Unlock()
			tx, err := s.beginTx("failing", true)
			if err == nil {
				_, _, err = s.rebase(tx, false)
			}
			if err != nil {
				return err
			}
			return tx.Rollback()
		}
	case 7:
		f.tick += 60 * f.random.IntN(3)
		return "old samples go", func() error { return s.Prune(f.now().Add(7*24*time.Hour - 90*time.Minute)) }
	default:
		r := f.round(false)
		return "a light round", func() error { return s.Commit(r) }
	}
}
