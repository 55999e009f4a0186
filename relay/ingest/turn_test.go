package ingest

import (
	"context"
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

const patience = 30 * time.Second

// hold keeps everybody from storing anything of a gateway (on SQLite: anything
// at all) until release is called.
func (w *world) hold(gateway string) (release func()) {
	w.t.Helper()
	held, ended, gone := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		gone <- w.db.Write(context.Background(), func(tx *sql.Tx) error {
			var n int64
			err := tx.QueryRow(`SELECT sequence FROM head WHERE gateway = $1`+w.db.ForUpdate(), gateway).Scan(&n)
			close(held)
			<-ended
			return err
		})
	}()
	<-held
	return func() {
		close(ended)
		if err := <-gone; err != nil {
			w.t.Error(err)
		}
	}
}

// Of a gateway that sends the same batch many times at once, one is in work and
// a few wait: the others are refused at once, and another gateway's batch goes
// through meanwhile.
func TestOneGatewayFloods(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		raw := w.encode(w.next(series(mainIn, monday, 1, 2, 3)))
		const other = "https://directory.example/g/quiet"
		signing := w.pki.Signing(other, "Ops Ltd", memberURL)
		client := w.clientOf(w.pki.Client(other, "Ops Ltd", memberURL))
		if a := w.do(client, "PUT", "/gateway/v1/site", "application/json", siteBody(signing.PEM(), "0000-0000-0001")); a.status != http.StatusNoContent {
			t.Fatalf("PUT site: %+v", a)
		}
		theirs := grantFor("other", monday.AddDate(0, 0, -30), mainIn)
		theirs.Gateway = other
		w.permits.set(grantFor("g", monday.AddDate(0, 0, -30), mainIn), theirs)
		good, err := batch.Encode(batch.Batch{Gateway: other, Serial: signing.Cert().SerialNumber.Bytes(), Sequence: 1, Made: w.now(),
			Grants: []string{"other"}, Series: []batch.Series{series(mainIn, monday, 7)}}, signing.Key)
		if err != nil {
			t.Fatal(err)
		}

		release := w.hold(gatewayURL)
		const flood = 5 * mostInHand
		answers := make(chan answer, flood)
		for range flood {
			go func() { answers <- w.post(raw) }()
		}
		late := time.After(patience)
		for i := range flood - mostInHand {
			select {
			case a := <-answers:
				if a.status != http.StatusTooManyRequests || a.Error != "slow_down" || a.header.Get("Retry-After") == "" {
					t.Errorf("%d: %+v", i, a)
				}
			case <-late:
				release()
				t.Fatalf("%d of %d requests of one gateway at once were refused, want %d", i, flood, flood-mostInHand)
			}
		}
		if a := w.do(w.client, "PUT", "/gateway/v1/site", "application/json", siteBody(w.signing.PEM(), siteCode)); a.status != http.StatusTooManyRequests {
			t.Errorf("its description besides: %+v", a)
		}
		through := make(chan answer, 1)
		go func() { through <- w.do(client, "POST", "/gateway/v1/batches", batch.MediaType, good) }()
		if w.db.Dialect == database.PostgreSQL { // SQLite has one writer, which is held
			select {
			case a := <-through:
				through <- a
			case <-late:
				t.Error("a gateway that floods keeps out another's batch")
			}
		}
		release()
		if a := <-through; a.status != http.StatusOK || a.Sequence != 1 {
			t.Errorf("the other gateway: %+v", a)
		}
		for range mostInHand {
			if a := <-answers; a.status != http.StatusOK || a.Sequence != 1 {
				t.Errorf("of those that waited: %+v", a)
			}
		}
		// Nothing of it stays: the next ones are taken as ever.
		if a := w.post(raw); a.status != http.StatusOK || a.Sequence != 1 {
			t.Errorf("sent again: %+v", a)
		}
		w.advance(raw)
		w.send(series(mainIn, monday.Add(2*time.Hour), 4))
		if !w.service.hands.none() {
			t.Error("a gateway that has nothing under way is still counted")
		}
	})
}

// Who goes away while waiting gives up the place.
func TestGivesUpItsTurn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		raw := w.encode(w.next(series(mainIn, monday, 1)))
		first, err := w.service.hands.take(gatewayURL)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := w.service.hands.take(gatewayURL)
		if err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := second.turn(gone); err == nil {
			t.Error("two at the same time")
		}
		second.done()
		first.done()
		if a := w.post(raw); a.status != http.StatusOK {
			t.Errorf("%+v", a)
		}
		if got := energies(w.readings(energy.Key{Meter: "main", Measure: energy.Import})); len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
}

func (h *hands) none() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.of) == 0
}
