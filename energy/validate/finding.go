package validate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/energy"
)

// MaxFinding is the most that a finding takes up as JSON, in bytes: four texts
// of maxText, each character of which may need a backslash, and the rest.
const MaxFinding = 2048

// maxText bounds each text of a finding, in bytes: names and words of a
// source may be of any length.
const maxText = 200

// Finding is what a rule found out about a register.
type Finding struct {
	Rule     int // n of Vn
	Severity Severity
	energy.Key
	From, To time.Time // what it speaks of, UTC; equal for a single instant
	Found    string    // what there is, in the measure's own unit
	Expected string    // what the rule would accept
	Note     string    // what it may mean, or what was done; may be empty
	Count    int       // how many times it stands for; at least 1
}

// ID is the rule's identifier, e.g. "V05".
func (f Finding) ID() string { return fmt.Sprintf("V%02d", f.Rule) }

// String gives the finding in one line, for logs.
func (f Finding) String() string {
	r, _ := RuleOf(f.Rule)
	s := fmt.Sprintf("%s %s %s: %s: %s, expected %s", f.ID(), f.Severity, f.Key, r.Title, f.Found, f.Expected)
	if f.Count > 1 {
		s += fmt.Sprintf(" (%d times)", f.Count)
	}
	if f.Note != "" {
		s += "; " + f.Note
	}
	return s
}

// wire is a finding as JSON. The fields stand in the order of their names, so
// that with no white space between them the JSON is canonical.
type wire struct {
	Count    int            `json:"count"`
	Expected string         `json:"expected"`
	Found    string         `json:"found"`
	From     time.Time      `json:"from"`
	Measure  energy.Measure `json:"measure"`
	Meter    string         `json:"meter"`
	Note     string         `json:"note,omitempty"`
	Rule     string         `json:"rule"`
	Severity Severity       `json:"severity"`
	To       time.Time      `json:"to"`
}

// MarshalJSON gives the canonical form. It fails where the finding is not complete.
func (f Finding) MarshalJSON() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(wire{
		Count: f.Count, Expected: short(f.Expected), Found: short(f.Found), From: f.From.UTC(), Measure: f.Measure, Meter: f.Meter,
		Note: short(f.Note), Rule: f.ID(), Severity: f.Severity, To: f.To.UTC(),
	})
	if err != nil {
		return nil, fmt.Errorf("finding: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// UnmarshalJSON reads a finding; an unknown field is an error.
func (f *Finding) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	var w wire
	if err := d.Decode(&w); err != nil {
		return fmt.Errorf("finding: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("finding: something follows it")
	}
	n, err := ParseRule(w.Rule)
	if err != nil {
		return fmt.Errorf("finding: %w", err)
	}
	got := Finding{
		Rule: n, Severity: w.Severity, Key: energy.Key{Meter: w.Meter, Measure: w.Measure},
		From: w.From.UTC(), To: w.To.UTC(), Found: w.Found, Expected: w.Expected, Note: w.Note, Count: w.Count,
	}
	if err := got.check(); err != nil {
		return err
	}
	*f = got
	return nil
}

// Keyed gives the finding as it is stored. The instant is the one it starts at.
func (f Finding) Keyed() (energy.KeyedFinding, error) {
	body, err := f.MarshalJSON()
	if err != nil {
		return energy.KeyedFinding{}, err
	}
	return energy.KeyedFinding{Key: f.Key, At: f.From.UTC(), Rule: uint8(f.Rule), Body: body}, nil
}

// ParseFinding reads a finding. Anything but its canonical form is an error.
func ParseFinding(raw []byte) (Finding, error) {
	if len(raw) > MaxFinding {
		return Finding{}, fmt.Errorf("finding is %d bytes long: at most %d are taken", len(raw), MaxFinding)
	}
	var f Finding
	if err := f.UnmarshalJSON(raw); err != nil {
		return Finding{}, err
	}
	if again, err := f.MarshalJSON(); err != nil || !bytes.Equal(again, raw) {
		return Finding{}, errors.New("finding is not in its canonical form (keys in order, no white space, times in UTC)")
	}
	return f, nil
}

func (f Finding) check() error {
	switch {
	case f.Rule < 1 || f.Rule > Count:
		return fmt.Errorf("finding: there is no rule V%02d", f.Rule)
	case f.Severity < Info || f.Severity > Error:
		return fmt.Errorf("finding %s: %v is no severity", f.ID(), f.Severity)
	case f.Meter == "" || short(f.Meter) != f.Meter || !f.Measure.Valid():
		return fmt.Errorf("finding %s: meter (1 to %d bytes of plain text) and measure must be given", f.ID(), maxText)
	case f.Count < 1:
		return fmt.Errorf("finding %s: it stands for %d occurrences", f.ID(), f.Count)
	case f.From.IsZero() || f.To.Before(f.From):
		return fmt.Errorf("finding %s: it ends before it starts, or has no time", f.ID())
	}
	return nil
}

// short makes a text fit to be kept: at most maxText bytes of valid UTF-8,
// cut at a character, without control characters.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= maxText {
		return s
	}
	n := maxText - len("...")
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// control reports characters that JSON writes in six bytes, and that no word
// of a finding needs.
func control(r rune) bool { return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 }
