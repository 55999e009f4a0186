// Package scan finds meters on a wire and says which they are, so that an
// installer need not type registers. It only reads: Modbus functions 3, 4
// and 2B/0E.
package scan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Options are what to look for, and how.
type Options struct {
	Units    []uint8
	Timeout  time.Duration // for one answer
	Pause    time.Duration // between two requests
	Progress func(format string, args ...any)

	Templates []config.Template
	Signs     map[string]Signs
}

// Meter is a device that answered.
type Meter struct {
	URL  string
	Unit uint8
	Says string      // what it calls itself, where it was asked and knows
	Fits []Candidate // best first; empty: no template fits
}

// Found is the outcome on one wire.
type Found struct {
	URL    string // with the settings that were answered; as given where nothing answered
	Meters []Meter
	Errors []string // what went wrong, each once, and hints
}

// quick is how many units are tried with each setting before the rest: a wire
// whose settings are not known is searched for its commonest units first.
const quick = 3

// Wire searches one wire. It fails only where the wire cannot be used at all.
func Wire(ctx context.Context, url string, o Options) (Found, error) {
	settings := Settings(url)
	found := Found{URL: url}
	serial := strings.HasPrefix(url, "rtu://")
	noise := ""
	rounds := [][]uint8{o.Units}
	if serial && len(settings) > 1 && len(o.Units) > quick {
		rounds = [][]uint8{o.Units[:quick], o.Units[quick:]}
	}
	for round, units := range rounds {
		for _, s := range settings {
			o.Progress("%s: asking units %s", s, Span(units))
			present, err := o.present(ctx, s, units)
			if err != nil && !errors.Is(err, errNoise) {
				return found, err
			}
			if err != nil && noise == "" {
				noise = s
			}
			if len(present) == 0 {
				continue
			}
			if round == 0 && len(rounds) > 1 { // the other units are on the same wire
				o.Progress("%s: answered; asking the other units", s)
				more, err := o.present(ctx, s, rounds[1])
				if err != nil && !errors.Is(err, errNoise) {
					return found, err
				}
				present = append(present, more...)
			}
			found.URL = s
			found.Meters, err = o.identify(ctx, s, present)
			return found, err
		}
	}
	if noise != "" {
		found.Errors = append(found.Errors, fmt.Sprintf("something answered at %s that cannot be understood: two meters with the same unit number, other baud or parity than were tried, or bad wiring", noise))
	}
	return found, nil
}

var errNoise = errors.New("what came cannot be understood")

// present asks who is there. Any answer counts, a refusal too.
func (o Options) present(ctx context.Context, url string, units []uint8) (there []uint8, err error) {
	c := modbus.Config{URL: url, Timeout: o.Timeout, Pause: o.Pause}
	for _, u := range units {
		for _, table := range []string{"input", "holding"} { // a few devices are silent where they have nothing
			c.Devices = append(c.Devices, modbus.Device{Meter: fmt.Sprint("unit ", u), Unit: u, Points: []modbus.Point{
				{Measure: energy.Import, Table: table, Type: "uint32", Unit: "Wh"},
			}})
		}
	}
	bus, err := modbus.New(c)
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	var noisy error
	for i, u := range units {
		if i > 0 && i%16 == 0 {
			o.Progress("%s: asked %d of %d units", url, i, len(units))
		}
		for k := range 2 {
			got, err := bus.Poll(ctx, 2*i+k, nil)
			if ctx.Err() != nil {
				return there, ctx.Err()
			}
			if err == nil && len(got) == 1 && doctor.Answered(got[0].Err) {
				there = append(there, u)
				o.Progress("%s: unit %d answers", url, u)
				break
			}
			var e *drivers.Error
			switch {
			case errors.As(err, &e) && e.Kind == drivers.Refused && strings.HasPrefix(e.Op, "connect "):
				return there, err
			case errors.As(err, &e) && e.Kind == drivers.Protocol:
				noisy = errNoise
			}
		}
	}
	return there, noisy
}
