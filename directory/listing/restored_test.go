package listing_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/listing"
)

// TestRestored: what was given out ends, unless the service was only moved; the
// numbers of lists leap, and readers of the listing begin anew.
func TestRestored(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		dirtest.Must(w.Front.Listing.Listing(ctx))(t)
		before := dirtest.Must(w.CRL(ctx, ca.Client))(t)
		_, code, err := w.AddGateway(ctx, directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		codes := func() (n int) {
			if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_codes`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		restored := func(moved bool) {
			tx, err := w.DB.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			if err := directory.Restored(audit.WithActor(ctx, "operator:root@host"), tx, w.Clock.Now(), dirtest.Start.Add(-time.Hour), moved); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		restored(true)
		if codes() != 1 {
			t.Error("a move ended a code")
		}
		restored(false)
		if codes() != 0 {
			t.Error("a code stays good")
		}
		_, a := dirtest.NewKeyCSR(t)
		_, b := dirtest.NewKeyCSR(t)
		if r := w.Enrol(code, a, b); r.Code == 201 {
			t.Error("a code from before the restore enrols")
		}
		if after := dirtest.Must(w.CRL(ctx, ca.Client))(t); after.Number <= before.Number+2*1000 {
			t.Errorf("list %d after %d", after.Number, before.Number)
		}
		w.Clock.Add(listing.AskEvery)
		var wiped, revision sql.NullInt64
		if err := w.DB.QueryRow(`SELECT wiped, revision FROM directory_listing`).Scan(&wiped, &revision); err != nil || wiped != revision {
			t.Errorf("listing: %v of %v, %v", wiped, revision, err)
		}
		if l := dirtest.Must(w.Front.Listing.Listing(ctx))(t); l.Members()[w.Provider.ID] == nil || l.Number != revision.Int64 {
			t.Error("the listing was not read anew")
		}
		es := dirtest.Must(audit.List(ctx, w.DB, audit.Filter{Action: "directory.restore"}))(t)
		if len(es) != 2 || es[0].Actor != "operator:root@host" {
			t.Errorf("%+v", es)
		}
		if _, err := audit.Verify(ctx, w.DB); err != nil {
			t.Error(err)
		}
	})
}
