package modbus

import (
	"context"
	"encoding/binary"
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
//   - Thereafter the unit is suspect. It is asked for a proof first: a question
//     whose answer cannot be taken for any other of this unit's, being of
//     another function or length. Since a meter answers in order, its answer
//     proves that all before it are through, however late.
//   - An answer with the very bytes of another register's may be that one,
//     repeated: it must come a second time.
//   - A round of questions is believed when silence followed, for twice as long
//     as the unit takes to answer: one answer too many leaves the right one to
//     come. On a wire where something strange was heard lately a proof follows
//     each answer. Anything strange takes back all answers of its round.
type rtuClient struct {
	dial  func() (link, error)
	line  line
	units map[uint8]*trust
	unit  uint8

	careful  int  // answers that are still to be confirmed, each
	dirty    bool // something strange was heard on this wire, ever
	accepted bool // there are answers in this round
	proved   bool // by a proof, the last of them
}

// How many answers are confirmed when a wire is new, and after anything
// strange.
const (
	carefulAtFirst = 100
	carefulAgain   = 1000
)

func newRTU(t target, timeout, pause time.Duration) *rtuClient {
	c := &rtuClient{units: map[uint8]*trust{}, careful: carefulAtFirst}
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
		c.dial = func() (link, error) { return dialSocket("tcp", t.address, timeout) }
	}
	return c
}

func (c *rtuClient) Open() (err error) {
	if c.line.link, err = c.dial(); err == nil && c.line.until.IsZero() {
		c.line.quarantine() // an earlier program's answer may be on its way
	}
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
func (c *rtuClient) begin() { c.accepted, c.line.strange = false, false }

// settle waits until a question may be put.
func (c *rtuClient) settle(ctx context.Context) error {
	heard, err := c.line.settle(ctx)
	if heard {
		c.beware()
	}
	if !c.accepted { // nothing of this round is in doubt yet
		c.line.strange = false
	}
	return err
}

// beware is for something strange on the wire: any unit's answer may be on
// its way.
func (c *rtuClient) beware() {
	c.careful, c.dirty = carefulAgain, true
	for _, u := range c.units {
		u.suspect = true
	}
}

// silent listens for twice as long as the unit takes to answer: an error says that
// it had not answered yet, or that another question's answer came first.
func (c *rtuClient) silent(ctx context.Context) error {
	u := c.trust()
	wait := 2 * u.slowest
	if u.known < enough {
		wait = max(wait, c.line.timeout/4)
	}
	wait = min(c.line.gap+wait, c.line.timeout)
	heard, err := c.line.listen(ctx, time.Now().Add(wait))
	if heard {
		c.line.quarantine()
		c.beware()
		return errShifted
	}
	return err
}

// believed ends a round: an error says that its answers may be to other
// questions than those that they were taken for.
func (c *rtuClient) believed(ctx context.Context) error {
	switch {
	case !c.accepted:
		return nil
	case c.line.strange:
		return errShifted
	case c.proved, c.line.unheard, c.line.link == nil: // a whole time-out of silence; or nothing more can come
		return nil
	}
	return c.silent(ctx)
}

// ReadRawBytes reads registers; as in the library, size counts bytes.
func (c *rtuClient) ReadRawBytes(address, size uint16, t wire.RegType) ([]byte, error) {
	s := shape{readHolding, size / 2}
	if t == wire.INPUT_REGISTER {
		s.function = readInput
	}
	return c.read(s, address)
}

// bits reads coils or discrete inputs. Proofs are of registers, so that no
// answer of theirs is like one of these.
func (c *rtuClient) bits(function byte, address, count uint16) ([]byte, error) {
	return c.read(shape{function, count}, address)
}

// read asks for registers or bits, and makes sure of the answer.
func (c *rtuClient) read(s shape, address uint16) ([]byte, error) {
	u := c.trust()
	if s.function >= readHolding && !slices.Contains(u.shapes, s) {
		u.shapes = append(u.shapes, s)
	}
	if u.suspect {
		if err := c.prove(u, address); err != nil {
			return nil, err
		}
	}
	data, err := c.ask(s, address)
	if err == nil && u.repeats(s.function, address, data) {
		if err = c.settle(context.Background()); err == nil {
			data, err = c.again(s, address, data)
		}
	}
	if isException(err) && u.wary { // the proof's own, perhaps: then the right one is still to come
		if doubt := c.silent(context.Background()); doubt != nil {
			err = doubt
		}
	}
	u.wary = false
	if (err == nil || isException(err)) && c.careful > 0 {
		c.careful--
		if doubt := c.confirm(u, address); doubt != nil {
			err = doubt
		}
	}
	if err != nil && !isException(err) {
		u.suspect, u.failed = true, time.Now()
		if c.line.strange {
			c.beware()
		}
		return nil, err
	}
	u.remember(s.function, address, data)
	return data, err
}

// encapsulated puts function 2B, whose answers are unlike those for registers.
func (c *rtuClient) encapsulated(data []byte) ([]byte, error) {
	u := c.trust()
	if u.suspect && len(u.shapes) > 0 {
		if err := c.prove(u, 0); err != nil {
			return nil, err
		}
	}
	answer, err := c.exchange(encapsulated, data, maxFrame)
	if err != nil && !isException(err) {
		u.suspect, u.failed = true, time.Now()
		return nil, err
	}
	c.accepted, c.proved = true, false
	return answer, err
}

// ask makes one exchange and checks all that can be checked of its answer.
func (c *rtuClient) ask(s shape, address uint16) ([]byte, error) {
	data := binary.BigEndian.AppendUint16(nil, address)
	data = binary.BigEndian.AppendUint16(data, s.words)
	answer, err := c.exchange(s.function, data, overhead+bytesOf(s.function, s.words))
	if err != nil && !isException(err) {
		return nil, err
	}
	c.accepted, c.proved = true, false
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
	began := time.Now()
	frame, err := c.line.exchange(question, length)
	if err != nil {
		return nil, err
	}
	answer, err := p.Decode(frame)
	if err != nil {
		c.line.strange = true
		c.line.counts.threw(0)
		c.line.quarantine()
		return nil, errChecksum
	}
	u := c.trust()
	u.slowest = max(time.Since(began), u.slowest*63/64)
	u.known = min(u.known+1, enough)
	if answer.FunctionCode == function|exceptionBit {
		return nil, exception(answer.Data[0])
	}
	return answer.Data, nil
}
