package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The body, in order: gateway, serial, sequence, previous (from sequence 2 on),
// made, grants, series, baseline. Integers are base-128 varints, signed ones
// zigzag; texts and lists have their length in front. A meter of length 0 is
// the meter before it.

// Flags of a series. Bits 3 and 4 are the predictor of its energies.
const (
	hasOpening  = 1 << 0
	hasClosing  = 1 << 1 // written after the opening
	closingAdds = 1 << 2 // closing = opening + the sum of the energies: not written
	predictor   = 3
)

func appendBody(dst []byte, b Batch) []byte {
	dst = appendText(dst, b.Gateway)
	dst = appendText(dst, b.Serial)
	dst = binary.AppendUvarint(dst, b.Sequence)
	if b.Sequence > 1 {
		dst = append(dst, b.Previous[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(b.Made.Unix()))
	dst = binary.AppendUvarint(dst, uint64(len(b.Grants)))
	for _, g := range b.Grants {
		dst = appendText(dst, g)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Series)))
	meter, index := "", b.Made.Unix()/periodSeconds
	for _, s := range b.Series {
		dst = appendMeter(dst, &meter, s.Meter)
		first := s.First.Unix() / periodSeconds
		dst = append(dst, byte(s.Measure))
		dst = binary.AppendVarint(dst, first-index)
		dst = binary.AppendUvarint(dst, uint64(len(s.Values)))
		dst = appendSeries(dst, s)
		index = first
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Baseline)))
	meter = ""
	for _, s := range b.Baseline {
		dst = appendMeter(dst, &meter, s.Meter)
		dst = append(dst, byte(s.Measure))
		dst = binary.AppendUvarint(dst, uint64(s.At.UnixNano()))
		dst = appendText(dst, s.Body)
	}
	return dst
}

// appendSeries writes all but the head of a series.
func appendSeries(dst []byte, s Series) []byte {
	for i := 0; i < len(s.Values); {
		n := run(s.Values[i:])
		dst = binary.AppendUvarint(dst, s.Values[i].what())
		dst = binary.AppendUvarint(dst, uint64(n))
		i += n
	}
	kind, bits := packEnergies(s.Values)
	flags := byte(kind) << predictor
	if s.Opening >= 0 {
		flags |= hasOpening
	}
	switch {
	case s.Opening >= 0 && s.Closing == s.Opening+sum(s.Values):
		flags |= closingAdds
	case s.Closing >= 0:
		flags |= hasClosing
	}
	dst = append(dst, flags)
	if flags&hasOpening != 0 {
		dst = binary.AppendUvarint(dst, uint64(s.Opening))
	}
	if flags&hasClosing != 0 {
		dst = binary.AppendUvarint(dst, uint64(s.Closing))
	}
	return append(dst, bits...)
}

// what is all of a value but its energy: flags, 32 bits; rule, 8; quality, 3. A
// gateway whose validation has nothing to say writes the same bytes as one of
// before there were flags.
func (v Value) what() uint64 {
	return uint64(v.Flags)<<11 | uint64(v.Rule)<<3 | uint64(v.Quality)
}

const whatBits = 32 + 8 + 3

// run counts the values from the first on that share its quality, rule and flags.
func run(vs []Value) int {
	n := 1
	for n < len(vs) && vs[n].what() == vs[0].what() {
		n++
	}
	return n
}

func sum(vs []Value) (n int64) {
	for _, v := range vs {
		n += v.Energy
	}
	return n
}

func parseBody(body []byte) (Batch, error) {
	r := reader{b: body}
	b := Batch{Gateway: r.text(MaxGateway), Serial: []byte(r.text(MaxSerial)), Sequence: r.uvarint()}
	if b.Sequence > 1 {
		copy(b.Previous[:], r.take(len(b.Previous)))
	}
	made := r.seconds()
	b.Made = time.Unix(made, 0).UTC()
	for range r.count("grants", MaxGrants) {
		b.Grants = append(b.Grants, r.text(MaxName))
	}
	meter, index, total := "", made/periodSeconds, 0
	for range r.count("series", MaxSeries) {
		s := Series{Meter: r.meter(&meter), Measure: energy.Measure(r.byte())}
		index += r.varint()
		if index < 0 || index > maxUnix/periodSeconds {
			r.fail("a half-hour is out of range")
		}
		s.First = time.Unix(index*periodSeconds, 0).UTC()
		n := r.count("half-hours", MaxSeriesValues)
		if total += n; total > MaxValues {
			r.fail("more than %d half-hours", MaxValues)
		}
		if r.err != nil {
			break
		}
		s.Values = make([]Value, n)
		r.series(&s)
		b.Series = append(b.Series, s)
	}
	meter = ""
	for range r.count("statements", MaxStatements) {
		b.Baseline = append(b.Baseline, Statement{
			Meter: r.meter(&meter), Measure: energy.Measure(r.byte()),
			At: time.Unix(0, int64(r.uvarint()&(1<<63-1))).UTC(), Body: []byte(r.text(MaxStatement)),
		})
		if r.err != nil {
			break
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes after the end", len(r.b))
	}
	return b, r.err
}

func (r *reader) series(s *Series) {
	for i := 0; i < len(s.Values) && r.err == nil; {
		what, n := r.uvarint(), r.uvarint()
		if what >= 1<<whatBits || n == 0 || n > uint64(len(s.Values)-i) {
			r.fail("qualities do not fit the half-hours")
			return
		}
		for range n {
			v := &s.Values[i]
			v.Quality, v.Rule, v.Flags = energy.Quality(what&7), energy.Rule(what>>3), energy.Flags(what>>11)
			i++
		}
	}
	flags := r.byte()
	s.Opening, s.Closing = -1, -1
	if flags&hasOpening != 0 {
		s.Opening = r.register()
	}
	if flags&hasClosing != 0 {
		s.Closing = r.register()
	}
	if flags>>predictor >= predictors {
		r.fail("unknown predictor %d", flags>>predictor)
		return
	}
	r.energies(s.Values, int(flags>>predictor))
	if r.err == nil && flags&closingAdds != 0 {
		s.Closing = s.Opening + sum(s.Values)
	}
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendMeter(dst []byte, last *string, m string) []byte {
	if m == *last {
		return append(dst, 0)
	}
	*last = m
	return appendText(dst, m)
}

// reader takes a body apart. After the first failure it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, a ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, a...)
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		r.fail("ends too early")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errors.New("ends too early or has a number that is too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) count(what string, most int) int {
	n := r.uvarint()
	if n > uint64(most) {
		r.fail("%d %s: at most %d are allowed", n, what, most)
		return 0
	}
	return int(n)
}

func (r *reader) text(most int) string { return string(r.take(r.count("bytes of text", most))) }

func (r *reader) meter(last *string) string {
	if m := r.text(MaxName); m != "" {
		*last = m
	}
	return *last
}

func (r *reader) seconds() int64 {
	v := r.uvarint()
	if v >= uint64(maxUnix) {
		r.fail("a time is out of range")
		return 0
	}
	return int64(v)
}

func (r *reader) register() int64 {
	v := r.uvarint()
	if v > MaxRegister {
		r.fail("a register is out of range")
		return 0
	}
	return int64(v)
}
