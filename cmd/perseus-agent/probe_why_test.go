package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Who the meter says that it is, asked of a peer that nobody here wrote: by
// Modbus TCP and by RTU frames.
func TestProbeShowsTheIdentification(t *testing.T) {
	units := map[uint8]meterImage{1: imageOf(t, "eastron-sdm630", 18_342_000, 6000)}
	for framer, scheme := range map[string]string{"socket": "tcp", "rtu": "rtuovertcp"} {
		t.Run(framer, func(t *testing.T) {
			t.Parallel()
			address := pymodbusBox(t, framer, units, map[string]string{"VendorName": "Eastron", "ProductCode": "SDM630", "MajorMinorRevision": "1.82"})
			x := &clinic{t: t, now: time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC), run: func(time.Time) {}}
			rows, found := x.prober(0).all(t.Context(), parsed(t, scheme+"://"+address, "  - {id: m, bus: plant, unit: 1, template: eastron-sdm630}\n"))
			for _, r := range rows {
				if r.Maker == nil || r.Maker.Vendor != "Eastron" || r.Maker.Product != "SDM630" || r.Maker.Revision != "1.82" || r.Error != "" {
					t.Errorf("%+v: %+v", r, r.Maker)
				}
			}
			var out strings.Builder
			if err := printProbe(&out, "table", rows, found); err != nil || strings.Count(out.String(), "says that it is Eastron SDM630 1.82") != 1 {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

// A meter that does not know the question is none the worse for it.
func TestIdentificationIsNoDuty(t *testing.T) {
	pt := &patient{rows: []probed{{Meter: "m"}}}
	pt.introduced(modbus.Identification{Vendor: "half"}, errors.New("it broke off"))
	pt.introduced(modbus.Identification{}, nil)
	if pt.rows[0].Maker != nil {
		t.Errorf("%+v", pt.rows[0].Maker)
	}
}

// Why a meter is not read is said as the status says it: what its neighbours
// do belongs to it.
func TestProbeSaysWhy(t *testing.T) {
	silence := &drivers.Error{Kind: drivers.Timeout, Op: "read unit 2 input 0x0048+2", Err: errors.New("request timed out"), Hint: "check the unit number"}
	refusal := &drivers.Error{Kind: drivers.Exception, Op: "read unit 1 input 0x0050+2", Err: errors.New("illegal data address"), Hint: "is the table right?"}
	of := func(id string, readings ...drivers.Reading) *patient {
		m := config.Meter{ID: id}
		for range readings {
			m.Registers = append(m.Registers, config.Register{Point: modbus.Point{Measure: energy.Import, Type: "uint32", Unit: "Wh"}})
		}
		for i := range readings {
			readings[i].Point = i
		}
		return &patient{meter: m, first: readings, rows: probedMeter(config.Bus{ID: "b"}, m, readings, nil)}
	}
	good := drivers.Reading{Sample: energy.Sample{Value: 5}, Raw: 5}
	patients := []*patient{of("a", good, drivers.Reading{Err: refusal}), of("b", drivers.Reading{Err: silence}), of("c", good)}
	reasons(patients)
	if w := patients[0].rows[1].Why; w == nil || w.Kind != drivers.Exception || w.Hint != "is the table right?" || patients[0].rows[0].Why != nil {
		t.Errorf("a register that is refused: %+v", w)
	}
	if w := patients[1].rows[0].Why; w == nil || w.Kind != drivers.Timeout || !strings.HasPrefix(w.Hint, "2 others on this bus are read: look at this one") {
		t.Errorf("a meter alone in its silence: %+v", w)
	}
	alone := []*patient{of("a", drivers.Reading{Err: silence}), of("b", drivers.Reading{Err: silence})}
	reasons(alone)
	if w := alone[0].rows[0].Why; !strings.HasPrefix(w.Hint, "none of the 2 meters on this bus answers, so it is something that they share: check the unit number") {
		t.Errorf("all are silent: %+v", w)
	}

	out := of("a", drivers.Reading{Err: errNotRead})
	out.err = &drivers.Error{Kind: drivers.Refused, Op: "connect to tcp://h", Err: errors.New("connection refused"), Hint: "is the device on?"}
	reasons([]*patient{out})
	if w := out.rows[0].Why; w == nil || w.Kind != drivers.Refused || w.Hint != "is the device on?" {
		t.Errorf("a bus that cannot be used: %+v", w)
	}

	var rows []probed
	for _, p := range patients {
		rows = append(rows, p.rows...)
	}
	rows[0].Maker = &maker{Vendor: "Acme", Product: "X1", Revision: "2", Says: "Acme X1 2"}
	var table, list, object strings.Builder
	for w, format := range map[*strings.Builder]string{&table: "table", &list: "csv", &object: "json"} {
		if err := printProbe(w, format, rows, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"no answer in time (read unit 2 input 0x0048+2). What to try: 2 others on this bus are read", "it answers, and refuses: illegal data address (read unit 1 input 0x0050+2). What to try: is the table right?", "says that it is Acme X1 2"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
	lines, err := csv.NewReader(strings.NewReader(list.String())).ReadAll()
	if err != nil || len(lines) != 5 || strings.Join(lines[1][12:], "|") != "||Acme|X1|2" || lines[3][12] != "timeout" || !strings.HasPrefix(lines[3][13], "2 others") {
		t.Errorf("%v\n%s", err, list.String())
	}
	var got struct {
		Data []struct {
			Why    *drivers.Reason
			Device *maker
		}
	}
	if err := json.Unmarshal([]byte(object.String()), &got); err != nil || got.Data[2].Why.Kind != drivers.Timeout || got.Data[0].Device.Vendor != "Acme" || got.Data[3].Why != nil {
		t.Errorf("%v\n%s", err, object.String())
	}
}
