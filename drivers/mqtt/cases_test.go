package mqtt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

var update = flag.Bool("update", false, "write what comes as what is expected; read the difference before you commit it")

// testCase is testdata/NAME/case.json: what comes from the broker, and in
// expected.txt beside it what is to be delivered. Each folder is named after
// the source, or after what goes wrong.
type testCase struct {
	Why      string // what it shows, and where it was met
	Format   string
	Now      time.Time
	Stale    string
	Devices  []Device
	Messages []struct {
		Topic    string
		Payload  json.RawMessage // as it is; a text in Text
		Text     *string
		Hex      string
		Retained bool
		Again    bool
		After    string // since the message before
	}
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(files) < 20 {
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
	var c testCase
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); err != io.EOF || c.Why == "" {
		t.Fatal("more than one document, or no why")
	}
	now := c.Now
	config := Config{URLs: []string{"mqtt://h"}, ClientID: "a", Format: c.Format, Devices: c.Devices, Now: func() time.Time { return now }}
	if c.Stale != "" {
		if config.Stale, err = time.ParseDuration(c.Stale); err != nil {
			t.Fatal(err)
		}
	}
	broker, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range broker.format.filters() {
		fmt.Fprintf(&out, "subscribe %d %s\n", f.qos, f.topic)
	}
	h := hearer{broker: broker, deliver: func(device int, r []drivers.Reading) {
		for _, one := range r {
			fmt.Fprintf(&out, "  %s/%d %s\n", c.Devices[device].Meter, one.Point, written(one))
		}
	}}
	for _, m := range c.Messages {
		if m.After != "" {
			by, err := time.ParseDuration(m.After)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(by)
		}
		payload := []byte(m.Payload)
		switch {
		case m.Text != nil:
			payload = []byte(*m.Text)
		case m.Hex != "":
			if payload, err = hex.DecodeString(m.Hex); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&out, "%s\n", m.Topic)
		unread := broker.stats.Unread
		for _, p := range h.hear(&message{m.Topic, payload, m.Retained, m.Again, now}) {
			fmt.Fprintf(&out, "  publish %s\n", p.topic)
		}
		if broker.stats.Unread != unread {
			fmt.Fprintln(&out, "  not read")
		}
	}
	golden := filepath.Join(filepath.Dir(file), "expected.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
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

func written(r drivers.Reading) string {
	if r.Err != nil {
		var e *drivers.Error
		if !errors.As(r.Err, &e) {
			return "an error of no kind: " + r.Err.Error()
		}
		return e.Error()
	}
	s := fmt.Sprintf("%d at %s", r.Sample.Value, r.Sample.At.Format(time.RFC3339Nano))
	if !r.DeviceAt.IsZero() && !r.DeviceAt.Equal(r.Sample.At) {
		s += " device " + r.DeviceAt.Format(time.RFC3339Nano)
	}
	if r.Interval > 0 {
		s += " of " + r.Interval.String()
	}
	if r.Flags != 0 {
		s += " " + strings.Join(r.Flags.List(), " ")
	}
	return s
}
