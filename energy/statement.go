package energy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// StatementKind says what a statement of baseline states.
type StatementKind string

// The kinds of statement (feeds.md 3.5).
const (
	OpeningStatement      StatementKind = "opening"       // the first reading: what every later one is counted from
	ClosingStatement      StatementKind = "closing"       // the last reading of a register that is read no more
	ExchangeStatement     StatementKind = "exchange"      // another meter: the old one's last and the new one's first reading
	ResetStatement        StatementKind = "reset"         // the register went on from another value, for a reason not known
	RolloverStatement     StatementKind = "rollover"      // the register wrapped at its modulus
	ConfigChangeStatement StatementKind = "config-change" // the same register, read in another way
)

// MaxStatement is the most that a statement may take up as JSON, in bytes.
const MaxStatement = 4096

// Statement is a statement of baseline: the readings from which the energy of
// a register is counted, so that a third party can redo the sum. What is not
// known is left out.
//
// The fields stand in the order of their JSON names: with no white space
// between them that makes the JSON canonical.
type Statement struct {
	Agent    string        `json:"agent,omitempty"`    // name and version of the program that read
	Closing  *Reading      `json:"closing,omitempty"`  // the last reading before the break
	Config   string        `json:"config,omitempty"`   // SHA-256 of the configuration it was read with, hex
	CT       string        `json:"ct,omitempty"`       // current transformer ratio that was applied, e.g. "200/5"
	Measure  Measure       `json:"measure"`            //
	Meter    string        `json:"meter"`              //
	Modulus  int64         `json:"modulus,omitempty"`  // base units
	Opening  *Reading      `json:"opening,omitempty"`  // the first reading after the break
	Previous string        `json:"previous,omitempty"` // SHA-256 of the register's statement before this one, hex
	Register string        `json:"register,omitempty"` // where it is read, e.g. "modbus unit 1 input 0x0048 float32 ABCD"
	Rules    []string      `json:"rules,omitempty"`    // identifiers of the validation rules that spoke (feeds.md 3.4)
	Serial   string        `json:"serial,omitempty"`   // the meter's serial number
	Kind     StatementKind `json:"statement"`          //
	Unit     string        `json:"unit"`               // of every amount here: the measure's base unit
}

// Reading is one register value in a Statement.
type Reading struct {
	Raw    string    `json:"raw,omitempty"` // the bits as they came, e.g. "0x0001E240"
	ReadAt time.Time `json:"read_at"`       // UTC
	Value  int64     `json:"value"`         // base units
}

// StatementOf makes the statement that an Accumulator's event calls for:
// Opened, Reset and Rollover have one, with Statement.Kind, the readings, the
// measure and the modulus filled in; for the others ok is false.
func StatementOf(e Event, k Key, r Register) (s Statement, ok bool) {
	s = Statement{Measure: k.Measure, Meter: k.Meter, Modulus: r.Modulus, Unit: k.Measure.BaseUnit()}
	s.Opening = &Reading{ReadAt: e.At.UTC(), Value: e.After}
	if e.Before >= 0 {
		s.Closing = &Reading{ReadAt: e.BeforeAt.UTC(), Value: e.Before}
	}
	switch e.Kind {
	case Opened:
		s.Kind = OpeningStatement
	case Reset:
		s.Kind, s.Rules = ResetStatement, []string{"V03"}
	case Rollover:
		s.Kind, s.Rules = RolloverStatement, []string{"V04"}
	default:
		return Statement{}, false
	}
	return s, true
}

// At is the instant that the statement speaks of: its opening, else its closing reading.
func (s Statement) At() time.Time {
	switch {
	case s.Opening != nil:
		return s.Opening.ReadAt
	case s.Closing != nil:
		return s.Closing.ReadAt
	}
	return time.Time{}
}

// JSON gives the canonical form: keys in order, no white space, integers in
// full. The same statement always gives the same bytes. It fails where the
// statement is not complete or longer than MaxStatement.
func (s Statement) JSON() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("statement of baseline: %w", err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxStatement {
		return nil, fmt.Errorf("statement of baseline is %d bytes long: at most %d are carried", len(out), MaxStatement)
	}
	return out, nil
}

// Keyed gives the statement as it is stored and carried.
func (s Statement) Keyed() (KeyedStatement, error) {
	body, err := s.JSON()
	if err != nil {
		return KeyedStatement{}, err
	}
	return KeyedStatement{Key: Key{s.Meter, s.Measure}, At: s.At(), Body: body}, nil
}

// ParseStatement reads a statement. Anything but its canonical form is an
// error: two parties that hash it must hash the same bytes.
func ParseStatement(raw []byte) (Statement, error) {
	if len(raw) > MaxStatement {
		return Statement{}, fmt.Errorf("statement of baseline is %d bytes long: at most %d are taken", len(raw), MaxStatement)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var s Statement
	if err := d.Decode(&s); err != nil {
		return Statement{}, fmt.Errorf("statement of baseline: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Statement{}, errors.New("statement of baseline: something follows it")
	}
	again, err := s.JSON()
	if err != nil {
		return Statement{}, err
	}
	if !bytes.Equal(again, raw) {
		return Statement{}, errors.New("statement of baseline is not in its canonical form (keys in order, no white space, times in UTC)")
	}
	return s, nil
}

func (s Statement) check() error {
	for _, r := range []*Reading{s.Opening, s.Closing} {
		if r != nil && (r.Value < 0 || r.ReadAt.Location() != time.UTC) {
			return errors.New("statement of baseline: a reading is negative or its time is not UTC")
		}
	}
	switch s.Kind {
	case OpeningStatement, ClosingStatement, ExchangeStatement, ResetStatement, RolloverStatement, ConfigChangeStatement:
	default:
		return fmt.Errorf("statement of baseline: unknown kind %q", s.Kind)
	}
	switch {
	case s.Meter == "" || !s.Measure.Valid() || s.Unit != s.Measure.BaseUnit():
		return errors.New("statement of baseline: meter, measure and its base unit must be given")
	case s.Kind != ClosingStatement && s.Opening == nil:
		return fmt.Errorf("statement of baseline: %q needs an opening reading", s.Kind)
	case s.Kind == ClosingStatement && s.Closing == nil:
		return errors.New("statement of baseline: \"closing\" needs a closing reading")
	}
	return nil
}
