package integration

import (
	"crypto/ecdsa"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// check stops both and compares what they hold.
func (k *killing) check(to time.Time) {
	t := k.t
	t.Helper()
	if err := k.gateway.stop(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v\n%s", err, k.gateway.log.last(20))
	}
	if err := k.central.stop(); err != nil {
		t.Fatalf("central did not stop cleanly: %v\n%s", err, k.central.log.last(20))
	}
	k.noneSetAside()
	mine, open := k.gatewayHalfHours()
	theirs := k.relayHalfHours()
	carried := k.checkBatches()

	wrongs := 0
	wrong := func(format string, a ...any) {
		t.Helper()
		t.Errorf(format, a...)
		if wrongs++; wrongs == 20 {
			t.Fatal("and so on")
		}
	}
	_, from := k.chunkOf(chunks - 1)
	total := 0
	for key, l := range k.loads {
		var measured int64
		n := 0
		for at, r := range theirs[key] {
			total++
			h, ok := mine[key][at]
			if !ok || h.Energy != r.Energy || h.Quality != r.Quality || h.Cumulative != r.Cumulative {
				wrong("%s %v: the relay has %+v, the gateway %+v", key, at, r, h)
			}
			if carried[key][at] != 1 {
				wrong("%s %v: it is in %d batches", key, at, carried[key][at])
			}
			switch {
			case at.Before(k.seam):
				if want := historyWh(key, at); r.Energy != want {
					wrong("%s %v: %d Wh, the file said %d", key, at, r.Energy, want)
				}
			case at.Before(to):
				n++
				measured += r.Energy
			}
		}
		for at := range mine[key] {
			if _, ok := theirs[key][at]; !ok && !open[key][at] {
				wrong("%s %v: acknowledged, but the relay does not have it", key, at)
			}
		}
		for at := from; at.Before(k.seam); at = at.Add(energy.Period) {
			if _, ok := theirs[key][at]; !ok {
				wrong("%s %v: imported, but the relay does not have it", key, at)
			}
		}
		if measured != l.advance() {
			wrong("%s: %d half-hours sum to %d Wh, the meter counted %d", key, n, measured, l.advance())
		}
		t.Logf("%s: %d half-hours measured, %d Wh, as the meter counted", key, n, measured)
	}
	t.Logf("%d half-hours at the relay", total)
}

type halfHours map[energy.Key]map[time.Time]energy.HalfHour

// gatewayHalfHours opens the gateway's store. open are those that the relay has
// not acknowledged.
func (k *killing) gatewayHalfHours() (all halfHours, open map[energy.Key]map[time.Time]bool) {
	t := k.t
	t.Helper()
	s, report, err := store.Open(filepath.Join(k.dir, "agent.db"), store.Options{Logger: record.Logger(t)})
	if err != nil || report.SetAside != "" || report.Created {
		t.Fatalf("the gateway's store: %+v, %v", report, err)
	}
	defer s.Close()
	var unread uplink.Outbox = s
	_, sealed, err := unread.Oldest()
	if err != nil {
		t.Fatal(err)
	}
	all, open = halfHours{}, map[energy.Key]map[time.Time]bool{}
	end := time.Now()
	for key := range k.loads {
		all[key], open[key] = map[time.Time]energy.HalfHour{}, map[time.Time]bool{}
		for h, err := range s.HalfHours(key, time.Time{}, end) {
			if err != nil {
				t.Fatal(err)
			}
			all[key][h.Start] = h
		}
		pending, err := unread.Pending(key, time.Time{}, end, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range pending {
			open[key][h.Start] = true
		}
	}
	if sealed != nil {
		b, err := batch.Decode(sealed)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Series {
			for i := range x.Values {
				open[energy.Key{Meter: x.Meter, Measure: x.Measure}][x.First.Add(time.Duration(i)*energy.Period)] = true
			}
		}
	}
	return all, open
}

func (k *killing) database() *database.DB {
	k.t.Helper()
	db, err := database.Open("sqlite:" + filepath.Join(k.dir, "central.db"))
	if err != nil {
		k.t.Fatal(err)
	}
	return db
}

func (k *killing) relayHalfHours() map[energy.Key]map[time.Time]ingest.Reading {
	t := k.t
	t.Helper()
	db := k.database()
	defer db.Close()
	var sound string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("central's database: %s, %v", sound, err)
	}
	s := ingest.New(ingest.Config{DB: db})
	out := map[energy.Key]map[time.Time]ingest.Reading{}
	for key := range k.loads {
		out[key] = map[time.Time]ingest.Reading{}
		for r, err := range s.Readings(t.Context(), k.gatewayURL(), key, time.Unix(0, 0), time.Now()) {
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := out[key][r.Start]; twice {
				t.Errorf("%s %v: the relay has it twice", key, r.Start)
			}
			out[key][r.Start] = r
		}
	}
	return out
}

func (k *killing) gatewayURL() string {
	k.t.Helper()
	e, err := uplink.ReadEnrolment(filepath.Join(k.dir, "identity"))
	if err != nil {
		k.t.Fatal(err)
	}
	return e.Gateway
}

// checkBatches reads the relay's batches: numbered from 1 without a hole, each
// with the hash of the one before, signed by the gateway. It counts in how many
// of them each half-hour is.
func (k *killing) checkBatches() map[energy.Key]map[time.Time]int {
	t := k.t
	t.Helper()
	files, err := filepath.Glob(filepath.Join(k.dir, "identity", "enrolment-*", "signing.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("signing certificates of the gateway: %v (%v)", files, err)
	}
	certs, err := identity.ReadCertificates(files[0])
	if err != nil {
		t.Fatal(err)
	}
	db := k.database()
	defer db.Close()
	rows, err := db.Query(`SELECT sequence, hash, body FROM batch WHERE gateway = $1 ORDER BY sequence`, k.gatewayURL())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	carried := map[energy.Key]map[time.Time]int{}
	var previous batch.Hash
	n := uint64(0)
	for rows.Next() {
		var sequence int64
		var hash, body []byte
		if err := rows.Scan(&sequence, &hash, &body); err != nil {
			t.Fatal(err)
		}
		n++
		b, err := batch.Decode(body)
		if err != nil {
			t.Fatalf("batch %d: %v", sequence, err)
		}
		if err := b.Verify(certs[0].PublicKey.(*ecdsa.PublicKey)); err != nil {
			t.Errorf("batch %d: %v", sequence, err)
		}
		if uint64(sequence) != n || b.Sequence != n || b.Previous != previous || batch.Hash(hash) != b.Hash() {
			t.Fatalf("the chain breaks at row %d: batch %d of number %d follows %v, hash %x", n, sequence, b.Sequence, b.Previous, hash)
		}
		previous = b.Hash()
		for _, x := range b.Series {
			key := energy.Key{Meter: x.Meter, Measure: x.Measure}
			if carried[key] == nil {
				carried[key] = map[time.Time]int{}
			}
			for i := range x.Values {
				carried[key][x.First.Add(time.Duration(i)*energy.Period).UTC()]++
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n < k.highest || n < 10 {
		t.Errorf("%d batches at the relay; the gateway was told of %d, and at least 10 are needed for this to mean something", n, k.highest)
	}
	t.Logf("%d batches in one chain", n)
	return carried
}
