// Package udmi reads the pointset messages of Google's Universal Device
// Management Interface (faucetsdn/udmi, schema 1.5): the values come in
// events, what is wrong with them in state messages, their units in the
// model's metadata. It is pure: bytes in, values out.
package udmi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// Limit bounds a message.
const Limit = 1 << 20

var errLong = errors.New("the message is too long")

// Event is one pointset event. There is one time in it for all its points.
type Event struct {
	At      time.Time // when it was made, UTC; zero where it does not say, which the schema forbids
	Partial bool      // points that are not in it are as they were
	points  map[string]json.RawMessage
}

// ParseEvent reads an events/pointset message. What is wrong with one point is
// told when that one is asked for.
func ParseEvent(b []byte) (Event, error) {
	var m struct {
		Timestamp *string                    `json:"timestamp"`
		Partial   bool                       `json:"partial_update"`
		Points    map[string]json.RawMessage `json:"points"`
	}
	if err := decode(b, &m); err != nil {
		return Event{}, fmt.Errorf("pointset event: %w", err)
	}
	if m.Points == nil {
		return Event{}, errors.New("pointset event: it has no points")
	}
	e := Event{Partial: m.Partial, points: m.Points}
	if m.Timestamp != nil {
		at, err := timestamp(*m.Timestamp)
		if err != nil {
			return Event{}, fmt.Errorf("pointset event: %w", err)
		}
		e.At = at
	}
	return e, nil
}

// Points counts the points of the event.
func (e Event) Points() int { return len(e.points) }

// Value is what the event says of a point; ok is false where it is not in it.
// The schema asks for JSON numbers: a number in quotes is refused.
func (e Event) Value(point string) (v value.Value, ok bool) {
	raw, ok := e.points[point]
	if !ok {
		return v, false
	}
	v.At = e.At
	var p map[string]json.RawMessage
	if err := json.Unmarshal(raw, &p); err != nil || p == nil {
		v.Err = refuse(point, "it is not an object with a present_value")
		return v, true
	}
	present, ok := p["present_value"]
	if !ok {
		v.Err = refuse(point, "present_value is missing")
		return v, true
	}
	var any any
	if err := decode(present, &any); err != nil {
		v.Err = refuse(point, "%w", err)
		return v, true
	}
	if s, quoted := any.(string); quoted && !value.Nothing(s) {
		v.Err = refuse(point, "present_value is a text: UDMI numbers are JSON numbers, without quotes")
		return v, true
	}
	v.Number, v.Unit, v.Err = value.Of(any)
	return v, true
}

func refuse(point, format string, args ...any) error {
	return value.Refused(drivers.Protocol, "read point "+point, format, args...)
}

// decode reads one JSON document, keeping numbers as they are written.
func decode(b []byte, into any) error {
	if len(b) > Limit {
		return errLong
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("not JSON as expected: %w", err)
	}
	if d.More() {
		return errors.New("there is more after the JSON document")
	}
	return nil
}

func timestamp(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("timestamp %.40q is not RFC 3339", s)
	}
	return t.UTC(), nil
}
