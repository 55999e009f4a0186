package ingest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// What a permission alone covered outlives its end by KeepExpired and no longer;
// what another covers stays; the deletion is logged with its reason, and signed
// for.
func TestDeleteEnded(t *testing.T) {
	export := energy.Key{Meter: "main", Measure: energy.Export}
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		w.attest()
		w.service.c.Retention = 5 * 365 * 24 * time.Hour // so that age deletes nothing
		ends := w.now().AddDate(0, 0, 10)
		short := grantFor("short", monday, mainIn, export)
		short.Expires = ends
		long := grantFor("long", monday.AddDate(0, 0, 1), mainIn)
		w.permits.set(short, long)
		w.send(series(export, monday, 1, 2))
		w.send(series(mainIn, monday.Add(24*time.Hour-energy.Period), 3, 4)) // the second is within the longer permission too
		w.send(series(mainIn, monday.AddDate(0, 0, 2), 5))
		none := func(when string) {
			t.Helper()
			if n, err := w.service.DeleteEnded(ctx); n != 0 || err != nil {
				t.Fatalf("%s: %d, %v", when, n, err)
			}
		}
		none("while it is live")
		w.setNow(ends.Add(-time.Second))
		none("at its end")
		w.setNow(ends.Add(DefaultKeepExpired - time.Second))
		none("before the time is over")
		if ds, err := w.service.Deletions(ctx, ""); len(ds) != 0 || err != nil {
			t.Fatalf("%+v, %v", ds, err)
		}
		w.setNow(ends.Add(DefaultKeepExpired))
		if n, err := w.service.DeleteEnded(ctx); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{4, 5}) || len(w.readings(export)) != 0 {
			t.Errorf("%v and %v are left", got, w.readings(export))
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 1 {
			t.Errorf("%d bodies are left, want that of the last batch alone", n)
		}
		w.attested("expiry", 3, 2, monday, monday.Add(24*time.Hour-energy.Period))
		none("a second time")
	})
}

// A permission that is renewed, or given anew, while what the old one left is
// still here keeps it; one that comes while it is being deleted keeps the rest.
func TestEndedAndRenewed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.register()
		old := grantFor("old", monday, mainIn)
		old.Expires = w.now().AddDate(0, 0, 1)
		w.permits.set(old)
		w.send(series(mainIn, monday, 1, 2))
		w.setNow(old.Expires.Add(DefaultKeepExpired - time.Hour))
		anew := grantFor("new", monday, mainIn)
		anew.Granted, anew.Expires = w.now(), w.now().AddDate(1, 0, 0)
		w.permits.set(old, anew)
		w.setNow(w.now().Add(2 * time.Hour))
		if n, err := w.service.DeleteEnded(ctx); n != 0 || err != nil || len(w.readings(mainIn)) != 2 {
			t.Errorf("given anew: %d, %v", n, err)
		}
		// It looks as if nothing covered it, until the lock is held.
		asked := 0
		w.permits.set(old)
		w.permits.asked = func() {
			if asked++; asked == 2 {
				w.permits.grants = []grant.Grant{old, anew}
			}
		}
		if n, err := w.service.DeleteEnded(ctx); n != 0 || err != nil || len(w.readings(mainIn)) != 2 {
			t.Errorf("given while it was being deleted: %d, %v, asked %d times", n, err, asked)
		}
	})
}

// When it cannot be told what is covered nothing goes, and the error is told.
func TestEndedNotKnown(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		w.send(series(mainIn, monday, 1))
		w.permits.set()
		w.permits.err = errors.New("no database")
		if n, err := w.service.DeleteEnded(t.Context()); n != 0 || !errors.Is(err, w.permits.err) || len(w.readings(mainIn)) != 1 {
			t.Errorf("%d, %v", n, err)
		}
		w.permits.err = nil
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := w.service.DeleteEnded(ctx); n != 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A deletion that is broken off between the half-hours and the batches that
// brought them is gone on with.
func TestEndedBrokenOff(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		w.send(series(mainIn, monday, 1))
		w.permits.set()
		asked := 0
		w.permits.asked = func() {
			if asked++; len(w.readings(mainIn)) == 0 {
				w.permits.err = errors.New("no database")
			}
		}
		if n, err := w.service.DeleteEnded(t.Context()); err == nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 1 {
			t.Fatalf("%d bodies after the break: the test shows nothing", n)
		}
		w.permits.asked, w.permits.err = nil, nil
		if n, err := w.service.DeleteEnded(t.Context()); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 0 {
			t.Errorf("%d bodies are left", n)
		}
	})
}
