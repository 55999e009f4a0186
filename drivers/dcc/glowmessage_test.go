package dcc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

const (
	displayA = "A1B2C3D4E5F6"
	displayB = "0123456789AB"
)

// Messages in the shapes of Glow displays (feeds.md 2.1).
func electricity(at, imported, exported, mpan string) string {
	return fmt.Sprintf(`{"electricitymeter":{"timestamp":%q,"energy":{"export":{"cumulative":%s,"units":"kWh"},"import":{"cumulative":%s,"day":13.252,"week":141.710,"month":293.598,"units":"kWh","mpan":%q,"supplier":"ABC ENERGY","price":{"unitrate":0.04998,"standingcharge":0.24030}}},"power":{"value":-8388.608,"units":"kW"}}}`,
		at, exported, imported, mpan)
}

func gas(at, volume, mprn string) string {
	if volume != "" {
		volume = `,"cumulativevol":` + volume + `,"cumulativevolunits":"m3","dayvol":1.2`
	}
	return fmt.Sprintf(`{"gasmeter":{"timestamp":%q,"energy":{"export":{"cumulative":0.000,"units":"kWh"},"import":{"cumulative":17940.852,"day":11.128,"units":"kWh"%s,"mprn":%q,"supplier":"---","price":{"unitrate":0.07320,"standingcharge":0.17850}}}}}`,
		at, volume, mprn)
}

var glowVectors = []struct {
	name, topic, body string
	want              string // display, kind, id, time, registers; or a part of the error
}{
	{"electricity", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "6613.405", "0.000", mpanA),
		displayA + " electricity " + mpanA + " 2024-04-10T12:00:05Z import 6613405 export 0"},
	{"gas", "glow/" + displayA + "/SENSOR/gasmeter", gas("2024-04-10T12:00:05Z", "1610.453", "1234"), displayA + " gas 1234 2024-04-10T12:00:05Z gas 1610453"},
	{"gas that names no unit", "glow/" + displayA + "/SENSOR/gasmeter", strings.Replace(gas("2024-04-10T12:00:05Z", "1610.453", "1234"), `,"cumulativevolunits":"m3"`, "", 1), "gas 1610453"},
	{"gas in cubic feet", "glow/" + displayA + "/SENSOR/gasmeter", strings.Replace(gas("2024-04-10T12:00:05Z", "100", "1234"), `volunits":"m3"`, `volunits":"ft3"`, 1), "gas 2832"},
	{"gas without m3", "glow/" + displayA + "/SENSOR/gasmeter", gas("2024-04-10T12:00:05Z", "", "EMPTY"), displayA + " gas  2024-04-10T12:00:05Z gas protocol: the display gives kWh only"},
	{"no MPAN", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "1", "2", "---"), displayA + " electricity  2024-04-10T12:00:05Z import 1000 export 2000"},
	{"zero", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "0.000", "2", ""), displayA + " electricity  2024-04-10T12:00:05Z import sentinel: it is 0"},
	{"all ones", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "4294967.295", "281474976710.655", ""), displayA + " electricity  2024-04-10T12:00:05Z import sentinel: 4294967.295 is all ones"},
	{"null", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "null", "2", ""), "import sentinel: it is not there"},
	{"negative", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "-1", "2", ""), "import range"},
	{"a text", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", `"1"`, "2", ""), "import range"},
	{"another unit", "glow/" + displayA + "/SENSOR/electricitymeter", strings.ReplaceAll(electricity("2024-04-10T12:00:05Z", "1", "2", ""), "kWh", "therms"), "import protocol"},
	{"another prefix, with levels", "site/x/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:05Z", "1", "2", ""), "is not one of a display below glow"},
	{"another sensor", "glow/" + displayA + "/SENSOR/temperature", "21", ""},
	{"a state", "glow/" + displayA + "/STATE", `{"software":"v1.8.12"}`, "is not one of a display below glow"},
	{"too deep", "glow/a/" + displayA + "/SENSOR/electricitymeter", "{}", "is not one of a display below glow"},
	{"no display", "glow//SENSOR/electricitymeter", "{}", "is not one of a display below glow"},
	{"1970", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("1970-01-01T00:00:12Z", "6613.405", "0.000", mpanA), "does not know the time"},
	{"just too early", "glow/" + displayA + "/SENSOR/electricitymeter", electricity("2017-12-31T23:59:59Z", "6613.405", "0.000", mpanA), "does not know the time"},
	{"no time", "glow/" + displayA + "/SENSOR/electricitymeter", `{"electricitymeter":{}}`, "does not know the time"},
	{"nothing", "glow/" + displayA + "/SENSOR/electricitymeter", `{}`, "neither"},
	{"cut off", "glow/" + displayA + "/SENSOR/electricitymeter", `{"electricitymeter":{"timestamp":"2022-`, "not JSON"},
}

func tellGlow(all []glowMessage, err error) string {
	if err != nil {
		return err.Error()
	}
	s := ""
	for _, m := range all {
		s += m.display + map[bool]string{true: " gas ", false: " electricity "}[m.gas] + m.id + " " + m.at.Format(time.RFC3339)
		for _, measure := range energy.Measures() {
			if r, ok := m.registers[measure]; ok && r.err != nil {
				s += fmt.Sprintf(" %s %s: %v", measure, kindOf(r.err), errors.Unwrap(r.err))
			} else if ok {
				s += fmt.Sprintf(" %s %d", measure, r.value)
			}
		}
	}
	return s
}

func TestDecodeGlow(t *testing.T) {
	for _, c := range glowVectors {
		got := tellGlow(decodeGlow("glow", c.topic, []byte(c.body)))
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: got %s\nwant %s", c.name, got, c.want)
		}
	}
	got := tellGlow(decodeGlow("site/x", "site/x/"+displayA+"/SENSOR/electricitymeter", []byte(electricity("2024-04-10T12:00:05Z", "1", "2", ""))))
	if !strings.HasPrefix(got, displayA) {
		t.Errorf("with a prefix of two levels: %s", got)
	}
	both := strings.TrimSuffix(electricity("2024-04-10T12:00:05Z", "1", "2", ""), "}") + "," + strings.TrimPrefix(gas("2024-04-10T12:00:05Z", "3", ""), "{")
	if all, err := decodeGlow("glow", "glow/"+displayA+"/SENSOR/electricitymeter", []byte(both)); err != nil || len(all) != 2 {
		t.Errorf("both meters in one message: %v %v", all, err)
	}
}

func FuzzDecodeGlow(f *testing.F) {
	for _, c := range glowVectors {
		f.Add(c.topic, []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		all, err := decodeGlow("glow", topic, body)
		if err != nil && all != nil {
			t.Fatal("an error, and messages")
		}
		for _, m := range all {
			if m.at.Before(earliest) || m.display == "" || len(m.registers) == 0 {
				t.Fatalf("impossible message %+v", m)
			}
			for measure, r := range m.registers {
				if r.err == nil && (r.value < 0 || r.value > maxBase || r.value == 0 && measure != energy.Export) {
					t.Fatalf("impossible %s %+v", measure, r)
				}
			}
		}
	})
}
