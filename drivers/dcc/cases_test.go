package dcc

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

var update = flag.Bool("update", false, "write what comes as what is expected; read the difference before you commit it")

// feedCase is testdata/NAME/case.json: what a feed says, and in expected.txt
// beside it what is taken of it. Each folder is named after what goes wrong.
type feedCase struct {
	Why      string // what it shows, and where it was met
	Format   string // glow, n3rgy or glowmarkt
	Now      time.Time
	Devices  []Device // glow
	Messages []struct {
		Topic    string
		Payload  json.RawMessage
		Retained bool
		After    string // since the message before
	}
	Measure energy.Measure    // of the answers
	Answers []json.RawMessage // n3rgy and glowmarkt; a text is what came instead of JSON
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(files) < 8 {
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
	c := feedCase{Measure: energy.Import}
	if err := d.Decode(&c); err != nil || c.Why == "" {
		t.Fatalf("%v, or no why", err)
	}
	var out strings.Builder
	if c.Format == "glow" {
		c.displays(t, &out)
	} else {
		c.answers(t, &out)
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

// displays has the messages heard.
func (c *feedCase) displays(t *testing.T, out *strings.Builder) {
	h := newGlowHearer(Config{Devices: c.Devices, Logger: quiet}, "glow", func(device int, readings []drivers.Reading) {
		for _, r := range readings {
			fmt.Fprintf(out, "  %s %s %s\n", c.Devices[device].Meter, c.Devices[device].Measures[r.Point], written(r))
		}
	})
	now := c.Now
	for _, m := range c.Messages {
		if m.After != "" {
			by, err := time.ParseDuration(m.After)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(by)
		}
		fmt.Fprintf(out, "%s\n", m.Topic)
		if !h.hear(arrival{m.Topic, m.Payload, m.Retained, now}) {
			fmt.Fprintln(out, "  not read")
		}
	}
}

func written(r drivers.Reading) string {
	if r.Err != nil {
		return r.Err.Error()
	}
	if r.Again {
		return "as before: the error is over"
	}
	s := fmt.Sprintf("%d at %s", r.Sample.Value, r.Sample.At.Format(time.RFC3339))
	if r.Flags != 0 {
		s += " " + strings.Join(r.Flags.List(), " ")
	}
	return s
}

// answers has the answers of a web API read.
func (c *feedCase) answers(t *testing.T, out *strings.Builder) {
	for i, a := range c.Answers {
		fmt.Fprintf(out, "answer %d\n", i+1)
		var all []half
		var text string
		if json.Unmarshal(a, &text) == nil {
			a = json.RawMessage(text)
		}
		var err error
		switch c.Format {
		case "n3rgy":
			all, err = decodeN3rgy(a, c.Measure)
		case "glowmarkt":
			all, err = decodeGlowmarkt(a, c.Measure, c.Now)
		default:
			t.Fatalf("format %q", c.Format)
		}
		var no refusal
		switch {
		case errors.As(err, &no):
			fmt.Fprintf(out, "  refused: %v\n", err)
		case err != nil:
			fmt.Fprintf(out, "  asked again: %v\n", err)
		}
		for _, h := range tidy(all, c.Now) {
			if h.wrong != "" {
				fmt.Fprintf(out, "  until %s none: %s\n", h.end.Format(time.RFC3339), h.wrong)
			} else {
				fmt.Fprintf(out, "  until %s %d\n", h.end.Format(time.RFC3339), h.value)
			}
		}
	}
}
