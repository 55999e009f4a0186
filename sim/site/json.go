package site

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
)

// anyJSON writes JSON in the shape that the configuration's paths expect.
type anyJSON struct {
	speaks
	clock, marked bool
}

// newJSON sees that each point can be played.
func newJSON(sources []*source) (*anyJSON, error) {
	f := &anyJSON{clock: true, marked: true}
	for _, s := range sources {
		for _, r := range s.all() {
			p := *r.cfg.Heard
			f.clock, f.marked = f.clock && p.Time != "", f.marked && p.Quality != ""
			for _, path := range []string{p.Each, p.Value, p.Time, p.Unit, p.Quality} {
				if _, _, err := steps(path); err != nil {
					return nil, fmt.Errorf("meter %s: %s: %w", s.meter.ID, r.cfg.Measure, err)
				}
			}
			if _, err := timeIn(p, time.Unix(0, 0)); err != nil {
				return nil, fmt.Errorf("meter %s: %s: %w", s.meter.ID, r.cfg.Measure, err)
			}
			if strings.Contains(p.Topic, "#") {
				return nil, fmt.Errorf("meter %s: %s: topic %q names no one topic, so that it cannot be played", s.meter.ID, r.cfg.Measure, p.Topic)
			}
		}
	}
	return f, nil
}

func (f *anyJSON) faults() []string { return preset{clock: f.clock, marked: f.marked}.faults() }

func (f *anyJSON) marks() bool { return f.marked }

var capture = regexp.MustCompile(`\{[a-zA-Z][a-zA-Z0-9_]*\}|\+`)

// topicOf is a topic that the point's template matches.
func topicOf(s *source, p mqtt.Point, template string) string {
	t := strings.NewReplacer("{device}", s.meter.Device, "{point}", p.Name).Replace(template)
	return capture.ReplaceAllString(t, "site")
}

func (f *anyJSON) messages(r report) (out []message) {
	var topics []string
	bodies := map[string]any{} // by topic: points of one topic come in one message
	plain := map[string][]byte{}
	for _, v := range r.values {
		p := *v.cfg.Heard
		fill := func(path string) string {
			return strings.NewReplacer("{device}", r.source.meter.Device, "{point}", p.Name).Replace(path)
		}
		base, _, _ := steps(fill(p.Each))
		topic := topicOf(r.source, p, p.Topic)
		if !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
		body := bodies[topic]
		lay := func(path string, value any) {
			way, root, _ := steps(fill(path))
			if !root {
				way = append(slices.Clone(base), way...)
			}
			body = put(body, way, value)
		}
		lay(p.Value, number(v))
		if p.Time != "" {
			t, _ := timeIn(p, r.at)
			lay(p.Time, t)
		}
		if p.Unit != "" && p.UnitTopic == "" {
			lay(p.Unit, v.unit)
		}
		if p.Quality != "" {
			good := "good"
			if len(p.Good) > 0 {
				good = p.Good[0]
			}
			lay(p.Quality, word(r.marked, "stale", good))
		}
		if p.UnitTopic != "" {
			var unit any = v.unit
			if p.Unit != "" {
				way, _, _ := steps(fill(p.Unit))
				unit = put(nil, way, v.unit)
			}
			out = append(out, message{topic: topicOf(r.source, p, p.UnitTopic), payload: document(unit), retain: true})
		}
		bodies[topic] = body
		if p.Value == "" && v.number == nil {
			plain[topic] = []byte("unavailable")
		}
	}
	for _, topic := range topics {
		payload := plain[topic]
		if payload == nil {
			payload = document(bodies[topic])
		}
		out = append(out, message{topic: topic, payload: payload})
	}
	return out
}

func (f *anyJSON) foreign(s *source) []message {
	if len(s.registers) == 0 {
		return nil
	}
	p := *s.registers[0].cfg.Heard
	return []message{{topic: topicOf(s, p, p.Topic), payload: []byte(`{"log": "the gateway was restarted"`)}}
}

// counts are the formats that count from 1970.
var counts = map[string]time.Duration{"unix": time.Second, "unix_s": time.Second, "unix_ms": time.Millisecond, "unix_us": time.Microsecond, "unix_ns": time.Nanosecond}

// directives are those of strftime, in Go's way.
var directives = strings.NewReplacer("%Y", "2006", "%y", "06", "%m", "01", "%d", "02", "%e", "_2", "%b", "Jan", "%B", "January",
	"%H", "15", "%I", "03", "%M", "04", "%S", "05", "%p", "PM", "%f", "000000", "%z", "-0700", "%Z", "MST", "%a", "Mon", "%A", "Monday", "%T", "15:04:05", "%F", "2006-01-02")

// timeIn writes a time in a point's own way; the zero time is 1970.
func timeIn(p mqtt.Point, t time.Time) (any, error) {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	layout, _, _ := strings.Cut(p.TimeFormat, "|")
	if unit, ok := counts[layout]; ok {
		return json.Number(fmt.Sprint(t.UnixNano() / int64(unit))), nil
	}
	if layout == "" || layout == "auto" || layout == "rfc3339" {
		return stamp(t), nil
	}
	zone := time.UTC
	if p.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(p.Zone); err != nil {
			return nil, err
		}
	}
	if layout = directives.Replace(layout); strings.Contains(layout, "%") {
		return nil, fmt.Errorf("time format %q cannot be played", p.TimeFormat)
	}
	return t.In(zone).Format(layout), nil
}
