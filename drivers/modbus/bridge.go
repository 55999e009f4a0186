package modbus

import (
	"context"
	"errors"
	"slices"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// bridge is a plan with fewer requests, which reads across registers that the
// device may not have. Most devices allow that, some refuse, and a few do not
// answer at all; no document says which. So a device has to prove, once after
// each start, that it gives the same values that way, before it is asked so.
type bridge struct {
	plan   []request
	ready  bool // a whole round was answered: tools that ask once never try this
	failed int
}

// attempts is how often it is tried, where the device did not plainly refuse.
const attempts = 3

// newBridge is nil where there are no holes to read across.
func newBridge(points []point) *bridge {
	p := plan(points, true)
	if len(p) == len(plan(points, false)) {
		return nil
	}
	return &bridge{plan: p}
}

var errOther = errors.New("read across a hole, the registers hold something else")

// explore tries the bridge, after a round that was answered and believed. It
// is a round of its own: its failing costs no reading.
func (b *Bus) explore(ctx context.Context, d *device, round []drivers.Reading) {
	if d.bridge == nil {
		return
	}
	if !d.bridge.ready {
		d.bridge.ready = true
		return
	}
	b.client.begin()
	found, err := b.cross(ctx, d, round)
	if doubt := b.client.believed(ctx); doubt != nil {
		b.distrust(doubt)
		err = doubt
	}
	switch {
	case err == nil:
		d.requests, d.bridge = found, nil
		return
	case ctx.Err() != nil:
		return
	}
	if d.bridge.failed++; d.bridge.failed == attempts {
		d.bridge = nil
	}
}

// distrust drops a connection over which something came that was not asked for.
func (b *Bus) distrust(err error) {
	if b.target.scheme != "rtu" || !errors.Is(err, errShifted) { // else the port is there
		b.Close()
	}
}

// cross gives the plan by which the device answers across its holes, split
// wherever it refused. Totals must lie between what they were before, without
// bridges, and what they are thereafter.
func (b *Bus) cross(ctx context.Context, d *device, round []drivers.Reading) ([]request, error) {
	seen, across := make([]uint64, len(d.points)), make([]uint64, len(d.points))
	for _, r := range round {
		if k := (*drivers.Error)(nil); errors.As(r.Err, &k) && k.Kind == drivers.Exception {
			return d.requests, nil // it does not even have all that it was asked for
		}
		seen[r.Point] = r.Raw
	}
	todo := slices.Clone(d.bridge.plan)
	for i := 0; i < len(todo); i++ {
		switch err := b.raws(ctx, d, todo[i], across); {
		case isMissingRegister(err) && len(todo[i].points) > 1:
			todo = slices.Replace(todo, i, i+1, split(d.points, todo[i])...)
			b.counts.splits.Add(1)
			i--
		case err != nil:
			return nil, err
		}
	}
	if len(todo) >= len(d.requests) {
		return d.requests, nil
	}
	after := make([]uint64, len(d.points))
	for _, r := range d.requests {
		if err := b.raws(ctx, d, r, after); err != nil {
			return nil, err
		}
	}
	for k := range d.points {
		if !d.points[k].power && (across[k] < seen[k] || across[k] > after[k]) {
			return nil, errOther
		}
	}
	return todo, nil
}

// raws asks one request, and puts the bits of each of its points at its place.
func (b *Bus) raws(ctx context.Context, d *device, r request, to []uint64) error {
	if err := b.pause(ctx); err != nil {
		return err
	}
	data, err := b.ask(r)
	if err != nil {
		return err
	}
	for _, k := range r.points {
		p := &d.points[k]
		to[k] = p.raw(data[int(p.address-r.address)*2:])
	}
	return nil
}
