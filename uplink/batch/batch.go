// Package batch is the signed wire format in which half-hours travel from the
// gateway to the relay. Both ends share it.
//
// Batches of one gateway are numbered from 1 without a gap, and each carries
// the hash of the one before, so that either side can prove that nothing was
// dropped, repeated or put in between.
package batch

import (
	"bytes"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Limits. Encode and Decode both keep them; a raw batch from a stranger costs
// at most MaxBody bytes and MaxValues values of memory.
const (
	MaxRaw          = 1 << 20 // bytes of an encoded, signed batch
	MaxBody         = 8 << 20 // bytes of the body once decompressed
	MaxSeries       = 4096    // series in a batch
	MaxSeriesValues = 64 * 48 // half-hours in a series: 64 days
	MaxValues       = 1 << 18 // half-hours in a batch
	MaxGrants       = 256     // grants relied upon
	MaxStatements   = 1024    // baseline statements in a batch
	MaxStatement    = 4 << 10 // bytes of one statement's JSON
	MaxName         = 128     // bytes of a meter's or a grant's identifier
	MaxGateway      = 512     // bytes of a gateway's URL
	MaxSerial       = 20      // bytes of a certificate's serial number (RFC 5280)
	MaxEnergy       = 1 << 50 // base units in one half-hour
	MaxRegister     = 1 << 62 // base units that a register may show
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
	Flags   energy.Flags // validation rules that spoke against it; a missing one may have some too
}

// Statement is a statement of baseline (feeds.md 3.5) as it travels: what was
// stated, when, and the canonical JSON of the statement.
type Statement struct {
	Meter   string
	Measure energy.Measure
	At      time.Time
	Body    []byte // canonical JSON, at most 4 KiB
}

// Equal reports whether two statements are the same.
func (s Statement) Equal(o Statement) bool {
	return s.Meter == o.Meter && s.Measure == o.Measure && s.At.Equal(o.At) && bytes.Equal(s.Body, o.Body)
}
