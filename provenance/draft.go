package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Draft is a record that is not signed yet, as a file has it: records to
// include and steps to add. A step is what the scheme says it is, without "id";
// "label" gives it a name for the steps after it, which refer to it as "#name"
// wherever an identifier stands.
type Draft struct {
	TrustFramework string            `json:"ib1:provenance"`
	Include        []json.RawMessage `json:"include,omitempty"`
	Steps          []map[string]any  `json:"steps"`
}

// references lists the properties that hold identifiers of steps.
var referring = []string{"of", "transfer", "inputs", "permissions"}

// ParseDraft reads and checks a draft.
func ParseDraft(raw []byte) (*Draft, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("provenance: the draft has %d bytes: at most %d", len(raw), MaxSize)
	}
	var d Draft
	if err := strictJSON(raw, &d); err != nil {
		return nil, fmt.Errorf("provenance: not a draft: %w", err)
	}
	if d.TrustFramework == "" {
		return nil, fmt.Errorf(`provenance: not a draft: "ib1:provenance" (the URL of the trust framework) is missing`)
	}
	_, err := d.Record()
	return &d, err
}

// Record makes the record, ready for Sign.
func (d *Draft) Record() (*Record, error) {
	r := New(d.TrustFramework)
	for i, raw := range d.Include {
		in, err := Parse(d.TrustFramework, raw)
		if err != nil {
			return nil, fmt.Errorf("provenance: record %d to include: %w", i+1, err)
		}
		r.Include(in)
	}
	labels := map[string]string{}
	for i, s := range d.Steps {
		step, label := Other{}, ""
		for k, v := range s {
			switch {
			case k == "label":
				text, ok := v.(string)
				if !ok || text == "" || labels[text] != "" {
					return nil, fmt.Errorf("provenance: step %d: label %v: give each a text of its own", i+1, v)
				}
				label = text
			case slices.Contains(referring, k):
				named, err := resolve(v, labels)
				if err != nil {
					return nil, fmt.Errorf("provenance: step %d: %s: %w", i+1, k, err)
				}
				step[k] = named
			default:
				step[k] = v
			}
		}
		if _, err := encodeStep("x", step, timeZero); err != nil {
			return nil, fmt.Errorf("provenance: step %d: %w", i+1, err)
		}
		id := r.Add(step)
		if label != "" {
			labels[label] = id
		}
	}
	if r.err == nil && len(r.pending) == 0 {
		return nil, fmt.Errorf("provenance: the draft has neither steps nor records to include")
	}
	return r, r.err
}

// resolve puts identifiers in the place of labels.
func resolve(v any, labels map[string]string) (any, error) {
	switch v := v.(type) {
	case string:
		name, ok := strings.CutPrefix(v, "#")
		if !ok {
			return v, nil
		}
		if labels[name] == "" {
			return nil, fmt.Errorf("no step before it has the label %q", name)
		}
		return labels[name], nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = resolve(x, labels); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// Merge takes several signed records of one trust framework into one, which is
// to be signed by whoever merges them. A record that is there twice is taken
// once.
func Merge(records ...*Record) (*Record, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("provenance: no records to merge")
	}
	out := New(records[0].trustFramework)
	seen := map[string]bool{}
	for _, r := range records {
		if r.signed != nil && seen[r.signed.sig.value] {
			continue
		}
		out.Include(r)
		if out.err != nil {
			return nil, out.err
		}
		seen[r.signed.sig.value] = true
	}
	return out, nil
}
