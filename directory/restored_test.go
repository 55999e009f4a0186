package directory

import (
	"database/sql"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// TestRestored: what was given out ends, unless the service was only moved; the
// numbers of lists leap, and readers of the listing begin anew.
func TestRestored(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		must(w.listing(ctx))(t)
		before := must(w.CRL(ctx, Client))(t)
		_, code, err := w.AddGateway(ctx, Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
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
			if err := Restored(audit.WithActor(ctx, "operator:root@host"), tx, w.clock.now(), start.Add(-time.Hour), moved); err != nil {
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
		_, a := newKeyCSR(t)
		_, b := newKeyCSR(t)
		if r := w.enrol(code, a, b); r.Code == 201 {
			t.Error("a code from before the restore enrols")
		}
		if after := must(w.CRL(ctx, Client))(t); after.Number <= before.Number+2*leap {
			t.Errorf("list %d after %d", after.Number, before.Number)
		}
		w.clock.add(askEvery)
		var wiped, revision sql.NullInt64
		if err := w.DB.QueryRow(`SELECT wiped, revision FROM directory_listing`).Scan(&wiped, &revision); err != nil || wiped != revision {
			t.Errorf("listing: %v of %v, %v", wiped, revision, err)
		}
		if l := must(w.listing(ctx))(t); l.members[w.provider.ID] == nil || l.number != revision.Int64 {
			t.Error("the listing was not read anew")
		}
		es := must(audit.List(ctx, w.DB, audit.Filter{Action: "directory.restore"}))(t)
		if len(es) != 2 || es[0].Actor != "operator:root@host" {
			t.Errorf("%+v", es)
		}
		if _, err := audit.Verify(ctx, w.DB); err != nil {
			t.Error(err)
		}
	})
}
