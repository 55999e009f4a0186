package ingest

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

func TestDeleteUncovered(t *testing.T) {
	export := energy.Key{Meter: "main", Measure: energy.Export}
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		w.permits.set(grantFor("a", monday, mainIn), grantFor("b", monday, mainIn, export))
		w.send(series(mainIn, monday.Add(23*time.Hour), 1, 2, 3, 4)) // two days
		mixed := w.send(series(mainIn, monday.AddDate(0, 0, 2), 5), series(export, monday, 6, 7))
		w.send(series(export, monday.AddDate(0, 0, 3), 8))

		// All is covered: nothing goes.
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		// b is withdrawn: the export goes, and the batches that hold it.
		w.permits.set(grantFor("a", monday, mainIn))
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{1, 2, 3, 4, 5}) {
			t.Errorf("import: %v", got)
		}
		if got := w.readings(export); len(got) != 0 {
			t.Errorf("export: %v", got)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 1 {
			t.Errorf("%d raw batches are kept, want the first alone", n)
		}
		// The chain is whole: what was stored once is still known, and goes on.
		if a := w.post(mixed); a.status != http.StatusOK || a.Sequence != 3 {
			t.Errorf("again: %+v", a)
		}
		if h, err := w.service.BatchHashes(ctx, gatewayURL, []uint64{2}); err != nil || h[2] != batch.Sum(mixed) {
			t.Errorf("%v, %v", h, err)
		}
		w.send(series(mainIn, monday.AddDate(0, 0, 2).Add(energy.Period), 9))
		// A permission that begins later covers a part of a day.
		w.permits.set(grantFor("c", monday.Add(23*time.Hour+energy.Period), mainIn))
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{2, 3, 4, 5, 9}) {
			t.Errorf("import: %v", got)
		}
		w.permits.set()
		if n, err := w.service.DeleteUncovered(ctx, gatewayURL); n != 5 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if n := w.rows(`SELECT COUNT(*) FROM day`); n != 0 {
			t.Errorf("%d day rows are left", n)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 0 {
			t.Errorf("%d raw batches are left", n)
		}
		if _, err := w.service.DeleteUncovered(ctx, "https://directory.example/g/none"); err == nil {
			t.Error("a gateway that nobody knows")
		}
	})
}
