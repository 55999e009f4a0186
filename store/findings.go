package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A finding of the validation is stored as
//
//	head (see pack.go), version 1 |
//	rule 1 byte | measure 1 byte | length of the meter's id uvarint | id | at varint, Unix ms | body
//
// under a number that grows, so that the order of the commits is kept: the
// instant that a finding speaks of may be one of a wrong clock.
const findingVersion = 1

// Limits of findings. They are words about readings, not readings: the newest
// are kept, and whatever cannot be kept is dropped.
const (
	MaxFindings = 10_000  // the newest ones stay
	MaxFinding  = 4 << 10 // bytes of one finding's body
)

func encodeFinding(n uint64, f energy.KeyedFinding) []byte {
	v := make([]byte, packHead, 32+len(f.Meter)+len(f.Body))
	v = append(v, f.Rule, byte(f.Measure))
	v = binary.AppendUvarint(v, uint64(len(f.Meter)))
	v = append(v, f.Meter...)
	v = binary.AppendVarint(v, f.At.UnixMilli())
	v = append(v, f.Body...)
	return stamp(v, findingVersion, be64(n))
}

func decodeFinding(key, v []byte) (f energy.KeyedFinding, err error) {
	p, err := unpacked(v, findingVersion, key)
	if err != nil {
		return f, err
	}
	r := reader{b: p}
	f.Rule, f.Measure = r.byte(), energy.Measure(r.byte())
	f.Meter = string(r.bytes(r.uvarint()))
	f.At = r.time(0)
	if r.bad {
		return energy.KeyedFinding{}, fmt.Errorf("%w: finding", errPacked)
	}
	f.Body = bytes.Clone(r.b)
	return f, nil
}

// commitFindings adds findings and drops the oldest beyond MaxFindings. One
// that is there already, word for word, is not added again: the round may be
// one that is committed a second time.
func (s *Store) commitFindings(tx *bolt.Tx, all []energy.KeyedFinding) error {
	if len(all) == 0 {
		return nil
	}
	b, err := tx.CreateBucketIfNotExists(bucketFindings)
	if err != nil {
		return err
	}
	b.FillPercent = fillPercent
	there := map[string]bool{}
	for _, v := range walk(b, nil) {
		if len(v) >= packHead {
			there[string(v[packHead:])] = true
		}
	}
	for i := range all {
		if why := unkeepable(&all[i]); why != "" {
			s.log.Warn("a finding cannot be kept and is dropped", "path", s.path, "register", all[i].Key.String(), "rule", all[i].Rule, "cause", why)
			continue
		}
		n := b.Sequence() + 1
		v := encodeFinding(n, all[i])
		if there[string(v[packHead:])] {
			continue
		}
		there[string(v[packHead:])] = true
		if err := b.SetSequence(n); err != nil {
			return err
		}
		if err := b.Put(be64(n), v); err != nil {
			return err
		}
	}
	if last := b.Sequence(); last > MaxFindings {
		_, err := deleteWhere(b, be64(last-MaxFindings+1), func(_, _ []byte) bool { return true })
		return err
	}
	return nil
}

func unkeepable(f *energy.KeyedFinding) string {
	switch {
	case f.Meter == "" || len(f.Meter) > 255:
		return "the meter's id must have 1 to 255 bytes"
	case f.Rule == 0:
		return "it names no rule"
	case !storable(f.At):
		return "its time is outside the years 1 to 9999"
	case len(f.Body) > MaxFinding:
		return fmt.Sprintf("its text is longer than %d bytes", MaxFinding)
	}
	return ""
}

// deleteWhere drops the values before a key (nil: all) for which gone is true,
// and says how many.
func deleteWhere(b *bolt.Bucket, before []byte, gone func(k, v []byte) bool) (int, error) {
	var keys [][]byte
	for k, v := range walk(b, nil) {
		if before != nil && bytes.Compare(k, before) >= 0 {
			break
		}
		if gone(k, v) {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// findingsAtOnce is how many findings are read in one transaction.
const findingsAtOnce = 256

// Findings gives the findings that speak of instants in [from, to), in the
// order in which they were stored: the newest 10,000 within the retention of
// half-hours. It reads a few at a time, so that it stands in nobody's way. One
// that is damaged yields an error (ErrDamaged) and the next one follows; any
// other error ends it.
func (s *Store) Findings(from, to time.Time) iter.Seq2[energy.KeyedFinding, error] {
	lo, hi := bounds(from, to)
	return func(yield func(energy.KeyedFinding, error) bool) {
		type item struct {
			f   energy.KeyedFinding
			err error
		}
		for next := uint64(0); ; {
			var page []item
			seen := 0
			err := s.view("reading findings", func(tx *bolt.Tx) error {
				b := tx.Bucket(bucketFindings)
				if b == nil {
					return nil
				}
				for k, v := range walk(b, be64(next)) {
					if seen++; seen > findingsAtOnce {
						break
					}
					f, err := decodeFinding(k, v)
					if err != nil {
						err = fmt.Errorf("finding %x: %w: %w", k, ErrDamaged, err)
					}
					if len(k) != 8 {
						return err
					}
					next = binary.BigEndian.Uint64(k) + 1
					if t := f.At.UnixMilli(); err != nil || t >= lo && t < hi {
						page = append(page, item{f, err})
					}
				}
				return nil
			})
			for _, i := range page {
				if !yield(i.f, i.err) {
					return
				}
			}
			if err != nil {
				yield(energy.KeyedFinding{}, err)
				return
			}
			if seen <= findingsAtOnce || next == math.MaxUint64 {
				return
			}
		}
	}
}

// pruneFindings drops those that speak of an instant before the given one, and
// those that are damaged.
func pruneFindings(tx *bolt.Tx, before int64) (int, error) {
	b := tx.Bucket(bucketFindings)
	if b == nil {
		return 0, nil
	}
	return deleteWhere(b, nil, func(k, v []byte) bool {
		f, err := decodeFinding(k, v)
		return err != nil || f.At.UnixMilli() < before
	})
}
