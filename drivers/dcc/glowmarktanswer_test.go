package dcc

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Answers in the shapes of Glowmarkt's (feeds.md 2.3). 1712534400 is
// 2024-04-08 00:00 UTC, and now is 2024-04-10 12:10.
var glowmarktVectors = []struct {
	name, body string
	m          energy.Measure
	want       string
}{
	{"consumption", `{"status":"OK","name":"electricity consumption","resourceTypeId":"x","resourceId":"y","query":{"from":"2024-04-08T00:00:00","to":"2024-04-08T23:59:59","period":"PT30M","function":"sum"},
		"data":[[1712534400,0.214],[1712536200,null],[1712538000,0],[1712539800,1.5]],"units":"kWh","classifier":"electricity.consumption"}`, energy.Import, "08 00:30 214; 08 01:30 0; 08 02:00 1500; "},
	{"binary noise", `{"status":"OK","data":[[1712534400,0.21400000000000002]],"units":"kWh","classifier":"electricity.consumption"}`, energy.Import, "08 00:30 214; "},
	{"gas in m3", `{"status":"OK","data":[[1712534400,0.5]],"units":"m3","classifier":"gas.consumption"}`, energy.Gas, "08 00:30 500; "},
	{"export", `{"status":"OK","data":[[1712534400,0.5]],"units":"kWh","classifier":"electricity.export"}`, energy.Export, "08 00:30 500; "},
	{"old zeros", `{"status":"OK","data":[[1712534400,1],[1712536200,0]],"units":"kWh"}`, energy.Import, "08 00:30 1000; 08 01:00 0; "},
	{"young zeros, 47 h 40 and 48 h 10", `{"status":"OK","data":[[1712575800,1],[1712577600,0],[1712579400,0],[1712581200,0]],"units":"kWh"}`, energy.Import, "08 12:00 1000; "},
	{"zeros before a value", `{"status":"OK","data":[[1712700000,0],[1712701800,0.1],[1712703600,0]],"units":"kWh"}`, energy.Import, "09 22:30 0; 09 23:00 100; "},
	{"out of order", `{"status":"OK","data":[[1712701800,0],[1712700000,0.1]],"units":"kWh"}`, energy.Import, "09 22:30 100; "},
	{"overflow", `{"status":"OK","data":[[1712534400,4294967.295],[1712536200,-1],[1712538000,"x"]],"units":"kWh"}`, energy.Import,
		"08 00:30 0 (" + junk + `); 08 01:00 0 ("-1" is negative (import and export are never netted)); 08 01:30 0 ("x" is not a number); `},
	{"nothing", `{"status":"OK","data":[],"units":"kWh"}`, energy.Import, ""},

	{"gas in kWh", `{"status":"OK","data":[[1712534400,0.5]],"units":"kWh","classifier":"gas.consumption"}`, energy.Gas, "refused: gas comes in kWh"},
	{"the wrong resource", `{"status":"OK","data":[[1712534400,0.5]],"units":"pence","classifier":"electricity.consumption.cost"}`, energy.Import, `refused: the resource is "electricity.consumption.cost"`},
	{"a cost is no export", `{"status":"OK","data":[[1712534400,0.5]],"units":"kWh","classifier":"electricity.consumption.cost"}`, energy.Export, "refused: the resource is"},
	{"import is no export", `{"status":"OK","data":[[1712534400,0.5]],"units":"kWh","classifier":"electricity.consumption"}`, energy.Export, "refused: the resource is"},
	{"gas is no export", `{"status":"OK","data":[[1712534400,0.5]],"units":"kWh","classifier":"gas.export.somehow"}`, energy.Export, "refused: the resource is"},
	{"hours", `{"status":"OK","query":{"period":"PT1H"},"data":[[1712534400,0.5]],"units":"kWh"}`, energy.Import, "refused: the answer goes by"},
	{"averages", `{"status":"OK","query":{"function":"avg"},"data":[[1712534400,0.5]],"units":"kWh"}`, energy.Import, "refused: the answer gives the"},
	{"off the half-hour", `{"status":"OK","data":[[1712534401,0.5]],"units":"kWh"}`, energy.Import, "refused: a value is dated"},
	{"1970", `{"status":"OK","data":[[0,0.5]],"units":"kWh"}`, energy.Import, "refused: a value is dated"},
	{"a date beyond all", `{"status":"OK","data":[[99999999999,0.5]],"units":"kWh"}`, energy.Import, "refused: a value is dated"},
	{"milliseconds", `{"status":"OK","data":[["1712534400",0.5]],"units":"kWh"}`, energy.Import, "refused: a value is dated"},
	{"not OK", `{"status":"FAIL","data":[]}`, energy.Import, `error: the answer says "FAIL"`},
	{"an error", `{"status":"OK","error":"Internal","data":[]}`, energy.Import, `error: the answer says "OK" Internal`},
	{"no data", `{"status":"OK"}`, energy.Import, "error: the answer has no data"},
	{"cut off", `{"status":"OK","data":[[1712534400,0.5],[17125`, energy.Import, "error: the answer is broken"},
}

func TestDecodeGlowmarkt(t *testing.T) {
	for _, c := range glowmarktVectors {
		got := told(decodeGlowmarkt([]byte(c.body), c.m, now))
		failing := strings.HasPrefix(c.want, "refused: ") || strings.HasPrefix(c.want, "error: ")
		if failing && !strings.HasPrefix(got, c.want) || !failing && got != c.want {
			t.Errorf("%s: got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// A zero at the end is believed when it is two days old.
func TestRipe(t *testing.T) {
	end := utc("2024-04-08 12:00")
	for age, want := range map[time.Duration]int{unripe - 1: 0, unripe: 1, unripe + 1: 1} {
		if got := ripe([]half{{end: end}}, end.Add(age)); len(got) != want {
			t.Errorf("at the age of %s: %v", age, got)
		}
	}
	young := []half{{end: end}, {end: end.Add(energy.Period), wrong: junk}, {end: end.Add(2 * energy.Period)}}
	if got := ripe(young, end.Add(energy.Period)); len(got) != 2 {
		t.Errorf("before what is no value, and after: %v", got)
	}
}

func FuzzDecodeGlowmarkt(f *testing.F) {
	for _, c := range glowmarktVectors {
		f.Add([]byte(c.body), uint8(c.m))
	}
	f.Fuzz(func(t *testing.T, body []byte, m uint8) {
		all, err := decodeGlowmarkt(body, energy.Measures()[int(m)%5], now)
		checkHalves(t, all, err)
	})
}
