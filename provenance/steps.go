package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Step is one of Permission, Origin, Transfer, Receipt, Process and Other. A
// step whose At is zero gets the time of its signature.
type Step interface {
	step() (kind string, at time.Time, body any)
}

// Permission states that the account holder gave permission, and where the
// evidence is to be found. Other steps refer to it.
type Permission struct {
	At      time.Time // when it was granted
	Scheme  string
	Account string    // opaque to all but who provided the data; never an OAuth token
	Allows  Allows    //
	Expires time.Time // when it ends
}

// Allows is what a permission suffices for.
type Allows struct {
	Licenses  []string `json:"licenses,omitempty"`  // licence URLs
	Processes []string `json:"processes,omitempty"` // process URLs
}

// Origin says where data came from.
type Origin struct {
	At            time.Time
	Scheme        string
	SourceType    string         // registry URL of the kind of source
	Origin        string         // URL that describes the source
	OriginLicense string         // licence of the source's data, where one applies
	External      bool           // true: made by someone outside the trust framework
	Permissions   []string       // identifiers of permission steps relied upon
	Details       *Details       // perseus:scheme
	Assurance     *Assurance     // perseus:assurance
	Extra         map[string]any // further properties, with a prefix of their own such as "perseus-edge:batches"
}

// Details is the scheme's own part of an origin ("perseus:scheme").
type Details struct {
	MeteringPeriod *Period `json:"meteringPeriod,omitempty"`
	Postcode       string  `json:"postcode,omitempty"` // the outcode
}

// Period is a span of time, From inclusive and To exclusive, UTC.
type Period struct{ From, To time.Time }

// MarshalJSON writes {"from":"..Z","to":"..Z"}.
func (p Period) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		From string `json:"from"`
		To   string `json:"to"`
	}{stamp(p.From), stamp(p.To)})
}

// Assurance is the scheme's assurance metadata ("perseus:assurance"): terms of
// the registry's vocabularies, as URLs.
type Assurance struct {
	MissingData         string `json:"missingData,omitempty"`
	OriginMethod        string `json:"originMethod,omitempty"`
	OriginMethodDerived string `json:"originMethodDerived,omitempty"`
}

// Transfer says that the signer gave the data of an earlier step to another
// participant.
type Transfer struct {
	At          time.Time
	Scheme      string
	Of          string            // identifier of an origin, process or receipt step
	To          string            // URL of who received it
	Standard    string            // URL of the API's standard
	License     string            // URL of the licence that governs the use
	Service     string            // URL of the API
	Path        string            // path within the API
	Parameters  map[string]string // of the call, without personal data
	Permissions []string          // identifiers of permission steps relied upon
}

// Receipt says that the signer received what a transfer step says.
type Receipt struct {
	At       time.Time
	Scheme   string
	Transfer string // identifier of the transfer step
}

// Process says what the signer did with the data of earlier steps.
type Process struct {
	At          time.Time
	Scheme      string
	Inputs      []string // identifiers of origin, receipt and process steps
	Process     string   // registry URL of the process
	Permissions []string // identifiers of permission steps relied upon
	Assurance   *Assurance
	Extra       map[string]any // as in Origin
}

// Other is a step by its JSON properties, for what the types above lack. It
// needs "type"; "id" is not allowed, nor is a name that begins with "_".
type Other map[string]any

func (p Permission) step() (string, time.Time, any) {
	return "permission", p.At, struct {
		Scheme  string `json:"scheme,omitempty"`
		Account string `json:"account"`
		Allows  Allows `json:"allows"`
		Expires string `json:"expires"`
	}{p.Scheme, p.Account, p.Allows, stamp(p.Expires)}
}

func (o Origin) step() (string, time.Time, any) {
	return "origin", o.At, with{struct {
		Scheme        string     `json:"scheme,omitempty"`
		SourceType    string     `json:"sourceType"`
		Origin        string     `json:"origin"`
		OriginLicense string     `json:"originLicense,omitempty"`
		External      bool       `json:"external"`
		Permissions   []string   `json:"permissions,omitempty"`
		Details       *Details   `json:"perseus:scheme,omitempty"`
		Assurance     *Assurance `json:"perseus:assurance,omitempty"`
	}{o.Scheme, o.SourceType, o.Origin, o.OriginLicense, o.External, o.Permissions, o.Details, o.Assurance}, o.Extra}
}

func (t Transfer) step() (string, time.Time, any) {
	return "transfer", t.At, struct {
		Scheme      string            `json:"scheme,omitempty"`
		Of          string            `json:"of"`
		To          string            `json:"to"`
		Standard    string            `json:"standard"`
		License     string            `json:"license"`
		Service     string            `json:"service"`
		Path        string            `json:"path"`
		Parameters  map[string]string `json:"parameters,omitempty"`
		Permissions []string          `json:"permissions,omitempty"`
	}{t.Scheme, t.Of, t.To, t.Standard, t.License, t.Service, t.Path, t.Parameters, t.Permissions}
}

func (r Receipt) step() (string, time.Time, any) {
	return "receipt", r.At, struct {
		Scheme   string `json:"scheme,omitempty"`
		Transfer string `json:"transfer"`
	}{r.Scheme, r.Transfer}
}

func (p Process) step() (string, time.Time, any) {
	return "process", p.At, with{struct {
		Scheme      string     `json:"scheme,omitempty"`
		Inputs      []string   `json:"inputs"`
		Process     string     `json:"process,omitempty"`
		Permissions []string   `json:"permissions,omitempty"`
		Assurance   *Assurance `json:"perseus:assurance,omitempty"`
	}{p.Scheme, p.Inputs, p.Process, p.Permissions, p.Assurance}, p.Extra}
}

func (o Other) step() (string, time.Time, any) {
	kind, _ := o["type"].(string)
	var at time.Time
	if s, ok := o["timestamp"].(string); ok {
		at, _ = parseTime(s)
	}
	return kind, at, map[string]any(o)
}

// with is a body with further properties.
type with struct {
	body  any
	extra map[string]any
}

// encodeStep writes a step as compact JSON: identifier, type and time first,
// then its own properties.
func encodeStep(id string, s Step, now time.Time) ([]byte, error) {
	if s == nil {
		return nil, errors.New("the step is nil")
	}
	kind, at, body := s.step()
	if kind == "" {
		return nil, errors.New("the step has no type")
	}
	if at.IsZero() {
		at = now
	}
	var extra map[string]any
	if w, ok := body.(with); ok {
		body, extra = w.body, w.extra
		for _, k := range slices.Sorted(maps.Keys(extra)) {
			if !strings.Contains(k, ":") {
				return nil, fmt.Errorf("property %q needs a prefix, such as %q", k, "perseus-edge:"+k)
			}
		}
	}
	if m, ok := body.(map[string]any); ok {
		extra, body = maps.Clone(m), struct{}{}
		delete(extra, "type")
		if _, ok := extra["id"]; ok {
			return nil, errors.New("a step may not bring its own id: Add gives it one")
		}
		if t, ok := extra["timestamp"]; ok {
			s, _ := t.(string)
			if _, err := parseTime(s); err != nil {
				return nil, err
			}
			delete(extra, "timestamp")
		}
	}
	head := struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
	}{id, kind, stamp(at)}
	seen := map[string]bool{}
	out := []byte{'{'}
	parts := []any{head, body}
	if len(extra) > 0 {
		parts = append(parts, extra)
	}
	for _, part := range parts {
		b, err := compact(part)
		if err != nil {
			return nil, err
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, err
		}
		for k := range m {
			if strings.HasPrefix(k, "_") {
				return nil, fmt.Errorf("property %q: names that begin with _ are reserved", k)
			}
			if seen[k] {
				return nil, fmt.Errorf("property %q is there twice", k)
			}
			seen[k] = true
		}
		if len(m) == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, b[1:len(b)-1]...)
	}
	return append(out, '}'), nil
}

// compact marshals without spaces and without escaping &, < and >.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// parseTime reads a time as records have it: ISO 8601 with Z. Minutes alone
// ("2026-01-01T00:00Z") are in use for periods.
func parseTime(s string) (time.Time, error) {
	if strings.HasSuffix(s, "Z") {
		for _, l := range []string{time.RFC3339Nano, "2006-01-02T15:04Z"} {
			if t, err := time.Parse(l, s); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("time %q is not of the form 2026-03-12T10:00:00Z", s)
}
