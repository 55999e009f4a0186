package dcc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// glowMessage is what a display says of one meter.
type glowMessage struct {
	display   string // its MAC, as in the topic
	gas       bool
	id        string    // MPAN or MPRN; "" where the display does not know it
	at        time.Time // the display's time
	registers map[energy.Measure]register
}

// register is one register in a message: a value in base units, or why there is none.
type register struct {
	value int64
	err   error
}

// glowAnswer is a message on .../SENSOR/electricitymeter or .../SENSOR/gasmeter.
// What it also has (power, the day's, week's and month's totals, tariffs) is not
// needed: there are registers.
type glowAnswer struct {
	Electricity *glowMeter `json:"electricitymeter"`
	Gas         *glowMeter `json:"gasmeter"`
}

type glowMeter struct {
	Timestamp string `json:"timestamp"`
	Energy    struct {
		Import glowRegister `json:"import"`
		Export glowRegister `json:"export"`
	} `json:"energy"`
}

type glowRegister struct {
	Cumulative  any    `json:"cumulative"`
	Units       string `json:"units"`
	Volume      any    `json:"cumulativevol"` // gas, of newer firmware
	VolumeUnits string `json:"cumulativevolunits"`
	MPAN        string `json:"mpan"`
	MPRN        string `json:"mprn"`
}

// allOnes are registers of 32 and 48 bits that are not there, in thousandths.
var allOnes = []int64{1<<32 - 1, 1<<48 - 1}

// earliest is before any of these displays was made: one without a time says 1970.
var earliest = time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)

// decodeGlow reads a message of a display (IHD or CAD) of Hildebrand's, as
// published on prefix/MAC/SENSOR/electricitymeter or gasmeter.
func decodeGlow(prefix, topic string, payload []byte) ([]glowMessage, error) {
	rest, ok := strings.CutPrefix(topic, prefix+"/")
	display, kind, ok2 := strings.Cut(rest, "/SENSOR/")
	if !ok || !ok2 || display == "" || strings.Contains(display, "/") {
		return nil, fmt.Errorf("topic %q is not one of a display below %s", clip(topic), prefix)
	}
	if kind != "electricitymeter" && kind != "gasmeter" {
		return nil, nil // other things that it measures
	}
	var a glowAnswer
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("not JSON as a Glow display sends it: %w", err)
	}
	if a.Electricity == nil && a.Gas == nil {
		return nil, fmt.Errorf("neither electricitymeter nor gasmeter is in it")
	}
	var out []glowMessage
	for _, m := range []*glowMeter{a.Electricity, a.Gas} {
		if m == nil {
			continue
		}
		t, err := time.Parse(time.RFC3339, m.Timestamp)
		if err != nil || t.Before(earliest) {
			return nil, fmt.Errorf("the display does not know the time: it says %q", clip(m.Timestamp))
		}
		msg := glowMessage{display: display, gas: m == a.Gas, at: t.UTC()}
		in := m.Energy.Import
		if msg.gas {
			msg.id = known(in.MPRN)
			msg.registers = map[energy.Measure]register{energy.Gas: in.volume()}
		} else {
			msg.id = known(in.MPAN)
			msg.registers = map[energy.Measure]register{
				energy.Import: in.total(energy.Import), energy.Export: m.Energy.Export.total(energy.Export),
			}
		}
		out = append(out, msg)
	}
	return out, nil
}

// known is an MPAN or MPRN, or "" for what a display writes where it has none
// ("EMPTY", "---").
func known(id string) string {
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	return id
}

func (g glowRegister) total(m energy.Measure) register {
	return readRegister(g.Cumulative, g.Units, m)
}

// volume is the gas register in m3. What a display gives in kWh it has made with
// a calorific value that it does not name.
func (g glowRegister) volume() register {
	if g.Volume == nil {
		return register{err: &drivers.Error{
			Kind: drivers.Protocol, Op: "read gas", Err: fmt.Errorf("the display gives kWh only, of a calorific value that it does not name"),
			Hint: "newer firmware also gives m3: update the display",
		}}
	}
	units := g.VolumeUnits
	if units == "" {
		units = "m3"
	}
	return readRegister(g.Volume, units, energy.Gas)
}

func readRegister(v any, units string, m energy.Measure) register {
	refuse := func(kind drivers.Kind, format string, args ...any) register {
		return register{err: &drivers.Error{Kind: kind, Op: "read " + m.String(), Err: fmt.Errorf(format, args...)}}
	}
	if v == nil {
		return refuse(drivers.Sentinel, "it is not there, or null")
	}
	factor, err := factorOf(units, m)
	if err != nil {
		return refuse(drivers.Protocol, "%w", err)
	}
	n, err := scalar(v, factor)
	if err != nil {
		return refuse(drivers.Range, "%q %w", clip(fmt.Sprint(v)), err)
	}
	for _, ones := range allOnes {
		if n == ones {
			return refuse(drivers.Sentinel, "%v is all ones: the meter has no value", v)
		}
	}
	// A meter that was used once does not show zero; a display that has not heard
	// its meter yet does. Of exports see glowHearer.
	if n == 0 && m != energy.Export {
		return refuse(drivers.Sentinel, "it is 0: the display has not heard the meter yet")
	}
	return register{value: n}
}
