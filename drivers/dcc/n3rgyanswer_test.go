package dcc

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Answers in the shapes of n3rgy's (feeds.md 2.4), with what is read of them.
var n3rgyVectors = []struct {
	name, body string
	m          energy.Measure
	want       string // see told; a part of it, where it is an error
}{
	{"version 2", `{"resource":"/mpxn/1/utility/electricity/readingtype/consumption?x","responseTimestamp":"2024-02-23T11:17:01.055Z","availableCacheRange":{"start":"201204270900","end":"209902280000"},
		"start":"202404080030","end":"202404090000","granularity":"halfhour","unit":"kWh","devices":[{"deviceId":"01-00","values":[
		{"primaryValue":0.214,"timestamp":"2024-04-08 23:30"},{"primaryValue":0.1,"timestamp":"2024-04-09 00:00"}]}]}`, energy.Import, "08 23:30 214; 09 00:00 100; "},
	{"version 1", `{"resource":"/2/electricity/consumption/1","start":"201901010030","end":"201901030000","granularity":"halfhour","values":[
		{"value":0.671,"timestamp":"2024-04-08 00:30"},{"value":1.212,"timestamp":"2024-04-08 01:00"}],"availableCacheRange":{},"unit":"kWh"}`, energy.Import, "08 00:30 671; 08 01:00 1212; "},
	{"export", `{"unit":"kWh","devices":[{"values":[{"primaryValue":2,"secondaryValue":7,"timestamp":"2024-04-08 00:30"}]}]}`, energy.Export, "08 00:30 2000; "},
	{"gas", `{"unit":"m3","devices":[{"values":[{"primaryValue":1.234,"secondaryValue":null,"timestamp":"2024-04-08 00:30"}]}]}`, energy.Gas, "08 00:30 1234; "},
	{"two elements", `{"unit":"kWh","devices":[{"values":[{"primaryValue":1,"secondaryValue":0.25,"timestamp":"2024-04-08 00:30"}]}]}`, energy.Import, "08 00:30 1250; "},
	{"two elements, one junk", `{"unit":"kWh","devices":[{"values":[{"primaryValue":1,"secondaryValue":8590.017,"timestamp":"2024-04-08 00:30"}]}]}`, energy.Import, "08 00:30 0 (" + junk + "); "},
	{"seconds", `{"unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:30:00"}]}`, energy.Import, "08 00:30 1000; "},
	{"nothing known", `{"unit":"kWh","devices":[{"values":[{"primaryValue":null,"timestamp":"2024-04-08 00:30","additionalInformation":"not available"},{"timestamp":"2024-04-08 01:00"}]}]}`, energy.Import, ""},
	{"no devices", `{"devices":[]}`, energy.Import, ""},
	{"no values", `{"unit":"kWh","values":[]}`, energy.Import, ""},
	{"invalid value", `{"unit":"kWh","values":[{"value":"invalid value","timestamp":"2024-04-08 00:30"},{"value":1,"timestamp":"2024-04-08 01:00"}]}`, energy.Import, "08 00:30 0 (" + junk + "); 08 01:00 1000; "},
	{"all ones", `{"unit":"kWh","values":[{"value":4294967.295,"timestamp":"2024-04-08 00:30"},{"value":4294.968,"timestamp":"2024-04-08 01:00"},{"value":4294.967,"timestamp":"2024-04-08 01:30"}]}`, energy.Import,
		"08 00:30 0 (" + junk + "); 08 01:00 0 (" + junk + "); 08 01:30 4294967; "},
	{"negative", `{"unit":"kWh","values":[{"value":-1,"timestamp":"2024-04-08 00:30"}]}`, energy.Import, `08 00:30 0 ("-1" is negative (import and export are never netted)); `},
	{"not a number", `{"unit":"kWh","values":[{"value":{"x":1},"timestamp":"2024-04-08 00:30"}]}`, energy.Import, `08 00:30 0 ("map[x:1]" is not a number); `},
	{"an exchange", `{"unit":"kWh","devices":[
		{"values":[{"primaryValue":1,"timestamp":"2024-04-08 00:30"},{"primaryValue":2,"timestamp":"2024-04-08 01:00"},{"primaryValue":0,"timestamp":"2024-04-08 01:30"}]},
		{"values":[{"primaryValue":0,"timestamp":"2024-04-08 00:30"},{"primaryValue":3,"timestamp":"2024-04-08 01:00"},{"primaryValue":4,"timestamp":"2024-04-08 01:30"},{"primaryValue":5,"timestamp":"2024-04-08 02:00"}]}]}`, energy.Import,
		"08 00:30 1000; 08 01:00 0 (" + twice + "); 08 01:30 4000; 08 02:00 5000; "},
	{"two devices, one junk", `{"unit":"kWh","devices":[
		{"values":[{"primaryValue":"invalid value","timestamp":"2024-04-08 00:30"},{"primaryValue":1,"timestamp":"2024-04-08 01:00"}]},
		{"values":[{"primaryValue":1,"timestamp":"2024-04-08 00:30"},{"primaryValue":"invalid value","timestamp":"2024-04-08 01:00"}]}]}`, energy.Import, "08 00:30 0 (" + junk + "); 08 01:00 0 (" + junk + "); "},
	{"the same twice", `{"unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:30"},{"value":1,"timestamp":"2024-04-08 00:30"}]}`, energy.Import, "08 00:30 1000; 08 00:30 1000; "},

	{"a tariff", `{"resource":"/2/electricity/tariff/1","values":[{"prices":[]}]}`, energy.Import, "refused: the answer is a tariff"},
	{"a tariff, version 2", `{"resource":"/mpxn/1/utility/electricity/readingtype/tariff?x","devices":[{"deviceId":"x","tariffs":[]}]}`, energy.Import, "refused: the answer is a tariff"},
	{"days", `{"unit":"kWh","granularity":"day","values":[{"value":1,"timestamp":"2024-04-08 00:00"}]}`, energy.Import, `refused: the answer goes by "day"`},
	{"gas in kWh", `{"unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:30"}]}`, energy.Gas, "refused: gas comes in kWh here"},
	{"no unit", `{"values":[{"value":1,"timestamp":"2024-04-08 00:30"}]}`, energy.Import, `refused: the unit "" does not measure import`},
	{"off the half-hour", `{"unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:31"}]}`, energy.Import, "refused: a value is dated"},
	{"no date", `{"unit":"kWh","values":[{"value":1}]}`, energy.Import, "refused: a value is dated"},
	{"1970", `{"unit":"kWh","values":[{"value":1,"timestamp":"1970-01-01 00:30"}]}`, energy.Import, "refused: a value is dated"},
	{"errors", `{"errors":[{"code":403,"message":"Consent for the given MPxN not found."}]}`, energy.Import, "refused: Consent for the given"},
	{"a message", `{"message":"Forbidden"}`, energy.Import, "refused: the answer has neither values nor devices: Forbidden"},
	{"another document", `[]`, energy.Import, "error: the answer is broken"},
	{"cut off", `{"unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:30"},{"val`, energy.Import, "error: the answer is broken"},
	{"empty", ``, energy.Import, "error: the answer is broken"},
}

func TestDecodeN3rgy(t *testing.T) {
	for _, c := range n3rgyVectors {
		got := told(decodeN3rgy([]byte(c.body), c.m))
		failing := strings.HasPrefix(c.want, "refused: ") || strings.HasPrefix(c.want, "error: ")
		if failing && !strings.HasPrefix(got, c.want) || !failing && got != c.want {
			t.Errorf("%s: got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// What n3rgy answered to others, as Energy Sparks keeps it. The sums were made
// with Python's decimal numbers.
func TestDecodeN3rgyShared(t *testing.T) {
	const dir = "../../../shared/data/n3rgy/"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data is absent: the answers that n3rgy gave others are not tested")
	}
	for _, c := range []struct {
		file        string
		n           int
		first, last string
		total       int64
		err         string
	}{
		{"get-reading-type-consumption.json", 31, "2012-04-27 09:00", "2012-04-28 00:00", 2999, ""},
		{"get_consumption_data.json", 96, "2019-01-01 00:30", "2019-01-03 00:00", 51891, ""},
		{"get-reading-type-tariff.json", 0, "", "", 0, "tariff"},
		{"get_tariff_data.json", 0, "", "", 0, "tariff"},
		{"get_tariff_data_with_tiers.json", 0, "", "", 0, "tariff"},
		{"raw_meter_readings_kwh.json", 0, "", "", 0, "broken"},
	} {
		data, err := os.ReadFile(dir + c.file)
		if err != nil {
			t.Fatal(err)
		}
		all, err := decodeN3rgy(data, energy.Import)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one with %q", c.file, err, c.err)
			}
			continue
		}
		if err != nil || len(all) != c.n {
			t.Errorf("%s: %d half-hours, %v", c.file, len(all), err)
			continue
		}
		total := int64(0)
		for _, h := range tidy(all, time.Now()) {
			total += h.value
		}
		if total != c.total || !all[0].end.Equal(utc(c.first)) || !all[c.n-1].end.Equal(utc(c.last)) {
			t.Errorf("%s: %d Wh from %s to %s, want %d", c.file, total, all[0].end, all[c.n-1].end, c.total)
		}
	}
}

func FuzzDecodeN3rgy(f *testing.F) {
	for _, c := range n3rgyVectors {
		f.Add([]byte(c.body), uint8(c.m))
	}
	f.Fuzz(func(t *testing.T, body []byte, m uint8) {
		all, err := decodeN3rgy(body, energy.Measures()[int(m)%5])
		checkHalves(t, all, err)
	})
}

// checkHalves states what holds for whatever a decoder gives.
func checkHalves(t *testing.T, all []half, err error) {
	t.Helper()
	if err != nil && all != nil {
		t.Fatal("an error, and half-hours")
	}
	for _, h := range tidy(all, now) {
		switch {
		case h.end.After(now) || !h.end.Equal(h.end.Truncate(energy.Period)) || h.end.Location() != time.UTC:
			t.Fatalf("impossible end %v", h)
		case h.value < 0 || h.value > 2*overflow || h.wrong != "" && h.value != 0:
			t.Fatalf("impossible value %v", h)
		}
	}
}
