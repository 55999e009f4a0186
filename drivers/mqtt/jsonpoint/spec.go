package jsonpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/bacnet"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Limit bounds a message: more than this is not about meters.
const Limit = 1 << 20

// Spec says where a point's facts stand in a message.
type Spec struct {
	Each    Path // where the readings stand, one or an array of them; the others start there. "": the document
	Value   Path // "": the document itself is the value
	Time    Path
	Unit    Path
	Quality Path
	Fresh   Path // what must be good beside Quality: a second word of the source, such as its status
	Object  Path // the kind of BACnet object
	Clock   Clock
	Good    []string // what Quality says of a value that counts; nil: the words of the field
	Invalid []string // values that stand for no value, as they are written
	Scaled  bool     // the point has a scale of its own
	Dated   bool     // a reading without its time is refused
}

var (
	errTooLong = errors.New("the message is too long to be about a meter")
	errJSON    = errors.New("the message is not JSON")
	errText    = errors.New("the message is neither JSON nor a short text")
)

// Document reads a message: JSON, or a bare text, which becomes a string.
func Document(payload []byte) (any, error) {
	if len(payload) > Limit {
		return nil, errTooLong
	}
	payload = bytes.TrimSpace(bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf")))
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err == nil {
		if _, err := d.Token(); err == io.EOF {
			return v, nil
		}
	}
	if len(payload) > 0 && (payload[0] == '{' || payload[0] == '[') {
		return nil, errJSON
	}
	if len(payload) > 256 || !utf8.Valid(payload) {
		return nil, errText
	}
	return string(payload), nil
}

// Read gives what a document says of the point: nothing where it does not
// speak of it, several values where it holds an array of readings.
func (s *Spec) Read(document any, captures map[string]string, arrived time.Time, dst []value.Value) []value.Value {
	here := document
	if !s.Each.Empty() {
		var ok bool
		if here, ok = s.Each.Any(document, document, captures); !ok {
			return dst
		}
	}
	elements, several := here.([]any)
	if !several || s.Each.Empty() {
		return s.one(document, here, captures, arrived, dst)
	}
	for _, e := range elements {
		dst = s.one(document, e, captures, arrived, dst)
	}
	return dst
}

func (s *Spec) one(document, here any, captures map[string]string, arrived time.Time, dst []value.Value) []value.Value {
	raw, ok := here, true
	if !s.Value.Empty() {
		if raw, ok = s.Value.Scalar(document, here, captures); !ok {
			return dst
		}
	}
	var v value.Value
	raw, v.Flags = status(raw)
	if v.Number, v.Unit, v.Err = value.Of(raw); v.Err == nil {
		for _, no := range s.Invalid {
			if text(raw) == no {
				v.Number, v.Err = nil, value.Refused(drivers.Sentinel, "read value", "%s stands for no value in this source", no)
			}
		}
	}
	if t, ok := s.Time.Scalar(document, here, captures); !ok || t == nil {
		if s.Dated && v.Err == nil {
			v.Number, v.Err = nil, value.Refused(drivers.Protocol, "read time", "there is none at %q", s.Time)
		}
	} else {
		at, err := s.Clock.Time(t, arrived)
		if err != nil && v.Err == nil {
			// Whoever dates its readings has them dated: one of unknown time is of no use.
			v.Number, v.Err = nil, value.Refused(drivers.Protocol, "read time "+clip(text(t)), "%w", err)
		}
		v.At = at
	}
	if u, ok := s.Unit.Scalar(document, here, captures); ok {
		v.Unit = text(u)
	}
	if q, ok := s.Quality.Any(document, here, captures); ok && q != nil {
		v.Flags |= Quality(q, s.Good)
	}
	if q, ok := s.Fresh.Any(document, here, captures); ok && q != nil {
		v.Flags |= Quality(q, nil)
	}
	if o, ok := s.Object.Scalar(document, here, captures); ok && v.Err == nil {
		if kind, ok := bacnet.ParseObject(text(o)); ok {
			if err := kind.Register(s.Scaled); err != nil {
				v.Number, v.Err = nil, value.Refused(drivers.Protocol, "read BACnet object "+clip(text(o)), "%w", err)
			}
		}
	}
	return append(dst, v)
}

// status splits off what Niagara writes behind a value: "1234.5 kW-hr {ok} @ def".
func status(raw any) (any, energy.Flags) {
	s, ok := raw.(string)
	i := strings.Index(s, " {")
	if !ok || i < 0 {
		return raw, 0
	}
	return s[:i], Quality(s[i+1:], nil)
}

// UnitOf reads a message that holds nothing but a point's unit, or has it at the path.
func UnitOf(document any, p Path, captures map[string]string) string {
	if u, ok := p.Scalar(document, document, captures); ok {
		return text(u)
	}
	return text(document)
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
