package sparkplug

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// units are the names of the property that has the unit: it is in no
// standard, and Ignition's is the first.
var units = map[string]bool{"engUnit": true, "EngUnit": true, "engUnits": true, "EngineeringUnits": true, "units": true, "unit": true}

// properties reads a PropertySet: keys, and values in the same order.
func (m *Metric) properties(b []byte) error {
	var keys []string
	var values []part // the last value field of each
	err := fields(b, func(n protowire.Number, v part) error {
		switch {
		case n == 1 && v.bytes():
			keys = append(keys, string(v.data))
		case n == 2 && v.bytes():
			var one part
			null := false
			err := fields(v.data, func(n protowire.Number, v part) error {
				switch {
				case n == 2 && v.varint():
					null = v.bits != 0
				case n >= 3 && n <= 8:
					one = v
					if n == 3 { // an Int32 in two's complement
						one.bits = uint64(int64(int32(v.bits)))
					}
				}
				return nil
			})
			if null {
				one = part{kind: protowire.EndGroupType}
			}
			values = append(values, one)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(keys) != len(values) {
		return fmt.Errorf("%d properties have %d values", len(keys), len(values))
	}
	for i, k := range keys {
		switch {
		case k == "Quality" && values[i].varint():
			m.Quality = int64(values[i].bits)
		case units[k] && values[i].bytes():
			m.Unit = string(values[i].data)
		}
	}
	return nil
}
