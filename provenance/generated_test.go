package provenance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// tamper changes one thing about a record of several hands, at random. It
// gives false where the record has nothing for the change that was drawn.
func (w *world) tamper(t *testing.T, rng *rand.Rand, d *doc) (what string, ok bool) {
	lists := [][]any{}
	var gather func(l []any)
	gather = func(l []any) {
		lists = append(lists, l)
		for _, e := range l[:len(l)-1] {
			if sub, ok := e.([]any); ok {
				gather(sub)
			}
		}
	}
	gather(d.Steps)
	l := lists[rng.IntN(len(lists))]
	body, sig := l[:len(l)-1], l[len(l)-1].([]any)
	i := rng.IntN(len(body))
	_, list := body[i].([]any)
	set := func(changed []any) { // puts a list of other length in l's place
		if &l[0] == &d.Steps[0] {
			d.Steps = changed
			return
		}
		for _, other := range lists {
			for j := range other[:len(other)-1] {
				if sub, ok := other[j].([]any); ok && &sub[0] == &l[0] {
					other[j] = changed
					return
				}
			}
		}
	}
	switch n := rng.IntN(9); n {
	case 0: // two elements swapped
		j := rng.IntN(len(body))
		if fmt.Sprint(body[i]) == fmt.Sprint(body[j]) {
			return "", false
		}
		body[i], body[j] = body[j], body[i]
		return "swapped", true
	case 1:
		if len(body) < 2 {
			return "", false
		}
		set(append(slices.Clone(body[:i]), append(slices.Clone(body[i+1:]), sig)...))
		return "dropped", true
	case 2:
		set(append(slices.Clone(body[:i+1]), append([]any{body[i]}, append(slices.Clone(body[i+1:]), sig)...)...))
		return "doubled", true
	case 3: // a character of a step
		if list {
			return "", false
		}
		body[i] = edit(t, body[i], func(m map[string]any) { m["x:changed"] = 1 })
		return "edited", true
	case 4: // a signature of another list
		other := lists[rng.IntN(len(lists))]
		from := other[len(other)-1].([]any)
		if fmt.Sprint(from) == fmt.Sprint(sig) {
			return "", false
		}
		l[len(l)-1] = from
		return "signature moved", true
	case 5: // signed again by somebody else, under the first one's name
		by := w.leaves[rng.IntN(3)]
		if by.Cert().SerialNumber.String() == sig[1].(string) {
			return "", false
		}
		forged := sign(t, body, by.Key, sig[1].(string), sig[2].(string), false)
		l[len(l)-1] = forged[len(forged)-1]
		return "signed with another key", true
	case 6: // another time
		at, _ := time.Parse(time.RFC3339, sig[2].(string))
		sig[2] = at.Add(time.Second).Format(time.RFC3339)
		return "time", true
	case 7: // an inner list taken out of its hand
		if !list {
			return "", false
		}
		inner := body[i].([]any)
		set(append(slices.Clone(body[:i]), append(slices.Clone(inner[:len(inner)-1]), append(slices.Clone(body[i+1:]), sig)...)...))
		return "unwrapped", true
	default:
		if list {
			return "", false
		}
		body[i] = []any{body[i], sig} // wrapped in a hand of its own
		return "wrapped", true
	}
}

// Every one of thousands of records, changed in one thing, is refused; before
// the change it was good.
func TestEveryTamperingIsCaught(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(21, 22))
	v := w.verifier()
	v.Now = func() time.Time { return start }
	seen := map[string]int{}
	var changed []json.RawMessage
	for n := 0; n < 2000; {
		raw := encode(t, w.generate(t, rng, 3))
		if _, err := parseVerify(raw, v); err != nil {
			t.Fatalf("untouched: %v", err)
		}
		var d doc
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatal(err)
		}
		what, ok := w.tamper(t, rng, &d)
		if !ok {
			continue
		}
		n++
		seen[what]++
		d.Origins = originsOf(t, d.Steps) // whoever changes the steps mends the list too
		bad, _ := json.Marshal(d)
		if steps, err := parseVerify(bad, v); err == nil {
			t.Fatalf("%s was not noticed:\n%s\n%s", what, bad, provenance.Tree(steps))
		}
		if n%8 == 0 {
			changed = append(changed, bad)
		}
	}
	for _, what := range []string{"swapped", "dropped", "doubled", "edited", "signature moved", "signed with another key", "time", "unwrapped", "wrapped"} {
		if seen[what] < 50 {
			t.Errorf("%s only %d times", what, seen[what])
		}
	}
	// The reference implementation agrees: what we refuse is no whim of ours.
	var answers []struct{ Error string }
	ask(t, map[string]any{"do": "verify", "framework": framework, "root": w.rootPEM(), "records": changed}, &answers)
	for i, a := range answers {
		if a.Error == "" {
			t.Errorf("the reference implementation takes %s", changed[i])
		}
	}
}

func originsOf(t *testing.T, list []any) []string {
	out := []string{}
	for _, e := range list[:len(list)-1] {
		if sub, ok := e.([]any); ok {
			out = append(out, originsOf(t, sub)...)
			continue
		}
		edit(t, e, func(m map[string]any) {
			if m["type"] == "origin" {
				out = append(out, m["id"].(string))
			}
		})
	}
	return out
}
