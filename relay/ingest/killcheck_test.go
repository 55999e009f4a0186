package ingest

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// check looks at what is in the database after the last kill.
func (k *killed) check() {
	t := k.t
	t.Helper()
	db, err := database.Open("sqlite:" + filepath.Join(k.dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sound string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("integrity check: %s, %v", sound, err)
	}
	var head uint64
	var hash []byte
	if err := db.QueryRow(`SELECT sequence, hash FROM head`).Scan(&head, &hash); err != nil {
		t.Fatal(err)
	}
	// The last batch may have been stored without its acknowledgement arriving.
	if head != k.sequence && !(head == k.sequence+1 && k.pending != nil && batch.Sum(k.pending) == batch.Hash(hash)) {
		t.Fatalf("head is %d, acknowledged are %d", head, k.sequence)
	}
	rows, err := db.Query(`SELECT sequence, hash, body FROM batch ORDER BY sequence`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var previous batch.Hash
	n := uint64(0)
	for ; rows.Next(); n++ {
		var sequence uint64
		var stored, body []byte
		if err := rows.Scan(&sequence, &stored, &body); err != nil {
			t.Fatal(err)
		}
		b, err := batch.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if sequence != n+1 || b.Sequence != sequence || b.Previous != previous || b.Hash() != batch.Hash(stored) {
			t.Fatalf("the chain is broken at %d", sequence)
		}
		previous = b.Hash()
		if sequence == k.sequence && previous != k.hash {
			t.Fatalf("batch %d is not the one acknowledged", sequence)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != head || previous != batch.Hash(hash) {
		t.Fatalf("%d batches, head %d", n, head)
	}
	s := New(Config{DB: db})
	for m := range killMeters {
		i := 0
		key := energy.Key{Meter: fmt.Sprint("m", m), Measure: energy.Import}
		for r, err := range s.Readings(t.Context(), gatewayURL, key, monday, monday.AddDate(1, 0, 0)) {
			if err != nil {
				t.Fatal(err)
			}
			by := uint64(i/killValues) + 1
			if i%killValues == killValues-1 && by < head {
				by++ // corrected by the batch after
			}
			if want := monday.Add(time.Duration(i) * energy.Period); !r.Start.Equal(want) || r.Batch != by || r.Energy != killEnergy(m, i, by) {
				t.Fatalf("%s: half-hour %d: %+v, want batch %d", key, i, r, by)
			}
			i++
		}
		if i != int(head)*killValues {
			t.Errorf("%s: %d half-hours after %d batches", key, i, head)
		}
	}
}
