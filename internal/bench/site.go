package main

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// site is the samples, made beforehand so that making them costs nothing.
type site struct {
	keys    []energy.Key
	loads   []*meter.Load
	samples []energy.Sample // in the order of their times; the i-th is of meter i % siteMeters
}

func newSite() *site {
	s := &site{}
	end := start.AddDate(0, 0, siteDays)
	for i := range siteMeters {
		s.keys = append(s.keys, energy.Key{Meter: fmt.Sprint("meter", i), Measure: energy.Import})
		s.loads = append(s.loads, meter.NewLoad(s.keys[i].Meter, meter.Shop, start, end.AddDate(0, 0, 1)))
	}
	for t := start; t.Before(end); t = t.Add(sitePoll) {
		for i, l := range s.loads {
			at := t.Add(time.Duration(i) * sitePoll / siteMeters)
			s.samples = append(s.samples, energy.Sample{At: at, Value: l.Register(at)})
		}
	}
	return s
}

func (s *site) accumulators() (all []*energy.Accumulator) {
	for _, k := range s.keys {
		all = append(all, energy.NewAccumulator(energy.Register{Measure: k.Measure, MaxPower: 70_000}, energy.Period))
	}
	return all
}

// throughEnergy only makes half-hours of the samples.
func (s *site) throughEnergy() (c cost, err error) {
	all := s.accumulators()
	made := make([]energy.HalfHour, 0, 4)
	add := func(samples []energy.Sample) {
		for i, sample := range samples {
			made, _ = all[i%siteMeters].Add(sample, made[:0])
		}
	}
	warm := len(s.samples) / siteDays
	add(s.samples[:warm])
	c.samples = len(s.samples) - warm
	return c, c.measure(func() error {
		add(s.samples[warm:])
		return nil
	})
}
