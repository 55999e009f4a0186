package site

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// glow writes what a display of Hildebrand's says of its meters. A gas meter
// is heard by its display each half-hour only.
type glow struct {
	speaks
	prefix string
}

func (glow) faults() []string {
	return slices.DeleteFunc(slices.Clone(dated), func(s string) bool { return s == "rollover" })
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// displayOf is the MAC of a meter's display: its name, where that is one.
func displayOf(s *source) string {
	mac := strings.ToUpper(strings.NewReplacer(":", "", "-", "").Replace(s.meter.Device))
	if len(mac) == 12 && strings.Trim(mac, "0123456789ABCDEF") == "" {
		return mac
	}
	h := fnv.New64a()
	h.Write([]byte(s.meter.ID))
	return fmt.Sprintf("%012X", h.Sum64()>>16)
}

// supply is the number of a meter's supply, as its display knows it.
func supply(s *source, own string) string {
	if isDigits(s.meter.Device) && len(s.meter.Device) != 12 {
		return s.meter.Device
	}
	return cmp.Or(own, "EMPTY")
}

func (g glow) messages(r report) []message {
	in, out := map[string]any{"units": "kWh", "day": 1.5, "week": 9.5, "month": 40.5, "supplier": "---", "price": map[string]any{"unitrate": 0.25, "standingcharge": 0.5}},
		map[string]any{"units": "kWh", "cumulative": json.RawMessage("0.000")}
	kind, power := "electricitymeter", any(0.951)
	for _, v := range r.values {
		amount := kilo(v.number)
		if v.number == nil {
			power = -8388.608
		}
		switch v.cfg.Measure {
		case energy.Import:
			in["cumulative"], in["mpan"] = amount, supply(r.source, r.source.meter.MPAN)
		case energy.Export:
			out["cumulative"] = amount
		case energy.Gas:
			kind = "gasmeter"
			if !r.at.IsZero() && v.number != nil && v.number.Sign() != 0 { // what it heard last, on the half-hour
				amount = kilo(v.value(r.at.Truncate(energy.Period)))
			}
			in["cumulativevol"], in["cumulativevolunits"], in["mprn"] = amount, "m3", supply(r.source, r.source.meter.MPRN)
			in["cumulative"] = json.RawMessage("17940.852")
		}
	}
	if in["cumulative"] == nil { // exports alone: the display has the import, too
		in["cumulative"], in["mpan"] = json.RawMessage("1.000"), supply(r.source, r.source.meter.MPAN)
	}
	at := "1970-01-01T00:00:00Z"
	if !r.at.IsZero() {
		at = r.at.UTC().Format(time.RFC3339)
	}
	body := map[string]any{kind: map[string]any{"timestamp": at, "energy": map[string]any{"import": in, "export": out}, "power": map[string]any{"value": power, "units": "kW"}}}
	return []message{{topic: g.prefix + "/" + displayOf(r.source) + "/SENSOR/" + kind, payload: document(body)}}
}

// kilo is a register as a display writes it: kWh or m3 with three decimals; all
// ones where there is no value.
func kilo(v *big.Rat) json.RawMessage {
	if v == nil {
		return json.RawMessage("281474976710.655")
	}
	return json.RawMessage(v.FloatString(3))
}

// foreign is what a neighbour's display says, and the display's own state.
func (g glow) foreign(s *source) []message {
	r := s.report(time.Unix(1_700_000_000, 0))
	out := g.messages(r.hit("nan"))
	out[0].topic = g.prefix + "/000000000001/SENSOR/electricitymeter"
	return append(out, message{topic: g.prefix + "/" + displayOf(s) + "/STATE", payload: []byte(`{"software":"v1.8.12","hardware":"GLOW-IHD-01-1v4-SMETS2","han":{"rssi":-75,"status":"joined","lqi":100}}`)})
}
