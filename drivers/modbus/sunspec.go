package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
	"github.com/perseus-edge/perseus-edge/energy"
)

// SunSpec says that a device is read by SunSpec: it tells itself where its
// totals are, and by what they are scaled. All its points are of TypeSunSpec.
type SunSpec struct {
	Kind sunspec.Kind
	Part int // of several meters (or inverters) that share the device, which: 1 is the first; 0 is 1
}

// TypeSunSpec is the type of a point of which nothing is known but what it
// measures: the device says the rest.
const TypeSunSpec = "sunspec"

// compileSunSpec checks such a point.
func (p Point) compileSunSpec() (point, error) {
	c := point{measure: p.Measure, num: 1, den: 1, factor: 1}
	c.kind = learnt
	switch {
	case p.Unit != "Wh" || p.Scale != "" || p.Pulse != "" || len(p.Invalid) > 0:
		return c, errors.New("a SunSpec device says unit and scale itself: leave them out")
	case (p.CT != "" || p.VT != "") && !p.Primary:
		return c, errors.New("a SunSpec device shows primary values: its transformers are set in the device itself; write primary: true where ct and vt are for the record")
	}
	return c, nil
}

// sun is what is known of a SunSpec device.
type sun struct {
	want     SunSpec
	walk     sunspec.Walk
	heard    bool // the device has answered anything within the walk
	silences int  // time-outs in a row within the walk
	found    bool
	all      sunspec.Map
	common   sunspec.Common
	model    sunspec.Model
	apart    bool // it does not read a whole model at once
	follow   []sunspec.Follower
	believe  []sunspec.Follower // as they were before this round
}

func newSun(want SunSpec, points []point) (*sun, error) {
	for _, p := range points {
		if p.kind != learnt || !slices.Contains(sunspec.Measures(want.Kind), p.measure) {
			return nil, fmt.Errorf("a SunSpec %s has no %s of its own", want.Kind, p.measure)
		}
	}
	return &sun{want: want, follow: make([]sunspec.Follower, len(points))}, nil
}

// forget is for another device in its place, or one that moved its models.
func (s *sun) forget() {
	s.found, s.walk = false, sunspec.Walk{}
	clear(s.follow)
}

// takeBack is for a round whose answers are not believed.
func (s *sun) takeBack() {
	s.found, s.walk = false, sunspec.Walk{}
	copy(s.follow, s.believe)
}

var (
	errNoSunSpec = errors.New("this device has no SunSpec map at 40000, 50000 or 0")
	errMoved     = errors.New("the device's models are no longer where they were: they are looked for anew")
	errTorn      = errors.New("the scale factor changed while the total was read")
)

const noSunSpecHint = "is SunSpec switched on in its settings, and the unit number that of SunSpec (SMA: its own plus 123; meters of SolarEdge: that of the inverter, and part)?"

// readSunSpec does a round with a SunSpec device. Whatever fails, fails for all
// its points.
func (b *Bus) readSunSpec(ctx context.Context, d *device, dst []drivers.Reading) (_ []drivers.Reading, answered bool, _ error) {
	s, sent := d.sun, b.cfg.Now()
	s.believe = append(s.believe[:0], s.follow...)
	fail := func(err error, down bool) ([]drivers.Reading, bool, error) {
		d.who.due = d.who.due || isSilence(err)
		var e *drivers.Error
		if !errors.As(err, &e) {
			err = b.explain(fmt.Sprintf("read unit %d by SunSpec", d.unit), err)
		}
		for k := range d.points {
			dst = append(dst, drivers.Reading{Point: k, Err: err, Took: b.cfg.Now().Sub(sent)})
		}
		if !down {
			err = nil
		}
		return dst, answered, err
	}
	if !s.found {
		heard, down, err := b.discover(ctx, d)
		if answered = heard; err != nil {
			return fail(err, down)
		}
	}
	block, err := b.block(ctx, d, s.model)
	at := b.cfg.Now()
	if err != nil {
		if isMissingRegister(err) || errors.Is(err, errMoved) {
			s.found, s.walk = false, sunspec.Walk{}
		}
		answered = answered || errors.Is(err, errMoved)
		return fail(err, !isException(err) && !errors.Is(err, errMoved))
	}
	answered = true
	totals, errs := b.totals(d, block)
	if slices.ContainsFunc(s.doubtful(totals, errs), func(c bool) bool { return c }) {
		if block, err = b.block(ctx, d, s.model); err != nil {
			return fail(err, !isException(err) && !errors.Is(err, errMoved))
		}
		again, more := b.totals(d, block)
		for k := range again {
			if errs[k] == nil && more[k] == nil && again[k].Exp != totals[k].Exp {
				more[k] = errTorn
			}
		}
		totals, errs, at = again, more, b.cfg.Now()
	}
	counting := slices.ContainsFunc(totals, func(t sunspec.Total) bool { return t.Wh > 0 })
	for k := range d.points {
		out := drivers.Reading{Point: k, Raw: totals[k].Raw, Took: at.Sub(sent), Modulus: totals[k].Wrap, Step: totals[k].Step}
		wh, err := int64(0), errs[k]
		if err == nil {
			var anew bool
			if wh, anew, err = s.follow[k].Follow(totals[k], counting); anew {
				out.Anew = "its SunSpec scale factor changed, and its total does not fit what it was"
			}
		}
		if err != nil {
			out.Err = sunError(err)
		} else {
			out.Sample = energy.Sample{At: at.UTC(), Value: wh}
		}
		dst = append(dst, out)
	}
	return dst, answered, nil
}

// sunError gives an error of a total its kind and a hint.
func sunError(err error) error {
	e := &drivers.Error{Kind: drivers.Sentinel, Op: "decode", Err: err}
	switch {
	case errors.Is(err, sunspec.ErrLarge), errors.Is(err, sunspec.ErrNegative), errors.Is(err, sunspec.ErrScale):
		e.Kind = drivers.Range
	case errors.Is(err, errTorn), errors.Is(err, sunspec.ErrJump):
		e.Kind, e.Hint = drivers.Protocol, "nothing of it is used before it holds"
	}
	return e
}

// totals decodes the points out of a model's registers.
func (b *Bus) totals(d *device, block []uint16) ([]sunspec.Total, []error) {
	totals, errs := make([]sunspec.Total, len(d.points)), make([]error, len(d.points))
	for k, p := range d.points {
		totals[k], errs[k] = sunspec.Decode(d.sun.model, block, p.measure)
	}
	return totals, errs
}

func (s *sun) doubtful(totals []sunspec.Total, errs []error) []bool {
	out := make([]bool, len(totals))
	for k, t := range totals {
		out[k] = errs[k] == nil && s.follow[k].Doubtful(t)
	}
	return out
}

// words reads holding registers.
func (b *Bus) words(ctx context.Context, d *device, address, n uint16) ([]uint16, error) {
	if err := b.connect(ctx); err != nil { // a time-out dropped it
		return nil, err
	}
	if err := b.client.SetUnitId(d.unit); err != nil {
		return nil, err
	}
	if err := b.pause(ctx); err != nil {
		return nil, err
	}
	data, err := b.ask(request{address: address, words: n})
	if err != nil {
		return nil, err
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(data[2*i:])
	}
	return out, nil
}

// block reads a model so far that all its totals are in it, with its ID and
// its scale factor in the same answer. A device that refuses so long a read is
// asked for the ID, and then for totals and scale factor together.
func (b *Bus) block(ctx context.Context, d *device, m sunspec.Model) ([]uint16, error) {
	var block []uint16
	var err error
	if !d.sun.apart {
		block, err = b.words(ctx, d, m.Address, sunspec.Block(m))
		if !isMissingRegister(err) {
			return block, moved(m, block, err)
		}
	}
	head, err := b.words(ctx, d, m.Address, 2)
	if err = moved(m, head, err); err != nil {
		return nil, err
	}
	offset, n := sunspec.Core(m)
	core, err := b.words(ctx, d, m.Address+offset, n)
	if err != nil {
		return nil, err
	}
	d.sun.apart = true
	block = make([]uint16, offset, offset+n)
	copy(block, head)
	return append(block, core...), nil
}

func moved(m sunspec.Model, block []uint16, err error) error {
	if err == nil && !sunspec.Is(m, block) {
		return errMoved
	}
	return err
}
