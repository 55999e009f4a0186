package ingest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

func TestBatchStored(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		s := series(mainIn, monday.Add(23*time.Hour), 10, 20, 30, 40) // over midnight
		s.Opening, s.Closing = 1000, 1100
		s.Values[2] = batch.Value{} // missing: 30 does not come
		s.Values[3].Quality, s.Values[3].Rule = energy.Estimated, energy.RuleSpread
		raw := w.send(s)
		got := w.readings(mainIn)
		taken := w.now()
		want := []Reading{
			{monday.Add(23 * time.Hour), 10, 1010, energy.Measured, energy.RuleBracketed, 0, taken, 1},
			{monday.Add(23*time.Hour + energy.Period), 20, 1030, energy.Measured, energy.RuleBracketed, 0, taken, 1},
			{monday.Add(24*time.Hour + energy.Period), 40, 1100, energy.Estimated, energy.RuleSpread, 0, taken, 1},
		}
		if !slices.Equal(got, want) {
			t.Errorf("read %+v\nwant %+v", got, want)
		}
		// from is inclusive, to exclusive, and neither need be on the grid.
		var starts []time.Time
		for r, err := range w.service.Readings(t.Context(), gatewayURL, mainIn, want[0].Start.Add(time.Second), want[2].Start) {
			if err != nil {
				t.Fatal(err)
			}
			starts = append(starts, r.Start)
		}
		if len(starts) != 1 || !starts[0].Equal(want[1].Start) {
			t.Errorf("window: %v", starts)
		}
		var body []byte
		if err := w.db.QueryRow(`SELECT body FROM batch WHERE sequence = 1`).Scan(&body); err != nil || !bytes.Equal(body, raw) {
			t.Errorf("the raw batch is not kept as it came: %v", err)
		}
		hashes, err := w.service.BatchHashes(t.Context(), gatewayURL, []uint64{1, 2})
		if err != nil || len(hashes) != 1 || hashes[1] != batch.Sum(raw) {
			t.Errorf("hashes %v, %v", hashes, err)
		}
	})
}

func TestBatchChain(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		first := w.send(series(mainIn, monday, 1))
		second := w.send(series(mainIn, monday.Add(energy.Period), 2))
		for i, raw := range [][]byte{second, first} { // sent again: yes, and the head
			if a := w.post(raw); a.status != http.StatusOK || a.Sequence != 2 {
				t.Errorf("again %d: %+v", i, a)
			}
		}
		head := batch.Sum(second)
		conflict := func(name string, raw []byte) {
			t.Helper()
			a := w.post(raw)
			if a.status != http.StatusConflict || a.Error != "out_of_sequence" || a.Sequence != 2 || a.Hash != hex.EncodeToString(head[:]) {
				t.Errorf("%s: %+v", name, a)
			}
		}
		b := w.next(series(mainIn, monday.Add(time.Hour), 3))
		b.Sequence++
		conflict("a gap", w.encode(b))
		b = w.next(series(mainIn, monday.Add(time.Hour), 3))
		b.Previous = batch.Sum(first)
		conflict("another previous", w.encode(b))
		b.Sequence = 2
		conflict("another batch in the second's place", w.encode(b))
		b.Sequence, b.Previous = 1, batch.Hash{}
		conflict("another batch in the first's place", w.encode(b))
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{1, 2}) {
			t.Errorf("stored %v", got)
		}
		// Idempotence holds after the permission has gone: it is stored.
		w.permits.set()
		if a := w.post(second); a.status != http.StatusOK || a.Sequence != 2 {
			t.Errorf("again without a permission: %+v", a)
		}
	})
}

func TestBatchRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		good := w.next(series(mainIn, monday, 1))
		if a := w.post(w.encode(good)); a.status != 403 || a.Error != "unknown_certificate" {
			t.Errorf("before the site is known: %+v", a)
		}
		w.register()
		flipped := w.encode(good)
		flipped[len(flipped)-1] ^= 1
		otherGateway := good
		otherGateway.Gateway = "https://directory.example/g/2"
		unknown := good
		unknown.Serial = []byte{1, 2, 3}
		future := good
		future.Made = w.now().Add(time.Hour)
		unfinished := w.next(series(mainIn, w.now().Add(-energy.Period/2).Truncate(energy.Period), 1, 1))
		beforeCertificate := good
		beforeCertificate.Made = time.Date(1998, 1, 1, 0, 0, 0, 0, time.UTC)
		beforeCertificate.Series = []batch.Series{series(mainIn, beforeCertificate.Made.AddDate(0, 0, -1), 1)}
		export := w.next(series(mainIn, monday, 1), series(energy.Key{Meter: "main", Measure: energy.Export}, monday, 1))
		for _, c := range []struct {
			name   string
			kind   string
			raw    []byte
			status int
			code   string
		}{
			{"another content type", "application/json", w.encode(good), 415, "invalid_request"},
			{"not a batch", batch.MediaType, []byte("hello"), 400, "invalid_batch"},
			{"empty", batch.MediaType, nil, 400, "invalid_batch"},
			{"too large", batch.MediaType, make([]byte, batch.MaxRaw+1), 413, "too_large"},
			{"a signature that does not fit", batch.MediaType, flipped, 400, "invalid_batch"},
			{"the batch of another gateway", batch.MediaType, w.encode(otherGateway), 403, "access_denied"},
			{"an unknown certificate", batch.MediaType, w.encode(unknown), 403, "unknown_certificate"},
			{"made in the future", batch.MediaType, w.encode(future), 400, "invalid_batch"},
			{"a half-hour that is not over", batch.MediaType, w.encode(unfinished), 400, "invalid_batch"},
			{"made before its certificate", batch.MediaType, w.encode(beforeCertificate), 403, "invalid_certificate"},
			{"one register without a permission", batch.MediaType, w.encode(export), 403, "no_permission"},
		} {
			a := w.do(w.client, "POST", "/gateway/v1/batches", c.kind, c.raw)
			if a.status != c.status || a.Error != c.code || a.Text == "" {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
		// Chunked, without a length: the limit holds too.
		r, err := http.NewRequest("POST", w.url+"/gateway/v1/batches", struct{ *bytes.Reader }{bytes.NewReader(make([]byte, batch.MaxRaw+1))})
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", batch.MediaType)
		if resp, err := w.client.Do(r); err != nil || resp.StatusCode != 413 {
			t.Errorf("chunked: %v, %v", resp, err)
		} else {
			resp.Body.Close()
		}
		w.permits.err = errors.New("the keeper of permissions is away")
		if a := w.post(w.encode(good)); a.status != 500 || a.Error != "server_error" || bytes.Contains([]byte(a.Text), []byte("keeper")) {
			t.Errorf("an internal error: %+v", a)
		}
		w.permits.err = nil
		w.revoke(w.signing.Cert().SerialNumber)
		if a := w.post(w.encode(good)); a.status != 403 || a.Error != "invalid_certificate" {
			t.Errorf("a revoked signing certificate: %+v", a)
		}
		for _, table := range []string{"batch", "day", "register"} {
			if n := w.rows(`SELECT COUNT(*) FROM ` + table); n != 0 {
				t.Errorf("%d rows in %s after refusals", n, table)
			}
		}
	})
}

// A renewed signing certificate takes over; what the old one signed while it
// held is still taken.
func TestRenewedCertificate(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		old := w.signing
		w.signing = w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
		w.register()
		w.send(series(mainIn, monday, 1))
		w.signing = old
		w.send(series(mainIn, monday.Add(energy.Period), 2))
	})
}

// The permission is looked at while the chain is locked: a withdrawal that is
// committed before is always seen.
func TestPermissionUnderLock(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		w.permits.asked = func() {
			if w.service.db.Dialect == "sqlite" {
				_, err := w.db.ExecContext(t.Context(), `PRAGMA busy_timeout = 0; UPDATE site SET name = name`)
				if err == nil {
					t.Error("somebody else could write while the permission was looked up")
				}
				return
			}
			var n int64
			err := w.db.QueryRowContext(t.Context(), `SELECT sequence FROM head WHERE gateway = $1 FOR UPDATE NOWAIT`, gatewayURL).Scan(&n)
			if err == nil {
				t.Error("the gateway's chain was not locked while the permission was looked up")
			}
		}
		w.send(series(mainIn, monday, 1))
	})
}

func TestCorrection(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		old := w.send(series(mainIn, monday, 10, 20, 30))
		w.setNow(w.now().Add(time.Hour))
		estimate := series(mainIn, monday, 10, 25, 30)
		estimate.Values[1].Quality = energy.Estimated
		w.send(estimate)
		got := w.readings(mainIn)
		if !slices.Equal(energies(got), []int64{10, 25, 30}) {
			t.Fatalf("%+v", got)
		}
		for i, want := range []uint64{1, 2, 1} { // the same value again changed nothing
			if got[i].Batch != want {
				t.Errorf("half-hour %d is from batch %d, want %d", i, got[i].Batch, want)
			}
		}
		if got[1].Quality != energy.Estimated || !got[1].TakenAt.Equal(w.now()) || got[0].TakenAt.Equal(w.now()) {
			t.Errorf("%+v", got)
		}
		// A later "missing" does not undo what is known.
		gone := series(mainIn, monday, 0)
		gone.Values[0] = batch.Value{}
		w.send(gone)
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{10, 25, 30}) {
			t.Errorf("%v", got)
		}
		// One that says that the value is withdrawn does; the others stay.
		gone = series(mainIn, monday.Add(energy.Period), 0, 0)
		gone.Values[0] = batch.Value{Rule: energy.RuleWithdrawn, Flags: energy.Flags(0).With(17)}
		gone.Values[1] = batch.Value{}
		w.send(gone)
		if got := w.readings(mainIn); !slices.Equal(energies(got), []int64{10, 30}) || !got[1].Start.Equal(monday.Add(time.Hour)) {
			t.Errorf("%v", got)
		}
		// The older value stays provable.
		var body []byte
		if err := w.db.QueryRow(`SELECT body FROM batch WHERE sequence = 1`).Scan(&body); err != nil {
			t.Fatal(err)
		}
		b, err := batch.Decode(body)
		if err != nil || !bytes.Equal(body, old) || b.Verify(&w.signing.Key.PublicKey) != nil || b.Series[0].Values[1].Energy != 20 {
			t.Errorf("the first batch proves nothing: %v", err)
		}
	})
}

// What the validation says of a half-hour comes with it, and later than it too:
// then the value keeps the batch that brought it.
func TestFlagsStored(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		flags := func(i int) energy.Flags { return w.readings(mainIn)[i].Flags }
		first := series(mainIn, monday, 10, 9000, 30)
		first.Values[1].Flags = energy.Flags(0).With(5)
		w.send(first)
		if flags(0) != 0 || flags(1) != 1<<4 || flags(2) != 0 {
			t.Fatalf("%+v", w.readings(mainIn))
		}
		before := w.readings(mainIn)
		w.setNow(w.now().Add(time.Hour))
		first.Values[1].Flags = energy.Flags(0).With(5).With(16)
		w.send(first)
		before[1].Flags |= 1 << 15
		if got := w.readings(mainIn); !slices.Equal(got, before) {
			t.Errorf("%+v, want %+v", got, before)
		}
		// The last half-hour of a day goes, and so does the day's row.
		for i := range first.Values {
			first.Values[i] = batch.Value{Rule: energy.RuleWithdrawn}
		}
		w.send(first)
		if got := w.readings(mainIn); len(got) != 0 || w.rows(`SELECT COUNT(*) FROM day`) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A year in batches of 64 days comes back to the Wh, page after page.
func TestYear(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		w.permits.set(grantFor("g", monday.AddDate(-2, 0, 0), mainIn, energy.Key{Meter: "m2", Measure: energy.Import}))
		g := w.permits.grants[0]
		g.Expires = monday.AddDate(1, 0, 0)
		w.permits.set(g)
		first := monday.AddDate(0, 0, -365)
		var sum int64
		var ss []batch.Series
		n := 0
		for at := first; at.Before(monday); {
			s := series(mainIn, at)
			for len(s.Values) < batch.MaxSeriesValues && at.Before(monday) {
				e := int64(n*7919%4000) + 1
				s.Values = append(s.Values, batch.Value{Energy: e, Quality: energy.Measured, Rule: energy.RuleImported})
				sum, n, at = sum+e, n+1, at.Add(energy.Period)
			}
			ss = append(ss, s)
		}
		w.send(ss...)
		got := w.readings(mainIn)
		var total int64
		for i, r := range got {
			if want := first.Add(time.Duration(i) * energy.Period); !r.Start.Equal(want) {
				t.Fatalf("half-hour %d starts at %s, want %s", i, r.Start, want)
			}
			total += r.Energy
		}
		if len(got) != 365*48 || total != sum {
			t.Errorf("%d half-hours with %d Wh; sent %d with %d", len(got), total, n, sum)
		}
		size := w.rows(`SELECT CAST(SUM(LENGTH(data)) AS BIGINT) FROM day`)
		t.Logf("%.2f bytes per half-hour", float64(size)/float64(n))
		if size > 6*n {
			t.Errorf("%d bytes for %d half-hours: at most 6 each", size, n)
		}
	})
}
