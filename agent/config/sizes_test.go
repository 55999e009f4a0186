package config

import (
	"reflect"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

func TestTenants(t *testing.T) {
	c := load(t, "tenants.yaml")
	if c.Clock.Trust != "auto" {
		t.Errorf("clock: %+v", c.Clock)
	}
	m := meter(t, c, "main")
	if m.MPAN != "2000027391990" || m.CheckMeter != "main-check" || m.VT != "11000/110" || m.CT != "50/5" || m.Primary {
		t.Errorf("%+v", m)
	}
	if want := (&modbus.Serial{Table: "holding", Type: "string", Words: 5}); !reflect.DeepEqual(m.SerialRegister, want) {
		t.Errorf("serial register %+v, want %+v", m.SerialRegister, want)
	}
	if want := []string{"check-meter", "linear", "profile"}; !reflect.DeepEqual(m.Substitute, want) || m.SubstituteAfter != 2*Day {
		t.Errorf("substitute %v after %v", m.Substitute, m.SubstituteAfter)
	}
	if m.Off != energy.Flags(0).With(6) || m.Thresholds.SpikeK != 10 {
		t.Errorf("validation: %v, %+v", m.Off.List(), m.Thresholds)
	}
	// 41,873.25 kWh on the display are 41,873.25 x 10 x 100 kWh.
	want := []Exchange{{At: time.Date(2026, 3, 4, 10, 20, 0, 0, time.UTC), OldSerial: "K21W003729", NewSerial: "K21W003730",
		Note:  "display failed, replaced by the meter operator",
		Reads: []ExchangeRead{{energy.Import, 41_873_250_000, 20_000}, {energy.Export, 12_500_000, 0}}, Line: m.Exchanges[0].Line}}
	if !reflect.DeepEqual(m.Exchanges, want) {
		t.Errorf("exchanges %+v, want %+v", m.Exchanges, want)
	}
	// 50 A at 11 kV are 952.6 kVA, of which the agreed capacity allows 800 x 1.2 for half an hour.
	if r := m.Registers[0]; r.MaxPower != 1_257_469 || r.MaxEnergy != 480_000 {
		t.Errorf("ceiling %d, V05 %d", r.MaxPower, r.MaxEnergy)
	}
	for id, want := range map[string]struct {
		words    string
		measures []energy.Measure
	}{
		"tenants":  {"the sum of bakery and dentist", []energy.Measure{energy.Import}},
		"landlord": {"main less bakery and dentist", []energy.Measure{energy.Import}},
		"office-1": {"a share of landlord by AreaOccupied: 0.35 from 1 January 2026 and 0.5 from 1 April 2026", []energy.Measure{energy.Import}},
		"office-2": {"a share of landlord by AreaOccupied: 0.25", []energy.Measure{energy.Import}},
	} {
		v := meter(t, c, id)
		if v.Virtual == nil || v.Virtual.Words() != want.words || !reflect.DeepEqual(v.Measures(), want.measures) || v.Type() != "electricity" || v.Bus != "" || v.Poll != 0 {
			t.Errorf("%s: %+v %+v", id, v, v.Virtual)
		}
	}
	if got := len(c.On("intake")) + len(c.On("")); got != 4 {
		t.Errorf("%d meters on buses, want the 4 real ones", got)
	}
	defs := c.Virtuals()
	if len(defs) != 4 || defs[1].Kind != virtual.Difference || !reflect.DeepEqual(defs[1].Of, []string{"main", "bakery", "dentist"}) {
		t.Errorf("%+v", defs)
	}
	// 1 April begins in summer time: at 23:00 UTC of the day before.
	if s := defs[2].Shares; s[1].From != time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC) || s[1].Part != (virtual.Part{Num: 1, Den: 2}) {
		t.Errorf("%+v", s)
	}
	if _, err := virtual.New(c.Period, defs); err != nil {
		t.Error(err)
	}
}

func TestGasAndPower(t *testing.T) {
	c := load(t, "gas-and-power.yaml")
	gas := meter(t, c, "gas")
	r := gas.Registers[0]
	if gas.Type() != "gas" || gas.MPRN != "3938424403" || gas.Corrected || r.Modulus != 655_360 || r.Step != 10 || r.MaxPower != 12_000 || r.MaxEnergy != 5_500 {
		t.Errorf("%+v %+v", gas, r)
	}
	if p := meter(t, c, "gas-plant"); !p.Corrected || p.Registers[0].Modulus != 2_831_684_660 { // 10^8 x 28.316846592 L, rounded up
		t.Errorf("%+v", p)
	}
	s := meter(t, c, "solar")
	for _, r := range s.Registers {
		if !r.Power || r.MaxGap != 2*time.Minute || r.Modulus != 0 || r.Scale != "-1" || r.Invalid[0] != 0x7FFFFFFF || r.MaxPower != 36_580 {
			t.Errorf("%+v", r)
		}
	}
	if len(s.Registers) != 2 || !s.Off.Has(15) {
		t.Errorf("%+v", s)
	}
}

// What a meter's size is worth: both bounds of every way to state it.
func TestRating(t *testing.T) {
	for _, c := range []struct {
		keys              string
		maxPower, maxHalf int64
		known             bool
	}{
		{"", Unrated, 0, false},
		{"    rating: {amps: 100}\n", 91_452, 41_569, true},                                  // 400 V, three phases: 69,282 VA x 1.32, and x 0.6
		{"    rating: {amps: 100, phases: 1}\n", 30_360, 13_800, true},                       // 230 V
		{"    rating: {amps: 100, phases: 1, volts: 240}\n", 31_680, 14_400, true},           //
		{"    rating: {amps: 100, volts: 11000}\n", 2_514_938, 1_143_153, true},              //
		{"    ct: \"200/5\"\n", 182_904, 83_138, true},                                       // from the transformers
		{"    ct: \"200/5\"\n    primary: true\n", 182_904, 83_138, true},                    // also where they are in the reading already
		{"    ct: \"200/5\"\n    vt: \"11000/110\"\n", 5_029_876, 2_286_307, true},           //
		{"    ct: \"200/5\"\n    rating: {amps: 100}\n", 91_452, 41_569, true},               // the file knows better
		{"    vt: \"11000/110\"\n", Unrated, 0, false},                                       // a voltage alone says nothing
		{"    rating: {kva: 69}\n", 138_000, 41_400, true},                                   // a price, not a fuse
		{"    rating: {kva: 0.1}\n", 200, 60, true},                                          //
		{"    rating: {amps: 100, kva: 69}\n", 91_452, 41_400, true},                         // the smaller speaks
		{"    rating: {amps: 100, kva: 69.282}\n", 91_452, 41_569, true},                     //
		{"    rating: {amps: 100, kva: 70}\n", 91_452, 41_569, true},                         //
		{"    ct: \"12.5/5\"\n    rating: {phases: 1}\n", 13 * 230 * 132 / 100, 1_794, true}, // half an ampere more
	} {
		m := parsed(t, one(c.keys)).Meters[0]
		r := m.Registers[0]
		if r.MaxPower != c.maxPower || r.MaxEnergy != c.maxHalf || m.Rating.Known(energy.Import) != c.known || m.Rating.Known(energy.Gas) {
			t.Errorf("%q: %d, %d, %+v; want %d, %d", c.keys, r.MaxPower, r.MaxEnergy, m.Rating, c.maxPower, c.maxHalf)
		}
	}
	g := parsed(t, gasMeter("")).Meters[0]
	if r := g.Registers[0]; r.MaxPower != Unrated || r.MaxEnergy != 0 || g.Rating.Known(energy.Gas) {
		t.Errorf("gas of unknown size: %+v", r)
	}
	// Templates know their largest current; transformers take its place.
	for keys, want := range map[string]int64{"": 91_452, ", ct: \"50/5\"": 45_726, ", rating: {amps: 63}": 57_614, ", rating: {kva: 10}": 91_452} {
		m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, template: eastron-sdm630"+keys+"}]\n").Meters[0]
		if got := m.Registers[0].MaxPower; got != want {
			t.Errorf("sdm630%s: %d, want %d", keys, got, want)
		}
	}
	m := parsed(t, head+"period: 15m\nmeters: [{id: m, bus: b, unit: 1, template: eastron-sdm120}]\n").Meters[0]
	if got := m.Registers[0]; got.MaxPower != 45*230*132/100 || got.MaxEnergy != 45*230*12/10/4 {
		t.Errorf("a quarter of an hour of a single phase: %+v", got)
	}
}

func TestGasIsRatedByItsFlow(t *testing.T) {
	for rating, ok := range map[string]bool{"qmax: 6": true, "amps: 6": false, "volts: 230": false, "phases: 1": false, "kva: 5": false, "qmax: 6, kva: 5": false} {
		if _, err := Parse("x", []byte(gasMeter("    rating: {"+rating+"}\n"))); (err == nil) != ok {
			t.Errorf("rating %s: %v", rating, err)
		}
	}
}

func TestMaxGap(t *testing.T) {
	for _, c := range []struct {
		top, keys string
		want      time.Duration
	}{
		{"", "", 5 * time.Minute},
		{"", ", poll: 5m", 15 * time.Minute},
		{"", ", poll: 15m", 30 * time.Minute},
		{"", ", poll: 100s", 5 * time.Minute},
		{"", ", poll: 101s", 303 * time.Second},
		{"", ", max_gap: 20s", 20 * time.Second},
		{"", ", max_gap: 30m", 30 * time.Minute},
		{"period: 1m\n", "", time.Minute},
	} {
		file := head + c.top + "meters: [{id: m, bus: b, unit: 1, registers: {import: {address: 1, type: int32, unit: kW}}" + c.keys + "}]\n"
		if got := parsed(t, file).Meters[0].Registers[0].MaxGap; got != c.want {
			t.Errorf("%s%s: %v, want %v", c.top, c.keys, got, c.want)
		}
	}
}
