package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
)

// prober reads the meters of a configuration twice, and says what is wrong.
type prober struct {
	only   string        // this meter; "" for all
	apart  time.Duration // between the two readings; 0: once
	closer bool          // show the other ways of reading each register
	now    func() time.Time
	wait   func(context.Context, time.Duration) error
	signs  map[string]scan.Signs
}

// advice is something that is wrong, or that could not be checked, with a
// meter as a whole or one of its registers.
type advice struct {
	Bus     string `json:"bus"`
	Meter   string `json:"meter,omitempty"`
	Measure string `json:"measure,omitempty"`
	Says    string `json:"says"`
	Wrong   bool   `json:"wrong"` // else it is for the record
	Ways    []way  `json:"ways,omitempty"`
}

// way is one way of reading a register, to compare with the meter's display.
type way struct {
	Name   string `json:"name"` // "as configured", or what differs
	Value  string `json:"value,omitempty"`
	Moved  string `json:"moved,omitempty"`
	Why    string `json:"why,omitempty"` // what speaks against it
	Likely bool   `json:"likely,omitempty"`
}

// patient is one meter and what was read of it.
type patient struct {
	meter         config.Meter
	signs         scan.Signs
	rows          []probed
	first, second []drivers.Reading // by point
	live          [2][]drivers.Reading
	err           error // why nothing could be asked at all
	alarms        []drivers.AlarmState
	sunSpec       string // what the device says that it is, where it is read by SunSpec
}

// examine reads all meters of one bus, and says what it makes of them.
func (p *prober) examine(ctx context.Context, b config.Bus, meters []config.Meter) (rows []probed, found []advice) {
	var patients []*patient
	var devices []modbus.Device
	for _, m := range meters {
		if p.only != "" && m.ID != p.only {
			continue
		}
		pt := &patient{meter: m, signs: p.signs[m.Template]}
		if m.CheckPower != nil {
			pt.signs.Power = &m.CheckPower.Point
		}
		patients = append(patients, pt)
		devices = append(devices, deviceOf(m))
	}
	n := len(patients)
	at := make([]int, n) // where the signs of each are among the devices
	for i, pt := range patients {
		if points := pt.livePoints(); len(points) > 0 {
			at[i] = len(devices)
			devices = append(devices, modbus.Device{Meter: pt.meter.ID, Unit: pt.meter.Unit, Points: points})
		}
	}
	bus, err := p.open(b, devices)
	answered := false
	for i, pt := range patients {
		var got []drivers.Reading
		perr := err
		if err == nil {
			if got, perr = bus.Poll(ctx, i, nil); at[i] > 0 && perr == nil {
				pt.live[0], _ = bus.Poll(ctx, at[i], nil)
			}
		}
		pt.rows, pt.err = probedMeter(b, pt.meter, got, perr), perr
		pt.first = byPoint(got, len(pt.meter.Registers))
		for _, g := range got {
			answered = answered || doctor.Held(g.Err)
		}
		if err == nil {
			identified(pt.meter, bus.Identity(i), pt.rows)
			pt.sunSpec, pt.alarms = bus.Discovered(i), slices.Clone(bus.Alarms(i))
		}
	}
	again := answered && p.apart > 0 && p.wait(ctx, p.apart) == nil
	for i, pt := range patients {
		if !again {
			break
		}
		got, _ := bus.Poll(ctx, i, nil)
		if pt.second = byPoint(got, len(pt.meter.Registers)); at[i] > 0 {
			pt.live[1], _ = bus.Poll(ctx, at[i], nil)
		}
	}
	if err == nil {
		for i, pt := range patients {
			if pt.answers() {
				pt.introduced(bus.Identification(ctx, i))
			}
		}
		bus.Close()
	}
	reasons(patients)
	found = p.framing(ctx, b, patients)
	suspects := p.judge(patients)
	p.compare(ctx, b, suspects)
	for _, pt := range patients {
		for _, s := range suspects {
			if s.of == pt && s.ways != nil {
				found = append(found, s.advice(b.ID))
			}
		}
		if pt.sunSpec != "" {
			found = append(found, advice{Bus: b.ID, Meter: pt.meter.ID, Says: pt.sunSpec})
		}
		found = append(found, pt.alarmed(b)...)
		found = append(found, p.checks(b, pt)...)
		rows = append(rows, pt.rows...)
	}
	return rows, found
}

func deviceOf(m config.Meter) modbus.Device {
	d := modbus.Device{Meter: m.ID, Unit: m.Unit, Serial: m.SerialRegister, SunSpec: m.SunSpec}
	for _, r := range m.Registers {
		d.Points = append(d.Points, r.Point)
	}
	for _, a := range m.Alarms {
		d.Alarms = append(d.Alarms, a.Alarm)
	}
	return d
}

func (p *prober) open(b config.Bus, devices []modbus.Device) (*modbus.Bus, error) {
	bus, err := modbus.New(modbus.Config{URL: b.URL, Timeout: b.Timeout, Pause: b.Pause, Devices: devices, Now: p.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", b.ID, err)
	}
	return bus, nil
}

// byPoint puts readings where their points are; what was not read has an error.
func byPoint(got []drivers.Reading, n int) []drivers.Reading {
	out := make([]drivers.Reading, n)
	for i := range out {
		out[i] = drivers.Reading{Point: i, Err: errNotRead}
	}
	for _, g := range got {
		out[g.Point] = g
	}
	return out
}

var errNotRead = &drivers.Error{Kind: drivers.Timeout, Op: "read"}

// livePoints are the power of the meter and of its phases, with the same
// transformers as its totals.
func (pt *patient) livePoints() (out []modbus.Point) {
	if pt.signs.Power == nil {
		return nil
	}
	out = append([]modbus.Point{*pt.signs.Power}, pt.signs.Phases...)
	for i := range out {
		out[i].CT, out[i].VT, out[i].Primary = pt.meter.CT, pt.meter.VT, pt.meter.Primary
	}
	return out
}

// framing tries the other framing where a box took the connection and no
// meter behind it could be understood; on a serial wire it says how to find the
// settings.
func (p *prober) framing(ctx context.Context, b config.Bus, patients []*patient) []advice {
	var why error
	var devices []modbus.Device
	for _, pt := range patients {
		devices = append(devices, deviceOf(pt.meter))
		for _, r := range pt.first {
			if doctor.Answered(r.Err) {
				return nil
			}
			if why == nil && r.Err != errNotRead {
				why = r.Err
			}
		}
	}
	if says := doctor.Settings(b.URL, why); says != "" {
		return []advice{{Bus: b.ID, Says: says, Wrong: true}}
	}
	other := doctor.OtherFraming(b.URL)
	if other == "" || !doctor.Mute(why) {
		return nil
	}
	b.URL = other
	bus, err := p.open(b, devices)
	if err != nil {
		return nil
	}
	defer bus.Close()
	for i := range devices {
		got, _ := bus.Poll(ctx, i, nil)
		for _, g := range got {
			if says := doctor.Framing(doctor.OtherFraming(other), why, doctor.Answered(g.Err)); says != "" {
				return []advice{{Bus: b.ID, Says: says, Wrong: true}}
			}
		}
	}
	return nil
}

// seen is what two readings showed of a register.
func (pt *patient) seen(i int) doctor.Seen {
	return seenOf(pt.meter.Registers[i].Point, pt.first[i], pt.second, i)
}

func seenOf(point modbus.Point, a drivers.Reading, second []drivers.Reading, i int) doctor.Seen {
	s := doctor.Seen{Point: point, First: look(a)}
	if i < len(second) && a.Err == nil && second[i].Err == nil {
		s.Second, s.Apart = look(second[i]), second[i].Sample.At.Sub(a.Sample.At).Round(10*time.Millisecond)
	}
	return s
}

func look(r drivers.Reading) doctor.Look {
	return doctor.Look{Value: r.Sample.Value, Raw: r.Raw, Err: r.Err}
}
