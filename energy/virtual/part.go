package virtual

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strings"
)

// Part is an exact fraction from 0 to 1. The zero value is not a fraction.
type Part struct{ Num, Den int64 }

// maxDen bounds the denominator that a fraction is written with, so that sums
// of many of them still fit.
const maxDen = 1_000_000_000

// ParsePart reads a share as people write it: "0.35", "35%", "12.5 %", "7/20",
// "1". At most nine decimals, from 0 to 1.
func ParsePart(s string) (Part, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	text = strings.TrimSpace(text)
	// big.Rat also reads signs, exponents, hexadecimals and underscores, which
	// a share is not written with.
	if text == "" || strings.Trim(text, "0123456789./") != "" || percent && strings.Contains(text, "/") || len(text) > 24 {
		return Part{}, fmt.Errorf("share %q: write it as 0.35, 35%% or 7/20", s)
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return Part{}, fmt.Errorf("share %q: write it as 0.35, 35%% or 7/20", s)
	}
	if percent {
		r.Quo(r, big.NewRat(100, 1))
	}
	if r.Cmp(one) > 0 {
		return Part{}, fmt.Errorf("share %q: it is more than the whole", s)
	}
	if r.Denom().Cmp(big.NewInt(maxDen)) > 0 {
		return Part{}, fmt.Errorf("share %q: nine decimals are enough", s)
	}
	return partOf(r)
}

var one = big.NewRat(1, 1)

// errFine says that a fraction cannot be held in 63 bits.
var errFine = errors.New("the shares are too fine to be added up exactly: write them with fewer decimals")

// partOf makes a Part of a number from 0 to 1.
func partOf(r *big.Rat) (Part, error) {
	if !r.Denom().IsInt64() {
		return Part{}, errFine
	}
	return Part{r.Num().Int64(), r.Denom().Int64()}, nil
}

func (p Part) rat() *big.Rat { return big.NewRat(p.Num, p.Den) }

func (p Part) valid() bool { return p.Num >= 0 && p.Den > 0 && p.Num <= p.Den }

// String gives the fraction, e.g. "7/20".
func (p Part) String() string { return fmt.Sprintf("%d/%d", p.Num, p.Den) }

// of is p*n, rounded to the nearest integer (halves up), exactly. One more of
// n gives none or one more of p.of(n), never less: what is cut out of a
// register with it is a register again, and so is what is left.
func (p Part) of(n int64) int64 {
	mag := uint64(n)
	if n < 0 { // mutate: -0 is 0
		mag = -mag
	}
	hi, lo := bits.Mul64(mag, uint64(p.Num))
	q, r := bits.Div64(hi, lo, uint64(p.Den)) // fits: Num <= Den
	if n >= 0 {                               // mutate: 0 has no remainder to round
		if 2*r >= uint64(p.Den) {
			q++
		}
		return int64(q)
	}
	if 2*r > uint64(p.Den) {
		q++
	}
	return -int64(q)
}
