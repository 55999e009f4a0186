package scan

import (
	"context"
	"slices"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// sunSpec asks a unit whether it is a SunSpec device, and gives its meters and
// inverters. Such a device says itself what it is, so that nothing else need
// be asked.
func (o Options) sunSpec(ctx context.Context, bus *modbus.Bus, device int, url string, unit uint8) (out []Meter) {
	if !slices.ContainsFunc(o.Templates, func(t config.Template) bool { return t.SunSpec != "" }) {
		return nil
	}
	parts, err := bus.SunSpecParts(ctx, device)
	if err != nil {
		return nil // what it is otherwise is asked next
	}
	count := map[string]int{}
	for _, p := range parts {
		count[string(p.Kind)]++
	}
	for _, p := range parts {
		k := slices.IndexFunc(o.Templates, func(t config.Template) bool { return t.SunSpec == p.Kind })
		if k < 0 {
			continue
		}
		t := o.Templates[k]
		c := Candidate{Template: t.Name, Title: t.Title, Sure: Certain, Because: "it says so itself, by SunSpec", Serial: p.Common.Serial, score: 1000}
		for _, r := range t.Registers {
			c.Measures = append(c.Measures, r.Measure)
		}
		if count[string(p.Kind)] > 1 {
			c.Part = p.Part
		}
		o.Progress("%s: unit %d: a SunSpec %s, %s", url, unit, p.Kind, p.Common)
		out = append(out, Meter{URL: url, Unit: unit, Says: p.Common.String(), Fits: []Candidate{c}})
	}
	return out
}
