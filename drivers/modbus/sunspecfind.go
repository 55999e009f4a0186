package modbus

import (
	"context"
	"errors"
	"fmt"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
)

// discover finds out where a device has its totals. Down says that the wire,
// or the device, is silent: then it goes on at the next round where it was.
func (b *Bus) discover(ctx context.Context, d *device) (answered, down bool, _ error) {
	s := d.sun
	if _, _, more := s.walk.Ask(); !more && !s.heard {
		s.walk = sunspec.Walk{} // it was silent at all bases: a device that is off says nothing of SunSpec
	}
	for {
		address, n, ok := s.walk.Ask()
		if !ok {
			break
		}
		words, err := b.words(ctx, d, address, n)
		switch {
		case err == nil:
			answered, s.heard, s.silences = true, true, 0
			s.walk.Hear(words)
		case isException(err) && !isPassing(err):
			answered, s.heard = true, true
			s.walk.Refused()
		case ctx.Err() == nil && isTimeout(err): // silent at what it does not have, or silent at all
			if s.silences++; !s.walk.Found() || s.silences > 1 {
				s.silences = 0
				s.walk.Refused()
			}
			return answered, true, err
		default:
			return answered, !isException(err), err
		}
	}
	all, ok := s.walk.Map()
	s.walk, s.heard = sunspec.Walk{}, false
	if !ok {
		return answered, false, &drivers.Error{Kind: drivers.Protocol, Op: fmt.Sprintf("look for SunSpec at unit %d", d.unit), Err: errNoSunSpec, Hint: noSunSpecHint}
	}
	parts, want := all.Parts(s.want.Kind), max(s.want.Part, 1)
	if len(parts) < want {
		return answered, false, noPart(d.unit, all, s.want.Kind, len(parts), want)
	}
	s.all = all
	down, err := b.choose(ctx, d, parts[want-1])
	return answered, down, err
}

func noPart(unit uint8, all sunspec.Map, kind sunspec.Kind, has, want int) error {
	err := fmt.Errorf("the device has models %s: %d that count as %s, and number %d is to be read", all.IDs(), has, kind, want)
	if all.Broken != "" {
		err = fmt.Errorf("%w (%s)", err, all.Broken)
	}
	return &drivers.Error{Kind: drivers.Protocol, Op: fmt.Sprintf("look for SunSpec at unit %d", unit), Err: err, Hint: "its meter may have a unit number of its own"}
}

// choose takes the model of a part that is read: the best one whose total has
// been counting, else the best one that has a value at all. Some devices have
// several models, and fill but one.
func (b *Bus) choose(ctx context.Context, d *device, part sunspec.Part) (down bool, _ error) {
	s := d.sun
	s.common, d.serial, s.apart = sunspec.Common{}, nil, false
	if part.Common.Length+2 >= sunspec.CommonWords {
		words, err := b.words(ctx, d, part.Common.Address, sunspec.CommonWords)
		if err != nil && !isException(err) {
			return true, err
		}
		if err == nil {
			s.common, _ = sunspec.ParseCommon(words)
		}
		d.serial = &serial{text: true, layout: layout{address: part.Common.Address + sunspec.SerialAt, words: sunspec.SerialWords}}
		d.who.due = true
	}
	s.model = part.Models[0]
	best := 0
	for _, m := range part.Models {
		block, err := b.block(ctx, d, m)
		if err != nil && !isException(err) && !errors.Is(err, errMoved) {
			return true, err
		}
		for _, p := range d.points {
			t, err := sunspec.Decode(m, block, p.measure)
			if rank := map[bool]int{true: 2, false: 1}[t.Wh > 0]; err == nil && rank > best {
				best, s.model = rank, m
			}
		}
		if best == 2 {
			break
		}
	}
	s.found = true
	return false, nil
}

// Discovered says what a SunSpec device was found to be; "" where it was not
// looked at yet, or is none.
func (b *Bus) Discovered(i int) string {
	s := b.devices[i].sun
	if s == nil || !s.found {
		return ""
	}
	who := s.common.String()
	if s.common.Serial != "" {
		who += " (serial number " + s.common.Serial + ")"
	}
	return fmt.Sprintf("SunSpec at %d: %s, models %s; its energy is in model %d", s.all.Base, who, s.all.IDs(), s.model.ID)
}

// SunSpecPart is a part of a device that counts energy.
type SunSpecPart struct {
	SunSpec
	Common sunspec.Common
}

// SunSpecParts looks for SunSpec at a device, and gives the parts of it that
// count energy: meters first. It is for the goroutine that owns the bus, as
// Poll is. No parts and no error: it is no SunSpec device.
func (b *Bus) SunSpecParts(ctx context.Context, i int) (out []SunSpecPart, err error) {
	d := &device{meter: b.devices[i].meter, unit: b.devices[i].unit}
	b.counts.to = &b.devices[i].tally
	b.client.begin()
	var w sunspec.Walk
	for {
		address, n, ok := w.Ask()
		if !ok {
			break
		}
		words, err := b.words(ctx, d, address, n)
		switch {
		case err == nil:
			w.Hear(words)
		case isException(err) || isTimeout(err) && ctx.Err() == nil:
			w.Refused()
		default:
			return nil, err
		}
	}
	m, _ := w.Map()
	for _, k := range []sunspec.Kind{sunspec.Meter, sunspec.Inverter} {
		for n, part := range m.Parts(k) {
			p := SunSpecPart{SunSpec: SunSpec{Kind: k, Part: n + 1}}
			if part.Common.Length+2 >= sunspec.CommonWords {
				if words, err := b.words(ctx, d, part.Common.Address, sunspec.CommonWords); err == nil {
					p.Common, _ = sunspec.ParseCommon(words)
				}
			}
			out = append(out, p)
		}
	}
	if err := b.client.believed(ctx); err != nil {
		return nil, b.explain("look for SunSpec", err)
	}
	return out, nil
}
