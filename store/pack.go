package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Every value of ours begins with
//
//	version 1 byte | CRC-32C of what follows and of the value's key, 4 bytes little endian
//
// bbolt checks nothing but its own two head pages. With the key in the sum, a
// value that got under another key (another register, another day) is noticed
// like any other damage: a wrong figure is worse than none (law 2).
const packHead = 5

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errPacked = errors.New("packed value is damaged")

// stamp fills in the head of a value that was packed behind room for it.
func stamp(b []byte, version byte, key []byte) []byte {
	b[0] = version
	binary.LittleEndian.PutUint32(b[1:], sum(b[packHead:], key))
	return b
}

// sum takes the few bytes of the key by itself: hash/crc32 would have every key
// on the heap.
func sum(b, key []byte) uint32 {
	crc := ^crc32.Checksum(b, castagnoli)
	for _, c := range key {
		crc = castagnoli[byte(crc)^c] ^ crc>>8
	}
	return ^crc
}

// pack puts the head before a small value.
func pack(version byte, key, v []byte) []byte {
	return stamp(append(make([]byte, packHead, packHead+len(v)), v...), version, key)
}

// unpacked checks the version and the checksum and returns what follows them,
// which is a part of b.
func unpacked(b []byte, version byte, key []byte) ([]byte, error) {
	if len(b) < packHead {
		return nil, fmt.Errorf("%w: %d bytes", errPacked, len(b))
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", errPacked, b[0], version)
	}
	if got := sum(b[packHead:], key); got != binary.LittleEndian.Uint32(b[1:]) {
		return nil, fmt.Errorf("%w: checksum is %08x", errPacked, got)
	}
	return b[packHead:], nil
}

// The version of the small values: states, records, heads, the callers' own.
const smallVersion = 1
