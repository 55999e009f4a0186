package udmi

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// State is what a device says is wrong with its points. The zero State says
// nothing.
type State struct {
	at     time.Time
	points map[string]Point
}

// Point is the state of one point.
type Point struct {
	ValueState string // initializing, applied, updating, overridden, invalid, failure, or ""
	Level      int    // of its status, as Google's logging has them: 500 and above are errors
	Message    string
}

// Bad says why a point's value is not a measurement, or "". A warning (below
// 500) does not make a value bad, nor does the writing of a set point
// (applied, updating).
func (p Point) Bad() string {
	const severe = 500
	switch p.ValueState {
	case "failure", "invalid", "overridden", "initializing":
		if p.Message != "" {
			return p.ValueState + ": " + p.Message
		}
		return p.ValueState
	}
	if p.Level >= severe {
		return fmt.Sprintf("level %d: %s", p.Level, p.Message)
	}
	return ""
}

// ParseState reads a state message; ok is false where it does not speak of
// points, and then takes nothing back of what was said of them before.
func ParseState(b []byte) (s State, ok bool, err error) {
	var m struct {
		Timestamp *string `json:"timestamp"`
		Pointset  *struct {
			Points map[string]json.RawMessage `json:"points"`
		} `json:"pointset"`
	}
	if err := decode(b, &m); err != nil {
		return s, false, fmt.Errorf("state: %w", err)
	}
	if m.Timestamp == nil {
		return s, false, errors.New("state: timestamp is missing")
	}
	if s.at, err = timestamp(*m.Timestamp); err != nil {
		return s, false, fmt.Errorf("state: %w", err)
	}
	if m.Pointset == nil {
		return s, false, nil
	}
	s.points = make(map[string]Point, len(m.Pointset.Points))
	for name, raw := range m.Pointset.Points {
		var p struct {
			ValueState string `json:"value_state"`
			Status     struct {
				Message string      `json:"message"`
				Level   json.Number `json:"level"`
			} `json:"status"`
		}
		if err := decode(raw, &p); err != nil {
			// What is said of it cannot be understood, and so not be taken for good.
			s.points[name] = Point{ValueState: "invalid", Message: "its state cannot be read"}
			continue
		}
		level, _ := p.Status.Level.Int64()
		s.points[name] = Point{ValueState: p.ValueState, Level: int(level), Message: p.Status.Message}
	}
	return s, true, nil
}

// Later returns whichever of two states is the newer one. Retained and
// repeated messages come out of order.
func (s State) Later(o State) State {
	if o.at.Before(s.at) {
		return s
	}
	return o
}

// Point is what the state says of a point; the zero Point where nothing.
func (s State) Point(name string) Point { return s.points[name] }
