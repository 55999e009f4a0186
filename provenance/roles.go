package provenance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// Roles of the scheme, as the last part of a role URL.
const (
	roleEDP = "energy-data-provider"
	roleCAP = "carbon-accounting-provider"
	roleFSP = "financial-service-provider"
)

// CheckScheme checks what the steps say against who signed them, under a scheme
// named by its URL ({registry}/scheme/perseus):
//
//   - a step is signed by a member with a role that may: readings and their
//     transfer by an energy data provider, receipts of them and calculations by a
//     carbon accounting provider, and so on;
//   - nothing happened after it was signed;
//   - a receipt is signed by the application that the transfer was to;
//   - what relies on a permission happened between its grant and its end, and
//     under a licence that it allows;
//   - a statement of half-hours is signed by the gateway that it is of, which is
//     the one that the origin names.
//
// It returns all that is wrong, nil when nothing is.
func CheckScheme(steps []VerifiedStep, scheme string) []error {
	byID := map[string]VerifiedStep{}
	for _, s := range steps {
		byID[s.ID] = s
	}
	var out []error
	for _, s := range steps {
		bad := func(format string, a ...any) {
			out = append(out, fmt.Errorf("provenance: %s %s, signed by %s: "+format, append([]any{s.Type, s.ID, s.Signed.Application}, a...)...))
		}
		if roles := s.signers(scheme, byID); len(roles) > 0 && !slices.ContainsFunc(roles, func(r string) bool { return s.Signed.HasRole(scheme + "/role/" + r) }) {
			bad("the signer's certificate does not carry the role %s", strings.Join(roles, " or "))
		}
		if in := s.text("scheme"); in != "" && in != scheme {
			bad("it is of the scheme %q", in)
		}
		if s.At.After(s.Signed.At.Add(Skew)) {
			bad("it says that it happened at %s, after it was signed at %s", stamp(s.At), stamp(s.Signed.At))
		}
		switch s.Type {
		case "receipt":
			if t, ok := byID[s.text("transfer")]; ok && t.text("to") != s.Signed.Application {
				bad("what it received was given to %q", t.text("to"))
			}
		case month.StepType:
			if s.text("gateway") != s.Signed.Application {
				bad("it is of the gateway %q", s.text("gateway"))
			}
		}
		if s.Type == "permission" {
			continue
		}
		for _, id := range s.list("permissions") {
			p, ok := byID[id]
			if !ok || p.Type != "permission" {
				continue // References says so
			}
			if err := p.allows(s); err != nil {
				bad("%v", err)
			}
		}
	}
	return out
}

// signers lists the roles of which a step's signer needs one; none where any
// member may sign.
func (s VerifiedStep) signers(scheme string, byID map[string]VerifiedStep) []string {
	switch s.Type {
	case "permission":
		return []string{roleEDP, roleCAP}
	case "origin":
		if s.text("sourceType") == scheme+"/source-type/Meter" {
			return []string{roleEDP}
		}
		return []string{roleEDP, roleCAP}
	case "transfer":
		if of, ok := byID[s.text("of")]; ok && of.Type == "origin" {
			return []string{roleEDP}
		}
		return []string{roleCAP}
	case "receipt":
		return []string{roleCAP, roleFSP}
	case "process":
		return []string{roleCAP}
	}
	return nil
}

// allows says why a permission does not suffice for a step that relies on it.
func (p VerifiedStep) allows(s VerifiedStep) error {
	if s.At.Add(Skew).Before(p.At) {
		return fmt.Errorf("it happened at %s, before its permission was granted at %s", stamp(s.At), stamp(p.At))
	}
	if end, err := parseTime(p.text("expires")); err == nil && !s.At.Before(end.Add(Skew)) {
		return fmt.Errorf("it happened at %s, after its permission ended at %s", stamp(s.At), stamp(end))
	}
	allowed, _ := p.Body["allows"].(map[string]any)
	for _, c := range []struct{ what, value string }{{"licenses", s.text("license")}, {"processes", s.text("process")}} {
		if list := texts(allowed[c.what]); c.value != "" && len(list) > 0 && !slices.Contains(list, c.value) {
			return fmt.Errorf("its permission allows the %s %s, not %s", c.what, strings.Join(list, ", "), c.value)
		}
	}
	return nil
}

// text is a property that is text, "" where it is none.
func (s VerifiedStep) text(name string) string { v, _ := s.Body[name].(string); return v }

// list is a property that is a list of texts, or one text.
func (s VerifiedStep) list(name string) []string { return texts(s.Body[name]) }

func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			if t, ok := x.(string); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

// period reads {"from","to"} of a step's property.
func period(v any) (from, to time.Time, ok bool) {
	m, _ := v.(map[string]any)
	a, _ := m["from"].(string)
	b, _ := m["to"].(string)
	from, err1 := parseTime(a)
	to, err2 := parseTime(b)
	return from, to, err1 == nil && err2 == nil
}
