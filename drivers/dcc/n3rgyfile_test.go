package dcc

import (
	"os"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// An answer of n3rgy's, saved as a file, goes through the drop folder.
func TestFolderN3rgyFiles(t *testing.T) {
	const values = `"unit":"kWh","values":[{"value":0.5,"timestamp":"2024-04-08 00:30"},{"value":0.25,"timestamp":"2024-04-08 01:00"},{"value":"invalid value","timestamp":"2024-04-08 01:30"}]}`
	for _, c := range []struct {
		resource string
		measure  energy.Measure
	}{
		{"/" + mpanA + "/electricity/consumption/1", energy.Import},
		{"/mpxn/" + mpanA + "/utility/electricity/readingtype/consumption?start=1", energy.Import},
		{"/mpxn/" + mpanA + "/utility/electricity/readingtype/import", energy.Import},
		{"/mpxn/" + mpanA + "/utility/electricity/readingtype/production", energy.Export},
		{"/mpxn/" + mpanA + "/utility/electricity/readingtype/export", energy.Export},
		{"/mpxn/" + mpanA + "/utility/gas/readingtype/consumption", energy.Gas},
	} {
		d := newDrop(t, "", Device{Meter: "main", Name: mpanA, Measures: []energy.Measure{energy.Export, energy.Gas, energy.Import}})
		text := `{"resource":"` + c.resource + `",` + values
		if c.measure == energy.Gas {
			text = strings.Replace(text, "kWh", "m3", 1)
		}
		d.write("a.json", text)
		if err := d.settled(); err != nil {
			t.Fatal(err)
		}
		good, _ := d.take()
		if len(good) != 2 || d.cfg.Devices[0].Measures[good[0].Point] != c.measure || good[0].Sample.Value != 500 || !good[1].Sample.At.Equal(utc("2024-04-08 01:00")) || good[1].Sample.Value != 250 || good[0].Estimated {
			t.Errorf("%s: %+v", c.resource, good)
		}
		d.expect("done", "a.json", "a.json.notes")
	}
}

// One that is no good says why; what is none is left to hhfile.
func TestFolderN3rgyBadFiles(t *testing.T) {
	for text, reason := range map[string]string{
		`{"resource":"/` + mpanA + `/gas/consumption/1","unit":"kWh","values":[{"value":1,"timestamp":"2024-04-08 00:30"}]}`: "gas comes in kWh",
		`{"resource":"/` + mpanA + `/electricity/consumption/1","values":[]}`:                                                "no half-hour",
		`{"resource":"/` + mpanA + `/electricity/tariff/1","values":[]}`:                                                     "not Perse's",
		`{"resource":"/` + mpanA + `/electricity/consumption/1","values":[`:                                                  "",
	} {
		d := newDrop(t, "", importOf(mpanA))
		d.write("a.json", text)
		if err := d.settled(); err != nil {
			t.Fatal(err)
		}
		d.expect("bad", "a.json", "a.json.reason")
		if got := d.read("bad", ".reason"); !strings.Contains(got, reason) {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestFolderN3rgyShared(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/n3rgy/get_consumption_data.json")
	if err != nil {
		t.Skip("../shared/data is absent: the answers that n3rgy gave others are not tested")
	}
	d := newDrop(t, "", importOf("2234567891000"))
	d.write("a.json", string(data))
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	if good, _ := d.take(); len(good) != 96 || sum(latest(good, 0, 1)) != 51891 {
		t.Errorf("%d half-hours", len(good))
	}
}
