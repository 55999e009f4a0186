package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// EmissionsResult is the property of a process step that holds the figures
// which the process made, exactly as they are served: a list of objects with
// type, from, to, takenAt, value and unitCode, all text, in the order of the
// answer. It is ours, not the scheme's.
const EmissionsResult = "perseus-edge:result"

// Entry is a month in the "data" of an emissions answer. A client reads the
// answer into it.
type Entry struct {
	Type      string    `json:"type"` // electricity or gas
	From      time.Time `json:"from"` // inclusive
	To        time.Time `json:"to"`   // exclusive
	TakenAt   time.Time `json:"takenAt"`
	Emissions Amount    `json:"emissions"`
}

// Amount is a quantity as the scheme's APIs write it.
type Amount struct {
	Value    json.Number `json:"value"`
	UnitCode string      `json:"unitCode"` // UN/CEFACT: KGM is the kilogram
}

// signedEntry is an Entry as a process step has it. The value is text: readers
// of JSON turn numbers into floats.
type signedEntry struct {
	Type     string `json:"type"`
	From     string `json:"from"`
	To       string `json:"to"`
	TakenAt  string `json:"takenAt"`
	Value    string `json:"value"`
	UnitCode string `json:"unitCode"`
}

// SignedEmissions is data as the property EmissionsResult of a process step:
// put it into Process.Extra.
func SignedEmissions(data []Entry) any {
	out := make([]signedEntry, len(data))
	for i, e := range data {
		out[i] = signedEntry{e.Type, stamp(e.From), stamp(e.To), stamp(e.TakenAt), e.Emissions.Value.String(), e.Emissions.UnitCode}
	}
	return out
}

// CheckEmissions checks that the figures of an emissions answer are those in
// its verified record: that each has the value, the unit and the time that the
// process steps say, and that none is missing, added or there twice. The order
// does not matter, nor do zeros at a value's end. The error names every entry
// that is wrong.
//
// A record without figures fails, and so does one in which several
// applications signed some: whose they are would not be clear. Whether the one
// who signed may calculate emissions is the caller's to judge (VerifiedStep's
// Signed), and so is whether the record is of the business that was asked for:
// any two good answers of one relay are signed alike.
func CheckEmissions(steps []VerifiedStep, data []Entry) error {
	signed, err := signedFigures(steps)
	if err != nil {
		return err
	}
	var wrong []error
	bad := func(span, format string, a ...any) {
		wrong = append(wrong, fmt.Errorf("provenance: emissions of %s: %s", span, fmt.Sprintf(format, a...)))
	}
	served := map[string]bool{}
	for _, e := range data {
		span := spanOf(e)
		s, ok := signed[span]
		switch {
		case served[span]:
			bad(span, "twice in the answer")
		case !ok:
			bad(span, "not in the signed record")
		case decimal(e.Emissions.Value) != decimal(s.Emissions.Value) || e.Emissions.UnitCode != s.Emissions.UnitCode:
			bad(span, "the answer says %s %s, signed is %s %s", e.Emissions.Value, e.Emissions.UnitCode, s.Emissions.Value, s.Emissions.UnitCode)
		case !e.TakenAt.Equal(s.TakenAt):
			bad(span, "the answer says taken at %s, signed is %s", stamp(e.TakenAt), stamp(s.TakenAt))
		}
		served[span] = true
	}
	for _, span := range slices.Sorted(maps.Keys(signed)) {
		if !served[span] {
			bad(span, "signed, and not in the answer")
		}
	}
	return errors.Join(wrong...)
}

// signedFigures gathers the figures of all process steps, by what they are of.
func signedFigures(steps []VerifiedStep) (map[string]Entry, error) {
	out := map[string]Entry{}
	signer := ""
	for _, s := range steps {
		result, ok := s.Body[EmissionsResult]
		if !ok || s.Type != "process" {
			continue
		}
		if signer != "" && signer != s.Signed.Application {
			return nil, fmt.Errorf("provenance: figures are signed by %s and by %s", signer, s.Signed.Application)
		}
		signer = s.Signed.Application
		list, ok := result.([]any)
		if !ok {
			return nil, fmt.Errorf("provenance: process %s: %s is not a list", s.ID, EmissionsResult)
		}
		for i, item := range list {
			e, err := signedFigure(item)
			if err != nil {
				return nil, fmt.Errorf("provenance: process %s: %s[%d]: %w", s.ID, EmissionsResult, i, err)
			}
			if _, ok := out[spanOf(e)]; ok {
				return nil, fmt.Errorf("provenance: process %s: %s[%d]: %s is signed twice", s.ID, EmissionsResult, i, spanOf(e))
			}
			out[spanOf(e)] = e
		}
	}
	if len(out) == 0 {
		return nil, errors.New("provenance: the record has no emissions: no process step has a " + EmissionsResult)
	}
	return out, nil
}

// signedFigure reads one figure, strictly: six properties, all text.
func signedFigure(item any) (e Entry, err error) {
	m, _ := item.(map[string]any)
	text := func(name string) string {
		s, ok := m[name].(string)
		if !ok || s == "" {
			err = errors.Join(err, fmt.Errorf("%s is missing or no text", name))
		}
		return s
	}
	at := func(name string) time.Time {
		t, bad := parseTime(text(name))
		err = errors.Join(err, bad)
		return t
	}
	e = Entry{text("type"), at("from"), at("to"), at("takenAt"), Amount{json.Number(text("value")), text("unitCode")}}
	if err == nil && len(m) != 6 {
		err = errors.New("has properties that are not known")
	}
	return e, err
}

// spanOf says what a figure is of. Fractions of a second, which stamp leaves
// out, make another time.
func spanOf(e Entry) string {
	return fmt.Sprintf("%q from %s to %s", e.Type, e.From.UTC().Format(time.RFC3339Nano), e.To.UTC().Format(time.RFC3339Nano))
}

// decimal is a number as text without zeros at its end that mean nothing.
func decimal(n json.Number) string {
	s := n.String()
	if strings.Contains(s, ".") && !strings.ContainsAny(s, "eE") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
