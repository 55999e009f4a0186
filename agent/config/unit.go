package config

import (
	"math"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// unit reads a meter's Modbus address. A serial line has 1 to 247; 0 is for all
// on it, and 248 to 255 are reserved (Modbus over serial line 1.02, 2.2). A
// device that is itself on the network answers to 255, or to 0 (Modbus messaging
// on TCP/IP 1.0b, 4.4.1.2), and a gateway to those on its line.
func (p *parse) unit(meter, n ast.Node, name, bus string) uint8 {
	if n == nil {
		p.at(meter, "%s: unit is missing: write the meter's Modbus address, such as unit: 1", name)
		return 0
	}
	v, ok := p.whole(n, name+": unit", math.MinInt64, math.MaxInt64)
	if !ok {
		return 0
	}
	b, known := p.cfg.bus(bus)
	serial := known && modbus.IsSerial(b.URL)
	switch {
	case serial && v == 0:
		p.at(n, "%s: unit 0 is for all on a serial wire, and nobody answers: use 1 to 247", name)
	case serial && (v < 1 || v > 247):
		p.at(n, "%s: unit %d: a serial wire has addresses from 1 to 247", name, v)
	case v < 0 || v > 247 && v != 255:
		p.at(n, "%s: unit %d: use 0 to 247, or 255", name, v)
	}
	if v < 0 || v > 255 {
		return 0
	}
	return uint8(v) // that of a mistake too: so that it is not taken for another meter's
}
