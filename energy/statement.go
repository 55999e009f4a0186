package energy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
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
	ClockStatement        StatementKind = "clock"         // the clock that dates the readings was put right: closing as dated by the old one, opening by the new one
)

// IntervalTotals is the Method of a register that nobody reads: what is counted
// are the totals of half-hours that a feed gives, which begin at nothing.
const IntervalTotals = "interval-totals"

// MadeOf begins the Register of a virtual meter, which has none: what follows is
// how it is made out of others (virtual.Plan.Formula).
const MadeOf = "made of "

// Made reports whether the statement is of a virtual meter.
func (s Statement) Made() bool { return strings.HasPrefix(s.Register, MadeOf) }

// MaxStatement is the most that a statement may take up as JSON, in bytes.
const MaxStatement = 4096

// Statement is a statement of baseline: the readings from which the energy of
// a register is counted, so that a third party can redo the sum. What is not
// known is left out.
//
// The fields stand in the order of their JSON names: with no white space
// between them that makes the JSON canonical. Fields are only ever added, and
// left out where they are empty, so that an older statement keeps its bytes and
// with them its hash.
type Statement struct {
	Acquisition   *Acquisition  `json:"acquisition,omitempty"`    // how the readings were come by
	Agent         string        `json:"agent,omitempty"`          // name and version of the program that read
	CheckDigit    *bool         `json:"check_digit_ok,omitempty"` // of the MPAN or MPRN; given exactly where one of them is
	ClockSource   string        `json:"clock_source,omitempty"`   // where the time of day in read_at came from, e.g. "ntp"
	Closing       *Reading      `json:"closing,omitempty"`        // the last reading before the break
	Config        string        `json:"config,omitempty"`         // SHA-256 of the configuration it was read with, hex
	ConvertedFrom time.Time     `json:"converted_from,omitzero"`  // gas: from when on its energy is worked out by corrected, vcf and zone, UTC, where the operator stated it; else since this statement
	Corrected     bool          `json:"corrected,omitempty"`      // gas: a converter in the meter counts standard cubic metres
	CT            string        `json:"ct,omitempty"`             // current transformer ratio, e.g. "200/5"
	Factor        string        `json:"factor,omitempty"`         // identifier of the table of factors by which it, or what is derived from it, is worked out
	Gap           Gap           `json:"gap,omitempty"`            // what became of the energy between closing and opening
	Measure       Measure       `json:"measure"`                  //
	Meter         string        `json:"meter"`                    // its name in the configuration
	Method        string        `json:"method,omitempty"`         // of a derived register: "power-integral", "interval-totals"; of a virtual meter its rule: "sum", "difference", "share-area", ...
	Modulus       int64         `json:"modulus,omitempty"`        // base units
	MPAN          string        `json:"mpan,omitempty"`           // of an electricity supply, 13 digits
	MPRN          string        `json:"mprn,omitempty"`           // of a gas supply, 6 to 10 digits
	Multiplier    string        `json:"multiplier,omitempty"`     // base units are the meter's own times this, e.g. "40" or "150/7": the ratios of the transformers
	Note          string        `json:"note,omitempty"`           // a person's words, such as the job number of an exchange
	OldSerial     string        `json:"old_serial,omitempty"`     // of the meter that the closing reading is of, where it is another
	Opening       *Reading      `json:"opening,omitempty"`        // the first reading after the break
	Previous      string        `json:"previous,omitempty"`       // SHA-256 of the register's statement before this one, hex
	Primary       bool          `json:"primary_values,omitempty"` // the meter shows primary values: ct and vt are for the record, nothing was multiplied
	Register      string        `json:"register,omitempty"`       // where it is read, e.g. "modbus unit 1 input 0x0048 float32 ABCD"; of a virtual meter MadeOf and its formula
	Resolution    int64         `json:"resolution,omitempty"`     // the smallest step that the register shows, base units, rounded up
	Rules         []string      `json:"rules,omitempty"`          // identifiers of the validation rules that spoke (feeds.md 3.4)
	Serial        string        `json:"serial,omitempty"`         // the meter's serial number
	Shift         int64         `json:"shift_ms,omitempty"`       // how far the clock was put forward (back: negative), ms; where it is known
	Kind          StatementKind `json:"statement"`                //
	Unit          string        `json:"unit"`                     // of every amount here: the measure's base unit
	VCF           string        `json:"vcf,omitempty"`            // gas: the volume correction factor that its energy is worked out by, e.g. "1.02264"
	VT            string        `json:"vt,omitempty"`             // voltage transformer ratio, e.g. "11000/110"
	Zone          string        `json:"zone,omitempty"`           // gas: the local distribution zone whose calorific values it is worked out by
}

// Acquisition says how a reading was come by.
type Acquisition struct {
	Endpoint string `json:"endpoint,omitempty"`   // e.g. "tcp://10.0.0.5:502"; never with a password in it
	Latency  int64  `json:"latency_ms,omitempty"` // question to answer
	Poll     string `json:"poll,omitempty"`       // how often it is asked, e.g. "10s"
	Protocol string `json:"protocol,omitempty"`   // e.g. "modbus"
}

// Gap says what became of the energy between a statement's two readings.
type Gap string

// The gaps. A statement without one has nothing between its readings, or says
// it by its kind: a rollover is counted through, a reset is not known.
const (
	GapCounted   Gap = "counted"   // both readings are known: counted to the unit
	GapEstimated Gap = "estimated" // in half-hours that are marked so
	GapUnknown   Gap = "unknown"   // its half-hours are missing
)

// Reading is one register value in a Statement.
type Reading struct {
	ClockOffset int64     `json:"clock_offset_ms,omitempty"` // the device's clock less the gateway's, ms; 0 also where the device has no clock
	DeviceTime  time.Time `json:"device_time,omitzero"`      // the device's own time of it, UTC
	Quality     Quality   `json:"quality,omitempty"`         // of the value; left out where it was simply read
	Raw         string    `json:"raw,omitempty"`             // the bits as they came, e.g. "0x0001E240"
	ReadAt      time.Time `json:"read_at"`                   // UTC, by the gateway's clock
	Source      string    `json:"source,omitempty"`          // OperatorSource, or nothing: it was read from the meter
	Value       int64     `json:"value"`                     // base units
}

// OperatorSource marks a reading that a person stated, e.g. off the display at
// a meter exchange.
const OperatorSource = "operator"

// StatementOf makes the statement that an Accumulator's event calls for, with
// Statement.Kind, the readings, the measure and the modulus filled in. Opened,
// Reset, Rollover, Exchanged, ClockBack and Ambiguous have one; for the others
// ok is false.
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
	case Exchanged:
		s.Kind = ExchangeStatement
	case ClockBack:
		s.Kind = ClockStatement
	case Ambiguous:
		s.Kind, s.Rules = ResetStatement, []string{"V04"}
		if s.Closing != nil {
			s.Gap = GapUnknown
		}
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
