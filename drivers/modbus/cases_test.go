package modbus

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "write what comes as what is expected; read the difference before you commit it")

// busCase is testdata/NAME/case.json: meters on a wire and what goes wrong
// there, and in expected.txt beside it what each poll gives. Each folder is
// named after what goes wrong.
type busCase struct {
	Why       string // what it shows, and where it was met
	URL       string
	Timeout   string
	Devices   []Device
	Registers map[string]string // "unit/table/address": words in hex; a unit that is not here is silent
	Polls     int               // rounds: each asks all devices in turn
	Wrong     []wrong
}

// wrong is what comes for a question instead of the right answer.
type wrong struct {
	Round, Device, Question int // counted from 1; question 0: all of them
	Comes                   []string
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var c busCase
	if err := d.Decode(&c); err != nil || c.Why == "" {
		t.Fatalf("%v, or no why", err)
	}
	timeout, err := time.ParseDuration(c.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		bus, err := New(Config{URL: c.URL, Timeout: timeout, Devices: c.Devices})
		if err != nil {
			t.Fatal(err)
		}
		w := &played{t: t, c: &c}
		w.mbap = bus.rtu == nil
		if w.mbap {
			bus.client.(*mbapClient).dial = w.open
		} else {
			bus.rtu.dial = w.open
		}
		for w.round = 1; w.round <= c.Polls; w.round++ {
			for i := range c.Devices {
				w.device, w.question = i+1, 0
				got, err := bus.Poll(t.Context(), i, nil)
				fmt.Fprintf(&out, "round %d, %s\n", w.round, c.Devices[i].Meter)
				for _, r := range got {
					if r.Err == nil {
						fmt.Fprintf(&out, "  %s %d\n", c.Devices[i].Points[r.Point].Measure, r.Sample.Value)
					} else {
						fmt.Fprintf(&out, "  %s %v\n", c.Devices[i].Points[r.Point].Measure, r.Err)
					}
				}
				if len(got) == 0 {
					fmt.Fprintf(&out, "  %v\n", err)
				}
				time.Sleep(time.Second) // till the next is due
			}
		}
	})
	golden := filepath.Join(filepath.Dir(file), "expected.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("%s\ngot\n%s\nwant\n%s", c.Why, out.String(), want)
	}
}
