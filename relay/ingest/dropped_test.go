package ingest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// What a renewal drops goes, with the batches that brought it, is logged with
// its reason and signed for; what another permission covers stays, live or
// lately run out.
func TestDeleteDropped(t *testing.T) {
	export := energy.Key{Meter: "main", Measure: energy.Export}
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		sc, err := scheme.New("https://registry.example")
		if err != nil {
			t.Fatal(err)
		}
		relay := w.pki.Signing("https://directory.example/a/relay", "Relay Ltd", memberURL, sc.Role(scheme.EDP))
		w.service.c.Attest = Attested(sc, provenance.Signer{Key: relay.Key, Chain: relay.Chain, Now: w.now})
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
		ds, err := w.service.Deletions(ctx, gatewayURL)
		if err != nil || len(ds) != 1 {
			t.Fatalf("%+v, %v", ds, err)
		}
		d := ds[0]
		if d.Reason != Renewal || d.HalfHours != 3 || d.Bodies != 1 || !d.First.Equal(monday) || !d.Last.Equal(monday.Add(time.Hour)) || d.Finished.IsZero() {
			t.Errorf("%+v", d)
		}
		r, err := provenance.Parse(sc.TrustFramework(), d.Record)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := r.Verify(provenance.Verifier{Roots: w.pki.SigningCA.Pool(), Now: w.now})
		if err != nil || len(steps) != 1 || steps[0].Body["reason"] != "renewal" || steps[0].Body["halfHours"] != json.Number("3") {
			t.Errorf("%v: %s", err, d.Record)
		}
	})
}
