// Package month is a gateway's statement of a month: the half-hours of one
// register in one calendar month (UTC) under one hash, signed by the gateway.
// The gateway makes it, the relay passes it on, and an outsider checks with it
// that a half-hour he was served is the one that the gateway signed. All three
// share this package.
//
// The hash is the root of a binary tree over the month's half-hours. Every leaf
// is blinded by a secret of its own, and the secrets hang from one seed as the
// leaves hang from the root, so that
//
//   - the whole month is opened with one seed of 32 bytes;
//   - any part of it is opened with some twenty seeds and hashes, and what is
//     not opened stays unknown: its hash cannot be tried against guesses;
//   - a seed can be replaced by those of a part: what was outside is then
//     closed for ever, also to him who held the seed (see Proof.Narrow).
//
// Absent half-hours are leaves too, so that what was left out is noticed.
package month

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The tree has 2^depth leaves, of which a month's half-hours take the first; a
// month has at most 31*48 = 1488.
const (
	depth  = 11
	leaves = 1 << depth
)

// Seed is the secret of a node: of the root for a whole month.
type Seed [sha256.Size]byte

// Hash is the hash of a node.
type Hash [sha256.Size]byte

// NewSeed makes a secret for one statement. It must serve for no other: two
// statements under one seed would tell in what they differ.
func NewSeed() (s Seed) {
	rand.Read(s[:]) // never fails (crypto/rand)
	return s
}

// Value is what a statement says of one half-hour. The zero Value is one of
// which it says nothing: not known, or not delivered.
type Value struct {
	Present    bool
	Energy     int64 // base units of the measure
	Cumulative int64 // register at the end, base units; -1 not known
	Quality    energy.Quality
	Rule       energy.Rule
}

// Values gives the value of a half-hour by its place in the month, from 0.
type Values func(place int) Value

// List makes Values of a list; places after its end are absent.
func List(vs []Value) Values {
	return func(i int) Value {
		if i < len(vs) {
			return vs[i]
		}
		return Value{}
	}
}

// text is the canonical form of a value, as it goes into a leaf:
//
//	energy,cumulative,quality,rule
//
// whole numbers in base units, cumulative empty where it is not known, quality
// by its name, rule by its number. Of an absent half-hour it is empty.
func (v Value) text(b []byte) []byte {
	if !v.Present {
		return b
	}
	b = append(strconv.AppendInt(b, v.Energy, 10), ',')
	if v.Cumulative >= 0 {
		b = strconv.AppendInt(b, v.Cumulative, 10)
	}
	b = append(append(append(b, ','), v.Quality.String()...), ',')
	return strconv.AppendUint(b, uint64(v.Rule), 10)
}

// leaf is SHA-256 of "L", the leaf's seed and the text of its value.
func leaf(s Seed, v Value) Hash {
	var room [128]byte
	return sha256.Sum256(v.text(append(append(room[:0], 'L'), s[:]...)))
}

// join is SHA-256 of "N", the left and the right hash.
func join(l, r Hash) Hash {
	var room [1 + 2*sha256.Size]byte
	return sha256.Sum256(append(append(append(room[:0], 'N'), l[:]...), r[:]...))
}

// child is SHA-256 of "0" or "1" (left or right) and the seed of the node above.
func (s Seed) child(side byte) Seed {
	var room [1 + sha256.Size]byte
	return sha256.Sum256(append(append(room[:0], '0'+side), s[:]...))
}

// root is the hash of the node with a seed, whose first leaf is at place.
func root(s Seed, level, place int, v Values) Hash {
	if level == 0 {
		return leaf(s, v(place))
	}
	return join(root(s.child(0), level-1, place, v), root(s.child(1), level-1, place+1<<(level-1), v))
}

// Root is the hash of a whole month.
func Root(s Seed, v Values) Hash { return root(s, depth, 0, v) }

// Month is a calendar month in UTC, by its first instant.
type Month struct{ Start time.Time }

// Of is the month that an instant lies in.
func Of(t time.Time) Month {
	y, m, _ := t.UTC().Date()
	return Month{time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)}
}

// Parse reads a month as String writes it.
func Parse(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return Month{}, fmt.Errorf("month %.20q is not of the form 2026-03", s)
	}
	return Month{t}, nil
}

// String gives "2026-03".
func (m Month) String() string { return m.Start.Format("2006-01") }

// End is the first instant after the month.
func (m Month) End() time.Time { return m.Start.AddDate(0, 1, 0) }

// Next is the month after.
func (m Month) Next() Month { return Month{m.End()} }

// HalfHours is how many half-hours the month has.
func (m Month) HalfHours() int { return int(m.End().Sub(m.Start) / energy.Period) }

// Place is where a half-hour stands in the month; ok is false when t is not
// the start of one of the month's half-hours.
func (m Month) Place(t time.Time) (place int, ok bool) {
	since := t.Sub(m.Start)
	return int(since / energy.Period), since >= 0 && since%energy.Period == 0 && t.Before(m.End())
}

// At is the start of the half-hour at a place.
func (m Month) At(place int) time.Time {
	return m.Start.Add(time.Duration(place) * energy.Period)
}
