package ingest

import (
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What a renewal drops goes, with the batches that brought it, is logged with
// its reason and signed for; what another permission covers stays, live or
// lately run out.
func TestDeleteDropped(t *testing.T) {
	export := energy.Key{Meter: "main", Measure: energy.Export}
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		w.attest()
		from := monday.AddDate(0, 0, -30)
		w.permits.set(grantFor("g", from, mainIn, export))
		w.send(series(mainIn, monday, 1, 2))
		w.send(series(mainIn, monday.Add(time.Hour), 3), series(export, monday, 4, 5, 6))
		left := func(what string, deleted int64, of, ofExport []int64) {
			t.Helper()
			if n, err := w.service.DeleteDropped(ctx, gatewayURL); n != deleted || err != nil {
				t.Errorf("%s: %d, %v", what, n, err)
			}
			if a, b := energies(w.readings(mainIn)), energies(w.readings(export)); !slices.Equal(a, of) || !slices.Equal(b, ofExport) {
				t.Errorf("%s: %v and %v are left, want %v and %v", what, a, b, of, ofExport)
			}
		}
		less := grantFor("g", from, mainIn)
		w.permits.set(less, grantFor("other", from, export))
		left("another permission covers it", 0, []int64{1, 2, 3}, []int64{4, 5, 6})
		lately := grantFor("other", from, export)
		lately.Expires = w.now().Add(-time.Hour)
		w.permits.set(less, lately)
		left("another permission covered it until an hour ago", 0, []int64{1, 2, 3}, []int64{4, 5, 6})
		if ds, err := w.service.Deletions(ctx, ""); len(ds) != 0 || err != nil {
			t.Fatalf("%+v, %v", ds, err)
		}
		w.permits.set(less)
		left("nothing covers it", 3, []int64{1, 2, 3}, nil)
		left("a second time", 0, []int64{1, 2, 3}, nil)
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 1 {
			t.Errorf("%d bodies are left, want that of the first batch alone", n)
		}
		w.attested("renewal", 3, 1, monday, monday.Add(time.Hour))
	})
}
