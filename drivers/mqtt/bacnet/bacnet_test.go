package bacnet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy/unit"
)

func TestUnit(t *testing.T) {
	for s, want := range map[string]string{
		"18": "Wh", "19": "kWh", "146": "MWh", "47927": "GWh", "16": "J", "17": "kJ", "126": "MJ", "47925": "GJ", "147": "kBtu", "21": "therm",
		"242": "varh", "243": "kvarh", "244": "Mvarh", "203": "varh", "204": "kvarh", "205": "Mvarh", "82": "L", "80": "m3", "79": "ft3",
		"47": "W", "48": "kW", "49": "MW", "11": "var", "12": "kvar", "13": "Mvar",
		"kilowatt-hours": "kWh", "Kilowatt-Hours": "kWh", "KILOWATT_HOURS": "kWh", "UNITS_KILOWATT_HOURS": "kWh", "kilowattHours": "kWh", "Kilowatt Hours": "kWh", "kilowatt-hour": "kWh",
		"cubic-meters": "m3", "cubic-metres": "m3", "Cubic Metre": "m3", "liters": "L", "litres": "L", "kilovolt-ampere-reactive-hours": "kvarh", "kilowatt-reactive-hours": "kvarh",
		"kWh": "kWh", " kWh ": "kWh", "kW-hr": "kWh", "m³": "m3", "CCF": "hcf", "kVArh": "kvarh", "MW": "MW", "watts": "W",
	} {
		if got, known := Unit(s); !known || got != want {
			t.Errorf("%q: %q, %v; want %s", s, got, known, want)
		}
	}
	for _, s := range []string{"239", "kilovolt-ampere-hours", "135", "cubic-meters-per-hour", "62", "95", "no-units", "20", "148", "47918"} {
		if got, known := Unit(s); !known || got != "" {
			t.Errorf("%q: %q, %v; want a known unit that no register has", s, got, known)
		}
	}
	for _, s := range []string{"", "furlongs", "mW", "kwatt", "99999", "-19", "1.9", "°C"} {
		if got, known := Unit(s); known {
			t.Errorf("%q taken as %q", s, got)
		}
	}
	for _, u := range units {
		if u.unit == "" {
			continue
		}
		if _, ok := unit.Named(u.unit); !ok {
			t.Errorf("%d: %s is no unit of energy/unit", u.number, u.unit)
		}
	}
	for symbol, name := range symbols {
		if _, ok := unit.Named(name); !ok {
			t.Errorf("%s: %s is no unit of energy/unit", symbol, name)
		}
	}
}

func document(t *testing.T, s string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestStatusFlags(t *testing.T) {
	for s, want := range map[string]StatusFlags{
		`[false,false,false,false]`: 0, `[true,false,false,false]`: InAlarm, `[0,1,0,0]`: Fault, `[false,false,true,false]`: Overridden, `[0,0,0,1]`: OutOfService,
		`"0000"`: 0, `"1000"`: InAlarm, `"0100"`: Fault, `"0,0,1,0"`: Overridden, `"{false,false,false,true}"`: OutOfService, `"(F, T, F, F)"`: Fault, `"1;1;1;1"`: 15,
		`{"inAlarm":true,"fault":false,"overridden":false,"outOfService":false}`: InAlarm, `{"in-alarm":0,"fault":1}`: Fault, `{"out_of_service":true,"x":true}`: OutOfService,
		`"fault"`: Fault, `"in-alarm;out-of-service"`: InAlarm | OutOfService, `"overridden fault"`: Overridden | Fault,
	} {
		if got, ok := ParseStatusFlags(document(t, s)); !ok || got != want {
			t.Errorf("%s: %04b, %v; want %04b", s, got, ok, want)
		}
	}
	for _, s := range []string{`0`, `4`, `[false,false]`, `[false,false,false,2]`, `[false,false,false,"x"]`, `"good"`, `""`, `"00000"`, `"0200"`, `{"x":true}`, `{}`, `null`, `true`, `"192"`} {
		if got, ok := ParseStatusFlags(document(t, s)); ok {
			t.Errorf("%s taken as %04b", s, got)
		}
	}
	for f, want := range map[StatusFlags]bool{0: true, InAlarm: true, Fault: false, Overridden: false, OutOfService: false, InAlarm | Fault: false} {
		if f.Measured() != want {
			t.Errorf("%04b: measured %v", f, !want)
		}
	}
}

func TestObject(t *testing.T) {
	for s, want := range map[string]Object{"23": Accumulator, "accumulator": Accumulator, "OBJECT_ANALOG_INPUT": AnalogInput, "analogInput": AnalogInput, "analog-value": AnalogValue, "av": AnalogValue, "AI": AnalogInput, "24": PulseConverter, "1023": 1023} {
		if got, ok := ParseObject(s); !ok || got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "x", "-1", "1024", "device"} {
		if got, ok := ParseObject(s); ok {
			t.Errorf("%q taken as %d", s, got)
		}
	}
	for o, want := range map[Object][2]bool{AnalogInput: {true, true}, LargeAnalogValue: {true, true}, PositiveIntegerValue: {true, true}, IntegerValue: {true, true}, PulseConverter: {true, true}, Accumulator: {false, true},
		BinaryInput: {}, BinaryOutput: {}, BinaryValue: {}, MultiStateInput: {}, MultiStateOutput: {}, MultiStateValue: {}, LoadControl: {}, TrendLog: {}, TrendLogMultiple: {}, Averaging: {}, 8: {true, true}} {
		if got := [2]bool{o.Register(false) == nil, o.Register(true) == nil}; got != want {
			t.Errorf("object %d: %v, want %v", o, got, want)
		}
	}
}

func TestScale(t *testing.T) {
	for s, want := range map[string]string{"0.1": "1/10", "1": "1/1", "10^0": "1/1", "10^-1": "1/10", "10^3": "1000/1", "10^12": "1000000000000/1", "10^-12": "1/1000000000000", "2.5": "5/2"} {
		if r, err := Scale(s); err != nil || r.String() != want {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
	for _, s := range []string{"", "0", "-1", "10^13", "10^-13", "10^x", "10^", "1e3", "1/2", "0.000000000000000000001", "x"} {
		if r, err := Scale(s); err == nil {
			t.Errorf("%q taken as %v", s, r)
		}
	}
}

func FuzzStatusFlags(f *testing.F) {
	for _, s := range []string{`"0100"`, `[0,1,0,0]`, `{"fault":true}`, `"fault;;"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v any
		if json.Unmarshal([]byte(s), &v) != nil {
			v = s
		}
		if got, ok := ParseStatusFlags(v); got > 15 || !ok && got != 0 {
			t.Fatalf("%q: %b, %v", s, got, ok)
		}
		if name, _ := Unit(s); name != "" {
			if _, ok := unit.Named(name); !ok {
				t.Fatalf("%q: unit %q", s, name)
			}
		}
		_, _ = ParseObject(s)
		if r, err := Scale(s); err == nil && r.Sign() <= 0 {
			t.Fatalf("scale %q is %v", s, r)
		}
	})
}
