package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	packager "github.com/goburrow/modbus"
	wire "github.com/simonvetter/modbus"
)

// An RTU frame does not say which question it answers. Unit, function, length
// and checksum of a late answer all fit the next question, and the value lands
// in another register without any error. So nothing is believed before the
// wire has proved that nothing else was on its way:
//
//   - Silence goes before each question. After a failure it lasts for one more
//     time-out, and whatever comes prolongs it.
//   - Thereafter the unit is suspect. Its next question is one whose answer
//     cannot be taken for any other of this unit's: another function or length.
//     Since a meter answers in order, its answer proves that all before it are
//     through, however late.
//   - An answer with the very bytes of the one before it, to another question,
//     may be that one repeated: the same proof follows it.
//   - A round of questions is believed when the wire was silent after it, for
//     as long as that unit takes to answer. One answer too many in the round
//     would leave the last one still to come.
type rtuClient struct {
	dial  func() (link, error)
	line  line
	units map[uint8]*trust
	unit  uint8
	asked bool // in this round
}

// trust is what is known of one unit on the wire.
type trust struct {
	suspect bool // an answer of it may be on its way
	wary    bool // the proof was an exception of the same function: the next one proves nothing
	tries   int  // proofs that were not answered, since the last that was
	failed  time.Time
	shapes  []shape // of all that it was asked
	last    shape   // the question that was answered last, and its answer
	address uint16
	answer  []byte
	slowest time.Duration // of its late answers, forgotten slowly
}

// shape is what two answers must differ in to be told apart.
type shape struct {
	function uint8
	words    uint16
}

func newRTU(t target, timeout, pause time.Duration) *rtuClient {
	c := &rtuClient{units: map[uint8]*trust{}}
	bits := 10 + t.stop // start, 8 data, parity or stop, stop
	if t.parity == "N" {
		bits--
	}
	if t.baud == 0 { // behind a converter: as slow as most serial wires
		t.baud, bits = 9600, 11
	}
	c.line = line{char: time.Duration(bits) * time.Second / time.Duration(t.baud), timeout: timeout, quiet: timeout}
	c.line.gap = c.line.char * 7 / 2
	if t.scheme != "rtu" || t.baud > 19200 {
		c.line.gap = 1750 * time.Microsecond // Modbus over serial line 1.02, section 2.5.1.1
	}
	c.line.gap = max(c.line.gap, pause)
	if t.scheme == "rtu" {
		p := &adapter{path: t.address, dir: byID}
		c.dial = func() (link, error) { return p.open(t, c.line.gap) }
	} else {
		c.dial = func() (link, error) { return dialSocket(t.address, timeout) }
	}
	return c
}

func (c *rtuClient) Open() (err error) {
	c.line.link, err = c.dial()
	return err
}

func (c *rtuClient) Close() error {
	if c.line.link == nil {
		return nil
	}
	l := c.line.link
	c.line.link = nil
	return l.close()
}

func (c *rtuClient) SetUnitId(u uint8) error { c.unit = u; return nil }

// begin starts a round of questions to one unit.
func (c *rtuClient) begin() { c.asked, c.line.strange = false, false }

// settle waits until a question may be put. What came unasked makes every
// unit suspect.
func (c *rtuClient) settle(ctx context.Context) error {
	heard, err := c.line.settle(ctx)
	if heard {
		c.suspectAll()
	}
	return err
}

func (c *rtuClient) suspectAll() {
	for _, u := range c.units {
		u.suspect = true
	}
}

// believed ends a round: an error says that its answers may be to other
// questions than those that they were taken for.
func (c *rtuClient) believed(ctx context.Context) error {
	if c.line.strange {
		c.suspectAll()
		return errShifted
	}
	if !c.asked || c.line.link == nil || c.line.unheard { // not heard for a whole time-out: nothing more comes
		return nil
	}
	wait := min(c.line.gap+c.trust().slowest*3/2, c.line.timeout)
	heard, err := c.line.listen(ctx, time.Now().Add(wait))
	if heard {
		c.suspectAll()
		c.line.quarantine()
		return errShifted
	}
	return err
}

func (c *rtuClient) trust() *trust {
	u := c.units[c.unit]
	if u == nil {
		u = &trust{}
		c.units[c.unit] = u
	}
	return u
}

// ReadRawBytes reads registers; as in the library, size counts bytes.
func (c *rtuClient) ReadRawBytes(address, size uint16, t wire.RegType) ([]byte, error) {
	s := shape{readHolding, size / 2}
	if t == wire.INPUT_REGISTER {
		s.function = readInput
	}
	u := c.trust()
	if !slices.Contains(u.shapes, s) {
		u.shapes = append(u.shapes, s)
	}
	if u.suspect {
		if err := c.prove(u, address); err != nil {
			return nil, err
		}
	}
	data, err := c.ask(s, address)
	switch {
	case err == nil:
		u.wary = false
	case isException(err) && !u.wary:
		return nil, err
	default:
		u.suspect, u.wary, u.failed = true, false, time.Now()
		return nil, err
	}
	repeat := u.last == s && u.address != address && bytes.Equal(u.answer, data)
	u.last, u.address, u.answer = s, address, append(u.answer[:0], data...)
	if repeat {
		u.suspect = true
		if err := c.prove(u, address); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// prove asks a suspect unit something whose answer is unlike all others'. A
// meter that falls silent at such a question is given two, and then three
// time-outs of silence have to do.
func (c *rtuClient) prove(u *trust, address uint16) error {
	if err := c.settle(context.Background()); err != nil {
		return err
	}
	s, alone := u.unlike()
	if u.tries >= 2 {
		if u.failed.IsZero() {
			u.failed = time.Now()
		}
		c.line.until = u.failed.Add(3 * c.line.quiet)
		if err := c.settle(context.Background()); err != nil {
			return err
		}
		u.suspect, u.wary, u.tries = false, false, 0
		return nil
	}
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
	u.suspect, u.wary, u.tries = false, err != nil && !alone, 0
	return c.settle(context.Background())
}

// unlike gives a question whose answer no other of this unit's is like: one
// register of the table that it is not read from, where there is such a table
// (then even a refusal is unlike), or else another number of registers.
func (u *trust) unlike() (s shape, alone bool) {
	if u.tries == 0 {
		for _, f := range []uint8{readHolding, readInput} {
			if !slices.ContainsFunc(u.shapes, func(o shape) bool { return o.function == f }) {
				return shape{f, 1}, true
			}
		}
	}
	s = shape{u.shapes[0].function, 1}
	for slices.Contains(u.shapes, s) {
		s.words++
	}
	return s, false
}

// ask makes one exchange and checks all that can be checked of its answer.
func (c *rtuClient) ask(s shape, address uint16) ([]byte, error) {
	data := binary.BigEndian.AppendUint16(nil, address)
	data = binary.BigEndian.AppendUint16(data, s.words)
	answer, err := c.exchange(s.function, data, overhead+2*int(s.words))
	if err != nil {
		return nil, err
	}
	return answer[1:], nil // without the byte count
}

// exchange asks the unit, and gives the answer without unit, function and
// checksum. Length is that of the longest answer.
func (c *rtuClient) exchange(function uint8, data []byte, length int) ([]byte, error) {
	p := packager.NewRTUClientHandler("") // for its frames: it opens nothing
	p.SlaveId = c.unit
	question, err := p.Encode(&packager.ProtocolDataUnit{FunctionCode: function, Data: data})
	if err != nil {
		return nil, err
	}
	c.asked = true
	began := time.Now()
	frame, err := c.line.exchange(question, length)
	if err != nil {
		return nil, err
	}
	answer, err := p.Decode(frame)
	if err != nil {
		c.line.strange = true
		c.line.quarantine()
		return nil, errChecksum
	}
	u := c.trust()
	u.slowest = max(time.Since(began), u.slowest*15/16)
	if answer.FunctionCode == function|exceptionBit {
		return nil, exception(answer.Data[0])
	}
	return answer.Data, nil
}
