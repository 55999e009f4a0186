package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The samples of one register and one UTC hour are one value:
//
//	head (see pack.go), version 1 |
//	count 4 bytes | last at 8 bytes, Unix ms | last value 8 bytes (big endian) |
//	per sample, by time: at - the one before (the first: - the hour), uvarint ms; value - the one before, varint
//
// The fixed head lets the next sample be appended without reading the others.
const hourVersion = 1

const (
	hourMillis = 60 * 60 * 1000
	hourHead   = packHead + 4 + 8 + 8
)

func hourOf(ms int64) int32 { return int32(floorDiv(ms, hourMillis)) }

// appendSamples adds samples, which are of the hour and in order of time, to a
// packed hour (nil: none yet) and returns the new value. A sample at an instant
// that is already there changes nothing: the first one stays.
func appendSamples(reg uint32, hour int32, packed []byte, samples []energy.Sample) ([]byte, error) {
	if packed == nil {
		return encodeHour(reg, hour, samples), nil
	}
	p, err := unpacked(packed, hourVersion, slotKey(hour, reg))
	if err != nil {
		return nil, err
	}
	if len(packed) < hourHead {
		return nil, fmt.Errorf("%w: %d bytes", errPacked, len(packed))
	}
	count, at, value := binary.BigEndian.Uint32(p), int64(binary.BigEndian.Uint64(p[4:])), int64(binary.BigEndian.Uint64(p[12:]))
	if samples[0].At.UnixMilli() > at {
		b := make([]byte, len(packed), len(packed)+8*len(samples)+8)
		copy(b, packed)
		return packSamples(b, slotKey(hour, reg), count, at, value, samples), nil
	}
	old, err := decodeHour(reg, hour, packed)
	if err != nil {
		return nil, err
	}
	merged := make([]energy.Sample, 0, len(old)+len(samples))
	for len(old) > 0 || len(samples) > 0 {
		if len(samples) == 0 || len(old) > 0 && old[0].At.UnixMilli() <= samples[0].At.UnixMilli() {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, samples = append(merged, samples[0]), samples[1:]
		}
	}
	return encodeHour(reg, hour, merged), nil
}

func encodeHour(reg uint32, hour int32, samples []energy.Sample) []byte {
	b := make([]byte, hourHead, hourHead+8*len(samples)+8)
	return packSamples(b, slotKey(hour, reg), 0, int64(hour)*hourMillis, 0, samples)
}

func packSamples(b, key []byte, count uint32, at, value int64, samples []energy.Sample) []byte {
	for _, s := range samples {
		ms := s.At.UnixMilli()
		if count > 0 && ms <= at {
			continue
		}
		b = binary.AppendUvarint(b, uint64(ms-at))
		b = binary.AppendVarint(b, s.Value-value)
		at, value = ms, s.Value
		count++
	}
	binary.BigEndian.PutUint32(b[5:], count)
	binary.BigEndian.PutUint64(b[9:], uint64(at))
	binary.BigEndian.PutUint64(b[17:], uint64(value))
	return stamp(b, hourVersion, key)
}

// decodeHour reads the samples of a packed hour. It never panics and allocates
// in proportion to its input.
func decodeHour(reg uint32, hour int32, b []byte) ([]energy.Sample, error) {
	p, err := unpacked(b, hourVersion, slotKey(hour, reg))
	if err != nil {
		return nil, err
	}
	if len(b) < hourHead {
		return nil, fmt.Errorf("%w: %d bytes", errPacked, len(b))
	}
	n := binary.BigEndian.Uint32(p)
	r := reader{b: p[20:]}
	if uint64(n) > uint64(len(r.b)/2) {
		return nil, fmt.Errorf("%w: it claims %d samples", errPacked, n)
	}
	samples := make([]energy.Sample, n)
	at, value := int64(hour)*hourMillis, int64(0)
	for i := range samples {
		d := r.uvarint()
		value += r.varint()
		if r.bad || d >= hourMillis || i > 0 && d == 0 || hourOf(at+int64(d)) != hour {
			return nil, fmt.Errorf("%w: sample %d of %d", errPacked, i+1, n)
		}
		at += int64(d)
		samples[i] = energy.Sample{At: time.UnixMilli(at).UTC(), Value: value}
	}
	if len(r.b) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errPacked, len(r.b))
	}
	return samples, nil
}
