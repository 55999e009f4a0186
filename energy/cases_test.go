package energy

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what comes as what is expected; read the difference before you commit it")

// caseOf is testdata/NAME/case.json: what a register showed, and in
// expected.txt beside it the half-hours that are made of it. Each folder is
// named after what goes wrong.
type caseOf struct {
	Why      string // what it shows, and where it was met
	Register Register
	Period   string   // "30m" where it is not said
	Samples  []string // "2026-03-01T00:00:00Z 53700000"; "-" instead of a value: the meter was exchanged, and nothing more is known
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(files) < 10 {
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
	c := caseOf{Period: "30m"}
	if err := d.Decode(&c); err != nil || c.Why == "" {
		t.Fatalf("%v, or no why", err)
	}
	period, err := time.ParseDuration(c.Period)
	if err != nil {
		t.Fatal(err)
	}
	a := NewAccumulator(c.Register, period)
	var out strings.Builder
	for _, s := range c.Samples {
		at, value, _ := strings.Cut(s, " ")
		fmt.Fprintln(&out, s)
		if value == "-" {
			a.Break()
			continue
		}
		var x Sample
		if x.At, err = time.Parse(time.RFC3339, at); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(value, &x.Value); err != nil {
			t.Fatal(err)
		}
		// A restart between any two samples changes nothing.
		if a, err = RestoreAccumulator(c.Register, period, a.State(nil)); err != nil {
			t.Fatal(err)
		}
		half, e := a.Add(x, nil)
		if e.Kind != Nothing {
			fmt.Fprintf(&out, "  %s\n", e.Kind)
		}
		for _, h := range half {
			fmt.Fprintf(&out, "  %s %s", h.Start.Format(time.RFC3339), h.Quality)
			if h.Quality != Missing {
				fmt.Fprintf(&out, " %d to %d", h.Energy, h.Cumulative)
			}
			fmt.Fprintln(&out)
		}
	}
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
