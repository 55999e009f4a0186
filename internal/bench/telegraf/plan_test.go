package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/agent"
	telegrafconfig "github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/logger"
	_ "github.com/influxdata/telegraf/plugins/inputs/modbus"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Telegraf says in its log what it plans, which nobody needs for each set.
func TestMain(m *testing.M) {
	if err := logger.SetupLogging(&logger.Config{Quiet: true, Logfile: os.DevNull}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// field is a register that both are to read.
type field struct {
	point    modbus.Point
	function uint8 // 3 holding, 4 input
	address  uint16
	words    uint16
}

func fieldOf(p modbus.Point) field {
	f := field{point: p, function: 3, address: p.Address, words: map[string]uint16{"16": 1, "32": 2, "64": 4, "cd": 2}[p.Type[len(p.Type)-2:]]}
	if p.Table == "input" {
		f.function = 4
	}
	if p.Type == "bcd" && len(p.Order) == 8 {
		f.words = 4
	}
	return f
}

// settings are all of Telegraf's ways to make requests of fields.
var settings = []string{
	`optimization = "none"`, `optimization = "shrink"`, `optimization = "rearrange"`,
	"optimization = \"max_insert\"\noptimization_max_register_fill = 1",
	"optimization = \"max_insert\"\noptimization_max_register_fill = 8",
	"optimization = \"max_insert\"\noptimization_max_register_fill = 50",
	"optimization = \"max_insert\"\noptimization_max_register_fill = 125",
}

// theirs is how many questions Telegraf asks a meter in a round, as set; ok is
// false where it does not get all of the fields.
func theirs(t *testing.T, m *meter, fields []field, setting string) (requests int, ok bool) {
	t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "[[inputs.modbus]]\nname = \"m\"\ncontroller = \"tcp://%s\"\ntimeout = \"30s\"\nconfiguration_type = \"request\"\n", m.address)
	for function, register := range map[uint8]string{3: "holding", 4: "input"} {
		list := ""
		for i, f := range fields {
			if f.function == function {
				list += fmt.Sprintf("  { address = %d, name = \"f%d\", type = \"UINT%d\" },\n", f.address, i, 16*f.words)
			}
		}
		if list != "" {
			fmt.Fprintf(&s, "[[inputs.modbus.request]]\nslave_id = 1\nregister = %q\n%s\nfields = [\n%s]\n", register, setting, list)
		}
	}
	c := telegrafconfig.NewConfig()
	if err := c.LoadConfigData([]byte(s.String()), ""); err != nil {
		t.Fatalf("%v in\n%s", err, s.String())
	}
	in := c.Inputs[0]
	if err := in.Init(); err != nil {
		t.Fatal(err)
	}
	got := make(chan telegraf.Metric, 4*len(fields))
	acc := agent.NewAccumulator(in, got)
	before := m.asked.Load()
	if err := in.Gather(acc); err != nil {
		return 0, false
	}
	requests = int(m.asked.Load() - before)
	in.Stop()
	close(got)
	values := 0
	for metric := range got {
		values += len(metric.FieldList())
	}
	return requests, values == len(fields)
}

// ours is how many questions the driver asks in a round, once it knows the meter.
func ours(t *testing.T, m *meter, fields []field) int {
	t.Helper()
	d := modbus.Device{Meter: "m", Unit: 1}
	for _, f := range fields {
		d.Points = append(d.Points, f.point)
	}
	b, err := modbus.New(modbus.Config{URL: "tcp://" + m.address, Timeout: patience, Devices: []modbus.Device{d}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	requests := 0
	for range 4 {
		before := m.asked.Load()
		got, err := b.Poll(t.Context(), 0, nil)
		if err != nil || len(got) != len(fields) {
			t.Fatalf("%d of %d fields, %v", len(got), len(fields), err)
		}
		for _, r := range got {
			// What the registers hold is no matter here, that they came is.
			if e := (*drivers.Error)(nil); errors.As(r.Err, &e) && e.Kind != drivers.Range && e.Kind != drivers.Sentinel {
				t.Fatalf("%+v: %v", fields[r.Point].point, r.Err)
			}
		}
		requests = int(m.asked.Load() - before)
	}
	return requests
}

// counts sums up what both asked.
type counts struct{ sets, fields, ours, theirs, fewer int }

// weigh fails where the driver asks more than Telegraf's best setting does.
// A strict meter has the fields' registers only: a setting that reads across
// holes gets nothing from it.
func weigh(t *testing.T, name string, fields []field, strict bool, c *counts) {
	t.Helper()
	m := newMeter(t, fields, strict)
	best, by := 0, ""
	for _, s := range settings {
		if n, ok := theirs(t, m, fields, s); ok && (by == "" || n < best) {
			best, by = n, s
		}
	}
	if by == "" {
		t.Fatalf("%s: Telegraf gets the fields by no setting", name)
	}
	got := ours(t, m, fields)
	if got > best {
		t.Errorf("%s, strict %v: %d requests, Telegraf does it in %d with %s: %+v", name, strict, got, best, by, fields)
	}
	c.sets, c.fields, c.ours, c.theirs = c.sets+1, c.fields+len(fields), c.ours+got, c.theirs+best
	if got < best {
		c.fewer++
	}
}

func (c *counts) log(t *testing.T, what string) {
	t.Logf("%s: %d sets of %d fields: %d requests a round, Telegraf's best settings %d; fewer in %d sets, more in none", what, c.sets, c.fields, c.ours, c.theirs, c.fewer)
}

// For each template, its active energies and all that it has; on a device that
// answers across holes, and on one that refuses.
func TestTemplates(t *testing.T) {
	templates, err := config.Templates()
	if err != nil {
		t.Fatal(err)
	}
	var c [2]counts
	for _, tm := range templates {
		if tm.SunSpec != "" { // the device itself says where its registers are, which Telegraf cannot ask
			continue
		}
		var energies, all []field
		for _, r := range tm.Registers {
			all = append(all, fieldOf(r.Point))
			if r.Measure == energy.Import || r.Measure == energy.Export {
				energies = append(energies, fieldOf(r.Point))
			}
		}
		for i, strict := range []bool{false, true} {
			for _, fields := range [][]field{energies, all} {
				if len(fields) > 0 {
					weigh(t, tm.Name, fields, strict, &c[i])
				}
			}
		}
	}
	c[0].log(t, "templates, devices that answer across holes")
	c[1].log(t, "templates, devices that refuse to")
}

// Sets of fields at random: clumps with holes, in both tables.
func TestRandomFields(t *testing.T) {
	const sets = 400
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var c [2]counts
	for n := range sets {
		var fields []field
		at := uint16(rng.IntN(30_000))
		for range 1 + rng.IntN(24) {
			p := modbus.Point{Measure: energy.Import, Address: at, Table: []string{"holding", "input"}[rng.IntN(8)/7], Type: []string{"uint16", "uint32", "uint64"}[rng.IntN(3)], Unit: "Wh"}
			f := fieldOf(p)
			fields = append(fields, f)
			at += f.words
			switch rng.IntN(4) {
			case 0:
				at += uint16(rng.IntN(10))
			case 1:
				at += uint16(rng.IntN(150))
			}
		}
		for i, strict := range []bool{false, true} {
			weigh(t, fmt.Sprintf("random set %d", n), fields, strict, &c[i])
		}
	}
	c[0].log(t, "random fields, devices that answer across holes")
	c[1].log(t, "random fields, devices that refuse to")
}
