package udmi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

func TestEvent(t *testing.T) {
	e, err := ParseEvent([]byte(`{"version":"1.5.7","timestamp":"2026-03-01T12:00:00.25+01:00","partial_update":true,"points":{
		"a":{"present_value":1.25},"b":{"present_value":"1.25"},"c":{"present_value":true},"d":{},"e":"x","f":null,"g":{"present_value":null},"h":{"present_value":{"present_value":1}},"i":{"present_value":"NaN"},"j":{"present_value":1e2,"extra":1}}}`))
	if err != nil || !e.Partial || e.Points() != 10 || e.At.Format("15:04:05.00Z07:00") != "11:00:00.25Z" {
		t.Fatalf("%+v, %v", e, err)
	}
	for name, want := range map[string]string{"a": "5/4", "j": "100/1"} {
		if v, ok := e.Value(name); !ok || v.Err != nil || v.Number.String() != want || !v.At.Equal(e.At) {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, kind := range map[string]drivers.Kind{"b": drivers.Protocol, "c": drivers.Protocol, "d": drivers.Protocol, "e": drivers.Protocol, "f": drivers.Protocol, "g": drivers.Sentinel, "h": drivers.Protocol, "i": drivers.Sentinel} {
		v, ok := e.Value(name)
		var d *drivers.Error
		if !ok || v.Number != nil || !errors.As(v.Err, &d) || d.Kind != kind {
			t.Errorf("%s: %+v, want %s", name, v, kind)
		}
	}
	if _, ok := e.Value("z"); ok {
		t.Error("a point that is not in it")
	}
	for _, s := range []string{"", "[]", "{}", `{"points":null}`, `{"points":[]}`, `{"timestamp":"x","points":{}}`, `{"timestamp":5,"points":{}}`, `{"points":{}} {}`, strings.Repeat(" ", Limit+1)} {
		if e, err := ParseEvent([]byte(s)); err == nil {
			t.Errorf("%.40q taken as %+v", s, e)
		}
	}
	if e, err := ParseEvent([]byte(`{"points":{}}`)); err != nil || !e.At.IsZero() || e.Partial {
		t.Errorf("without a time: %+v, %v", e, err)
	}
}

func TestState(t *testing.T) {
	s, ok, err := ParseState([]byte(`{"timestamp":"2026-03-01T12:00:00Z","pointset":{"points":{
		"applied":{"value_state":"applied"},"updating":{"value_state":"updating"},"overridden":{"value_state":"overridden","status":{"message":"by hand","level":300}},"invalid":{"value_state":"invalid"},
		"failure":{"value_state":"failure"},"initializing":{"value_state":"initializing"},"warning":{"status":{"message":"w","level":499}},"error":{"status":{"message":"e","level":500}},"nothing":{},"odd":[1]}}}`))
	if !ok || err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"applied": "", "updating": "", "overridden": "overridden: by hand", "invalid": "invalid", "failure": "failure", "initializing": "initializing", "warning": "", "error": "level 500: e", "nothing": "", "not there": "", "odd": "invalid: its state cannot be read"} {
		if got := s.Point(name).Bad(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, ok, err := ParseState([]byte(`{"timestamp":"2026-03-01T12:00:00Z","system":{}}`)); ok || err != nil {
		t.Errorf("a state without points: %v, %v", ok, err)
	}
	for _, b := range []string{"", "{}", `{"pointset":{}}`, `{"timestamp":"x","pointset":{}}`, `{"timestamp":"2026-03-01T12:00:00Z","pointset":[]}`} {
		if _, ok, err := ParseState([]byte(b)); ok || err == nil {
			t.Errorf("%q was taken", b)
		}
	}
	at := func(time, state string) State {
		s, ok, err := ParseState(fmt.Appendf(nil, `{"timestamp":"2026-03-01T%sZ","pointset":{"points":{"p":{"value_state":%q}}}}`, time, state))
		if !ok || err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range [][3]string{{"12:00:00", "11:59:59", "failure"}, {"12:00:00", "12:00:00", ""}, {"12:00:00", "12:00:01", ""}} {
		if got := at(c[0], "failure").Later(at(c[1], "applied")).Point("p").Bad(); got != c[2] {
			t.Errorf("%v: %q", c, got)
		}
	}
	if got := (State{}).Later(at("12:00:00", "failure")).Point("p").Bad(); got == "" {
		t.Error("the first state is not taken")
	}
}

func TestUnits(t *testing.T) {
	got, err := Units([]byte(`{"system":{},"pointset":{"points":{"a":{"units":"Kilowatt-Hours","ref":"AI3"},"b":{"units":"Kilowatts","units_reported":"Watts"},"c":{}}}}`))
	if err != nil || got["a"] != "Kilowatt-Hours" || got["b"] != "Watts" || got["c"] != "" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Units([]byte(`{"pointset":5}`)); err == nil {
		t.Error("nonsense was taken")
	}
}

var comment = regexp.MustCompile(`(?m)//.*$`)

// fixtures are UDMI's own (Apache-2.0), read where they lie.
func fixtures(t *testing.T, kind string) map[string][]byte {
	t.Helper()
	files, _ := filepath.Glob("../../../../shared/data/udmi/" + kind + "/*.json")
	if len(files) == 0 {
		t.Skip("../shared/data/udmi is not there: UDMI's own fixtures are not tested")
	}
	out := map[string][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = comment.ReplaceAll(b, nil)
	}
	return out
}

// What UDMI's schema finds well formed is read; each point that it complains
// of is refused, and no other is harmed.
func TestFixtureEvents(t *testing.T) {
	all := fixtures(t, "events_pointset")
	for name, want := range map[string]map[string]string{
		"example":   {"reading_value": "21.30108642578125", "nexus_sensor": "21.1", "yoyo_motion_sensor": "", "enum_value": ""},
		"partial":   {"reading_value": "21.30108642578125", "enum_value": ""},
		"fcu":       {"space_temperature_sensor": "21.30108642578125", "chilled_water_valve_percentage_command": "76", "fan_run_status": ""},
		"writeback": {"scale_sensor": "10", "rocket_motor": "92", "entryway_lock": ""},
		"errors":    {"guid": "", "magic_voice_recognizer": "", "missing_present_value": "", "old_properties": "", "yoyo_motion_sensor": "", "bad_entity_name_": "21.30108642578125"},
	} {
		e, err := ParseEvent(all[name])
		if err != nil || e.At.IsZero() || e.Partial != (name == "partial") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for point, number := range want {
			v, ok := e.Value(point)
			n, _ := value.Number(number)
			if !ok || (v.Err == nil) != (n != nil) || n != nil && v.Number.Cmp(n) != 0 {
				t.Errorf("%s: %s: %+v, want %q", name, point, v, number)
			}
		}
	}
	if _, err := ParseEvent(all["empty"]); err == nil {
		t.Error("an empty event was taken")
	}
}

func TestFixtureStates(t *testing.T) {
	all := fixtures(t, "state")
	if len(all) < 20 {
		t.Fatalf("%d fixtures", len(all))
	}
	bad := 0
	for name, b := range all {
		s, ok, err := ParseState(b)
		if err != nil && name != "empty" && name != "errors" {
			t.Errorf("%s: %v", name, err)
		}
		if !ok {
			continue
		}
		for _, p := range s.points {
			if p.Bad() != "" {
				bad++
			}
		}
	}
	s, ok, err := ParseState(all["example"])
	if !ok || err != nil || s.Point("return_air_temperature_sensor").Bad() == "" || s.Point("nexus_sensor").Bad() != "" {
		t.Errorf("example: %+v, %v, %v", s, ok, err)
	}
	s, _, _ = ParseState(all["fcu"])
	if s.Point("fan_run_status").Bad() == "" || s.Point("space_temperature_sensor").Bad() != "" {
		t.Errorf("fcu: %+v", s)
	}
	if bad == 0 {
		t.Error("no fixture has a bad point")
	}
}

func FuzzUDMI(f *testing.F) {
	f.Add([]byte(`{"timestamp":"2026-03-01T12:00:00Z","points":{"p":{"present_value":1}}}`))
	f.Add([]byte(`{"timestamp":"2026-03-01T12:00:00Z","pointset":{"points":{"p":{"value_state":"failure","status":{"level":500}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseEvent(b); err == nil {
			for name := range e.points {
				if v, ok := e.Value(name); !ok || (v.Number == nil) == (v.Err == nil) {
					t.Fatalf("%q: %+v", name, v)
				}
			}
		}
		if s, ok, err := ParseState(b); ok && (err != nil || s.at.IsZero()) {
			t.Fatalf("%+v, %v", s, err)
		}
		_, _ = Units(b)
	})
}
