package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Commit stores a round, whole, in one durable transaction: when it returns nil
// the round is on the disk; when it returns an error nothing of it is.
// Committing the same round again changes nothing. A round of nothing but states
// and samples, as there is one each minute, goes into the checkpoint beside the
// file where it can (see since), without an allocation.
//
// A half-hour that is already stored is replaced only as successor says; the
// replaced version is kept among the corrections and the new one is pending
// again. Samples at an instant that is already stored are dropped.
//
// When the disk is full (ErrFull), the oldest samples are given up first and
// the round is tried again, then without its own samples and findings; both are logged. Only
// when the half-hours and states themselves find no room is ErrFull returned:
// keep the round and commit it again later.
func (s *Store) Commit(r Round) error {
	if len(r.HalfHours)+len(r.States)+len(r.Samples)+len(r.Statements)+len(r.Findings) == 0 {
		return nil
	}
	if err := r.validate(); err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if r.light() && s.checkpoint(&r) {
		return nil
	}
	err := s.commit(r, true)
	for errors.Is(err, ErrFull) && s.shedSamples() {
		err = s.commit(r, true)
	}
	if errors.Is(err, ErrFull) && len(r.Samples)+len(r.Findings)+s.since.touched > 0 && len(r.HalfHours)+len(r.States)+len(r.Statements) > 0 {
		bare := r
		bare.Samples, bare.Findings = nil, nil
		if s.commit(bare, false) == nil {
			s.log.Warn("the disk is full: half-hours were stored without their samples", "path", s.path, "samples", len(r.Samples), "findings", len(r.Findings))
			return nil
		}
	}
	return err
}

// commit stores a round through bbolt, and with it what lies in the checkpoint;
// without samples where there is no room for them.
func (s *Store) commit(r Round, samples bool) error {
	var changed []change
	c := &s.since
	defer c.unstage()
	others := r // what is not laid over the checkpoint's registers
	others.States, others.Samples = nil, nil
	for i := range r.States {
		if l := c.line(r.States[i].Key); l != nil {
			l.staged, l.next = true, r.States[i].State
		} else {
			others.States = append(others.States, r.States[i])
		}
	}
	for i := range r.Samples {
		if !c.stageSample(&r.Samples[i]) {
			others.Samples = append(others.Samples, r.Samples[i])
		}
	}
	known := map[energy.Key]uint32{}
	err := s.transact("storing a round", func(tx *bolt.Tx) (err error) {
		if changed, err = s.commitHalfHours(tx, r.HalfHours); err != nil {
			return err
		}
		if err := s.fold(tx, samples); err != nil {
			return err
		}
		for _, st := range others.States {
			reg, err := makeRegister(tx, st.Key)
			if err != nil {
				return err
			}
			if err := tx.Bucket(bucketStates).Put(be32(reg.id), pack(smallVersion, be32(reg.id), st.State)); err != nil {
				return err
			}
			known[st.Key] = reg.id
		}
		if err := s.commitSamples(tx, others.Samples); err != nil {
			return err
		}
		if err := commitStatements(tx, r.Statements); err != nil {
			return err
		}
		return s.commitFindings(tx, r.Findings)
	}, true)
	if err == nil {
		c.learn(known)
		s.noteChanges(changed)
	}
	return err
}

// validate refuses what could not be read back as it was given.
func (r Round) validate() error {
	for _, h := range r.HalfHours {
		if h.HalfHour.Start.UnixMicro()%1000 != 0 || h.HalfHour.Start.Nanosecond()%1000 != 0 {
			return fmt.Errorf("half-hour of %s: its start %s is not on a whole millisecond", h.Key, h.HalfHour.Start)
		}
		if !h.Quality.Valid() {
			return fmt.Errorf("half-hour of %s at %s: %s is not a quality", h.Key, h.HalfHour.Start, h.Quality)
		}
		for _, t := range []time.Time{h.HalfHour.Start, h.TakenAt, h.Evidence.First.At, h.Evidence.Last.At, h.Evidence.Start.At} {
			if !storable(t) {
				return fmt.Errorf("half-hour of %s at %s: the time %s is outside the years 1 to 9999", h.Key, h.HalfHour.Start, t)
			}
		}
	}
	for _, s := range r.Samples {
		if !storable(s.At) {
			return fmt.Errorf("sample of %s: the time %s is outside the years 1 to 9999", s.Key, s.At)
		}
	}
	for _, s := range r.Statements {
		if !storable(s.At) {
			return fmt.Errorf("statement of %s: the time %s is outside the years 1 to 9999", s.Key, s.At)
		}
	}
	return nil
}

func storable(t time.Time) bool {
	ms := t.UnixMilli()
	return ms >= earliest && ms <= latest && t.Year() >= 1 && t.Year() <= 9999
}

// slotted is what a round holds for one slot (day or hour) of one register.
type slotted[T any] struct {
	key   energy.Key
	reg   uint32
	slot  int32
	items []T
}

// group sorts items into slots, by slot and then register, which is the order
// of the file. Within a slot their order stays. Unknown registers get an id.
func group[T any](s *Store, tx *bolt.Tx, items []T, place func(*T) (energy.Key, int32)) ([]slotted[T], error) {
	type placed struct {
		key  energy.Key
		reg  uint32
		slot int32
		item T
	}
	all := make([]placed, len(items))
	for i := range items {
		p := &all[i]
		p.item = items[i]
		p.key, p.slot = place(&items[i])
		var err error
		switch l := s.since.line(p.key); {
		case l != nil:
			p.reg = l.id
		case i > 0 && all[i-1].key == p.key:
			p.reg = all[i-1].reg
		default:
			var r register
			r, err = makeRegister(tx, p.key)
			p.reg = r.id
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.reg, b.reg))
	})
	sorted, groups := make([]T, len(items)), make([]slotted[T], 0, len(items))
	for i := range all {
		p := &all[i]
		sorted[i] = p.item
		if n := len(groups); n > 0 && groups[n-1].reg == p.reg && groups[n-1].slot == p.slot {
			from := i - len(groups[n-1].items)
			groups[n-1].items = sorted[from : i+1 : i+1]
			continue
		}
		groups = append(groups, slotted[T]{key: p.key, reg: p.reg, slot: p.slot, items: sorted[i : i+1 : i+1]})
	}
	return groups, nil
}

// State is the accumulator state last committed for a register; nil, nil when
// there is none. One that is damaged counts as none, and is logged: the
// accumulator then begins anew, where a wrong baseline would make a wrong half-hour.
func (s *Store) State(k energy.Key) (state []byte, err error) {
	if state, ok := s.since.stateOf(k); ok && s.dead.Load() == nil {
		return state, nil
	}
	err = s.view("reading a state", func(tx *bolt.Tx) error {
		r, ok, err := findRegister(tx, k)
		if ok {
			state = s.small(tx, bucketStates, be32(r.id))
		}
		return err
	})
	return state, err
}

// small reads a small value; nil when there is none, or only a damaged one.
func (s *Store) small(tx *bolt.Tx, bucket, key []byte) []byte {
	v := tx.Bucket(bucket).Get(key)
	if v == nil {
		return nil
	}
	p, err := unpacked(v, smallVersion, key)
	if err != nil {
		s.log.Error("a damaged value in the store counts as none", "path", s.path, "part", string(bucket), "key", fmt.Sprintf("%q", key), "cause", err)
		return nil
	}
	return append([]byte{}, p...)
}
