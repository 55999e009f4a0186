// Package batch is the signed wire format in which half-hours travel from the
// gateway to the relay. Both ends share it.
//
// Batches of one gateway are numbered from 1 without a gap, and each carries
// the hash of the one before, so that either side can prove that nothing was
// dropped, repeated or put in between.
package batch

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// MediaType is the Content-Type of an encoded batch.
const MediaType = "application/vnd.perseus-edge.batch"

// Hash is the SHA-256 of an encoded, signed batch. The zero Hash is the
// "previous" of the first batch.
type Hash [32]byte

// Batch is what a gateway sends in one piece.
type Batch struct {
	Gateway  string    // the gateway's URL: the URI SAN of its certificates
	Serial   []byte    // serial number of the signing certificate, big endian
	Sequence uint64    // 1, 2, 3, ...
	Previous Hash      // hash of the batch with Sequence-1
	Made     time.Time // second resolution, UTC
	Grants   []string  // identifiers of the grants relied upon
	Series   []Series
	Baseline []Statement // baseline statements since the last batch
}

// Series is a run of consecutive half-hours of one register.
type Series struct {
	Meter   string
	Measure energy.Measure
	First   time.Time // start of the first half-hour, UTC, a multiple of 30 minutes
	Values  []Value
	Opening int64 // register at First, base units; -1 when not known
	Closing int64 // register at the end of the last half-hour; -1 when not known
}

// Value is one half-hour as it travels.
type Value struct {
	Energy  int64 // base units; 0 when Quality is Missing
	Quality energy.Quality
	Rule    energy.Rule
}

// Statement is a statement of baseline (feeds.md 3.5) as it travels: what was
// stated, when, and the canonical JSON of the statement.
type Statement struct {
	Meter   string
	Measure energy.Measure
	At      time.Time
	Body    []byte // canonical JSON, at most 4 KiB
}
