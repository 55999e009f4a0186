package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The buckets of the file. A key that begins with a slot (a UTC day or hour) is
// ordered by time, so that what is written together lies together and what
// grows old is dropped from the front.
var (
	bucketSelf       = []byte("self")           // format, chain, acked
	bucketMeta       = []byte("meta")           // name -> value, the callers' own
	bucketRegisters  = []byte("registers")      // measure, meter -> register record
	bucketIDs        = []byte("ids")            // register id -> measure, meter
	bucketStates     = []byte("states")         // register id -> state
	bucketDayHot     = []byte("days-hot")       // day, register id -> packed half-hours of the day under way
	bucketDays       = []byte("days")           // day, register id -> packed half-hours of finished days
	bucketHourHot    = []byte("hours-hot")      // hour, register id -> packed samples of the hour under way
	bucketHours      = []byte("hours")          // hour, register id -> packed samples of finished hours
	bucketDirty      = []byte("dirty")          // register id, day -> nothing: the day has pending half-hours
	bucketFixes      = []byte("corrections")    // register id, start, number -> a replaced version
	bucketSealed     = []byte("sealed")         // sequence -> sealed, unacknowledged batch
	bucketResealed   = []byte("resealed")       // register id, start -> sequence of the last batch that carries a corrected half-hour
	bucketStatements = []byte("statements")     // number -> statement not yet in a batch
	bucketStSealed   = []byte("statements-out") // number -> sequence, statement in a sealed batch
	bucketStDone     = []byte("statements-done")
	bucketFindings   = []byte("findings") // number -> finding; not in older files: made when it is first needed
	bucketBroken     = []byte("broken")   // bucket, key -> a packed value that failed its checksum
)

var buckets = [][]byte{
	bucketSelf, bucketMeta, bucketRegisters, bucketIDs, bucketStates, bucketDayHot, bucketDays, bucketHourHot, bucketHours,
	bucketDirty, bucketFixes, bucketSealed, bucketResealed, bucketStatements, bucketStSealed, bucketStDone, bucketBroken,
}

const formatVersion = 1

var keyFormat = []byte("format")

// prepare creates what is missing: everything in a new file.
func prepare(tx *bolt.Tx) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketSelf).Put(keyFormat, []byte{formatVersion})
}

// errFormat says that the file is sound but not one of ours, or of a later version.
var errFormat = errors.New("not a store of this version")

// prepared checks that the file holds what prepare makes.
func prepared(tx *bolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: part %q is missing", errFormat, name)
		}
	}
	if v := tx.Bucket(bucketSelf).Get(keyFormat); len(v) != 1 || v[0] != formatVersion {
		return fmt.Errorf("%w: format %x, this program knows %d", errFormat, v, formatVersion)
	}
	return namesAgree(tx)
}

// namesAgree checks that every register's record is sound and that its number
// leads back to it. Without that nothing else can be told apart.
func namesAgree(tx *bolt.Tx) error {
	names, n := tx.Bucket(bucketIDs), 0
	for k, v := range walk(tx.Bucket(bucketRegisters), nil) {
		r, err := decodeRegister(k, v)
		if err == nil && !bytes.Equal(names.Get(be32(r.id)), k) {
			err = fmt.Errorf("%w: its number %d is another's", ErrDamaged, r.id)
		}
		if err != nil {
			return fmt.Errorf("register %q: %w", k, err)
		}
		n++
	}
	for k := range walk(names, nil) {
		if n--; n < 0 {
			return fmt.Errorf("register number %x: %w: it has no record", k, ErrDamaged)
		}
	}
	return nil
}

// register is what is known of a register without reading its half-hours.
type register struct {
	id          uint32
	first, last int64 // Start of the first and last half-hour, Unix milliseconds; meaningless when n is 0
	n           uint64
}

func registerKey(k energy.Key) []byte {
	return append(append(make([]byte, 0, 1+len(k.Meter)), byte(k.Measure)), k.Meter...)
}

func keyOfRegister(b []byte) energy.Key {
	return energy.Key{Measure: energy.Measure(b[0]), Meter: string(b[1:])}
}

// findRegister reads a register's record; ok is false when it is not known.
func findRegister(tx *bolt.Tx, k energy.Key) (r register, ok bool, err error) {
	key := registerKey(k)
	v := tx.Bucket(bucketRegisters).Get(key)
	if v == nil {
		return register{}, false, nil
	}
	r, err = decodeRegister(key, v)
	if err != nil {
		return register{}, false, fmt.Errorf("register %s: %w", k, err)
	}
	return r, true, nil
}

// numberOf gives a register's number. The caller holds s.write.
func (s *Store) numberOf(tx *bolt.Tx, k energy.Key) (id uint32, ok bool, err error) {
	if l := s.since.line(k); l != nil {
		return l.id, true, nil
	}
	r, ok, err := findRegister(tx, k)
	return r.id, ok, err
}

// makeRegister is findRegister that gives an unknown register an id.
func makeRegister(tx *bolt.Tx, k energy.Key) (register, error) {
	if !k.Measure.Valid() || k.Meter == "" || len(k.Meter) > 255 {
		return register{}, fmt.Errorf("register %q: the meter's id must have 1 to 255 bytes and the measure must be a known one", k)
	}
	r, ok, err := findRegister(tx, k)
	if ok || err != nil {
		return r, err
	}
	id, err := tx.Bucket(bucketRegisters).NextSequence()
	if err != nil {
		return register{}, err
	}
	r.id = uint32(id)
	if err := tx.Bucket(bucketIDs).Put(be32(r.id), registerKey(k)); err != nil {
		return register{}, err
	}
	return r, putRegister(tx, k, r)
}

func putRegister(tx *bolt.Tx, k energy.Key, r register) error {
	v := make([]byte, packHead, packHead+28)
	v = binary.BigEndian.AppendUint32(v, r.id)
	v = binary.BigEndian.AppendUint64(v, uint64(r.first))
	v = binary.BigEndian.AppendUint64(v, uint64(r.last))
	v = binary.BigEndian.AppendUint64(v, r.n)
	key := registerKey(k)
	return tx.Bucket(bucketRegisters).Put(key, stamp(v, smallVersion, key))
}

func decodeRegister(key, v []byte) (register, error) {
	v, err := unpacked(v, smallVersion, key)
	if err == nil && len(v) != 28 {
		err = fmt.Errorf("%w: %d bytes, not 28", errPacked, len(v))
	}
	if err != nil {
		return register{}, fmt.Errorf("its record: %w: %w", ErrDamaged, err)
	}
	return register{
		id:    binary.BigEndian.Uint32(v),
		first: int64(binary.BigEndian.Uint64(v[4:])),
		last:  int64(binary.BigEndian.Uint64(v[12:])),
		n:     binary.BigEndian.Uint64(v[20:]),
	}, nil
}

// keyOfID finds the register that has an id.
func keyOfID(tx *bolt.Tx, id uint32) (energy.Key, error) {
	v := tx.Bucket(bucketIDs).Get(be32(id))
	if len(v) < 2 {
		return energy.Key{}, fmt.Errorf("register number %d: %w: it has no name", id, ErrDamaged)
	}
	return keyOfRegister(v), nil
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
