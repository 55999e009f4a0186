package provenance_test

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// What a relay signed that it deleted is explained in words: a proof that
// nobody can read proves little. A record from elsewhere may hold anything.
func TestExplainDeletion(t *testing.T) {
	w := newWorld(t)
	explained := func(step provenance.Other) string {
		t.Helper()
		step["type"], step["timestamp"], step["scheme"] = provenance.Deletion, "2026-03-12T10:00:00Z", framework
		r := provenance.New(framework)
		r.Add(step)
		if err := r.Sign(w.signer(0)); err != nil {
			t.Fatal(err)
		}
		return provenance.Tree(w.verify(t, encode(t, r)))
	}
	got := explained(provenance.Other{"gateway": "https://directory.example/g/1", "reason": "withdrawal", "halfHours": 57600, "batches": 21,
		"first": "2025-10-18T21:00:00Z", "last": "2026-03-11T20:30:00Z"})
	want := `deletion of 57600 half-hours of "https://directory.example/g/1" from "2025-10-18T21:00:00Z" to "2026-03-11T20:30:00Z", and of 21 signed batches, for "withdrawal", 2026-03-12T10:00:00Z`
	if !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
	got = explained(provenance.Other{"halfHours": "none\nall is well", "batches": map[string]any{"a": "b"}})
	if strings.Contains(got, "\nall is well") || !strings.Contains(got, "deletion of ? half-hours") {
		t.Errorf("got\n%s", got)
	}
}
