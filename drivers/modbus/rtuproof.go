package modbus

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	wire "github.com/simonvetter/modbus"
)

// enough answers of a unit say how long it takes.
const enough = 4

// trust is what is known of one unit on the wire.
type trust struct {
	suspect bool      // an answer of it may be on its way
	wary    bool      // the proof was an exception of the same function: the next one may be the proof's own
	tries   int       // proofs that were not answered, since the last that was
	proves  bool      // it has answered a proof, ever
	mute    time.Time // till then it is asked for none: it answers questions, but has never answered a proof
	failed  time.Time
	shapes  []shape // of all that it was asked
	turn    uint16  // of proofs
	answers []answered
	slowest time.Duration // of its answers; forgotten slowly
	known   int           // answers that say how slow it is, up to enough
}

// shape is what two answers must differ in to be told apart.
type shape struct {
	function uint8
	words    uint16 // or bits
}

// answered is an answer that may come once more.
type answered struct {
	bits    byte // the function, for bits: registers are told apart by their address alone
	address uint16
	data    []byte
	at      time.Time
}

func (c *rtuClient) trust() *trust {
	u := c.units[c.unit]
	if u == nil {
		u = &trust{}
		c.units[c.unit] = u
	}
	return u
}

// again asks once more what had the answer of another register.
func (c *rtuClient) again(s shape, address uint16, first []byte) ([]byte, error) {
	data, err := c.ask(s, address)
	if err == nil && !bytes.Equal(data, first) {
		c.line.strange = true
		return nil, errShifted
	}
	return data, err
}

// repeats reports whether an answer was another register's a short while ago.
func (u *trust) repeats(function byte, address uint16, data []byte) bool {
	return slices.ContainsFunc(u.answers, func(a answered) bool {
		return a.bits == bitsOf(function) && a.address != address && bytes.Equal(a.data, data) && time.Since(a.at) < repeatsWithin
	})
}

// bitsOf is the function of a question for bits, 0 of one for registers: an
// answer to another function shows itself.
func bitsOf(function byte) byte {
	if function < readHolding {
		return function
	}
	return 0
}

// repeatsWithin is how long after it an answer may come once more.
const repeatsWithin = time.Minute

// remember keeps the answers of the last questions, one for each register.
func (u *trust) remember(function byte, address uint16, data []byte) {
	if data == nil {
		return
	}
	k := slices.IndexFunc(u.answers, func(a answered) bool {
		return a.bits == bitsOf(function) && a.address == address && len(a.data) == len(data)
	})
	if k < 0 {
		if len(u.answers) >= 32 {
			u.answers = u.answers[1:]
		}
		u.answers, k = append(u.answers, answered{}), len(u.answers)
	}
	u.answers[k] = answered{bitsOf(function), address, data, time.Now()}
}

// confirm makes sure of the answer that has just come. A proof that is not
// answered does so too, by a time-out of silence.
func (c *rtuClient) confirm(u *trust, address uint16) error {
	if !c.dirty || time.Now().Before(u.mute) {
		return c.silent(context.Background())
	}
	if heard, err := c.line.settle(context.Background()); err != nil || heard {
		c.beware()
		return cmp.Or(err, errShifted)
	}
	switch err := c.proof(u, address); {
	case err == nil:
		c.proved = true
	case !errors.Is(err, wire.ErrRequestTimedOut):
		return err
	case u.tries >= 3 && !u.proves:
		u.mute = time.Now().Add(muteFor)
		fallthrough
	default:
		u.suspect = true // the proof's answer is on its way
	}
	return nil
}

// muteFor is how long a unit that does not answer proofs is asked for none.
const muteFor = time.Hour

// prove makes sure that nothing of a suspect unit's is on its way. A meter
// that has never answered a proof is given two, and then three time-outs of
// silence have to do.
func (c *rtuClient) prove(u *trust, address uint16) error {
	if u.tries >= 2 && !u.proves {
		if until := u.failed.Add(3 * c.line.quiet); until.After(c.line.until) {
			c.line.until = until
		}
		u.suspect, u.wary, u.tries = false, false, 0
	} else if err := c.settle(context.Background()); err != nil {
		return err
	} else if err := c.proof(u, address); err != nil {
		return err
	}
	if err := c.settle(context.Background()); err != nil {
		return err
	}
	if u.suspect { // it was not silent after the proof
		return errShifted
	}
	return nil
}

// proof asks something whose answer is unlike all others' of the unit.
func (c *rtuClient) proof(u *trust, address uint16) error {
	s, alone := u.unlike()
	if int(address)+int(s.words) > 0x10000 {
		address = uint16(0x10000 - int(s.words))
	}
	_, err := c.ask(s, address)
	if err != nil && !isException(err) {
		u.failed = time.Now()
		if errors.Is(err, wire.ErrRequestTimedOut) {
			u.tries++
		}
		return err
	}
	u.suspect, u.wary, u.tries, u.proves = false, err != nil && !alone, 0, true
	return nil
}

// unlike gives a question whose answer no other of this unit's is like:
// registers of the table that it is not read from, where there is such a table
// (then even a refusal is unlike), or else another number of registers. The
// number changes from proof to proof, so that their answers differ too.
func (u *trust) unlike() (s shape, alone bool) {
	s = shape{readHolding, 0}
	if len(u.shapes) > 0 {
		s.function = u.shapes[0].function
	}
	for _, f := range []uint8{readHolding, readInput} {
		if u.tries%2 == 0 && !slices.ContainsFunc(u.shapes, func(o shape) bool { return o.function == f }) {
			s.function, alone = f, true
		}
	}
	for {
		s.words = 1 + u.turn%uint16(max(proofWords, len(u.shapes)+2))
		if u.turn++; !slices.Contains(u.shapes, s) {
			return s, alone
		}
	}
}

// proofWords is how many registers a proof asks for at most, but for units
// that are asked questions of more shapes than this.
const proofWords = 8
