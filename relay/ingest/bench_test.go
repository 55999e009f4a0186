package ingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// shop is the energy of a half-hour of a small business, in watt hours.
func shop(i int) int64 {
	hour := i / 2 % 24
	load := int64(350 + i*7919%90)
	if hour >= 8 && hour < 18 {
		load += 2400 + int64(i*104729%700)
	}
	return load
}

// A half-hour takes at most 6 bytes at rest, keys included and before indexes,
// whether it came with its day or alone, as it does from a gateway on line.
func TestStoragePerHalfHour(t *testing.T) {
	const days = 31
	for name, batches := range map[string]func(i int) uint64{
		"history, a batch in all":           func(int) uint64 { return 7 },
		"on line, a batch each":             func(i int) uint64 { return uint64(7 + i) },
		"on line, other batches in between": func(i int) uint64 { return uint64(7 + 2*i) },
	} {
		size, register := 0, int64(1000)
		for n := range days {
			d := &day{number: int64(20000 + n)}
			for s := range perDay {
				i := n*perDay + s
				register += shop(i)
				d.put(s, slot{energy: shop(i), cumulative: register, quality: energy.Measured, rule: energy.RuleBracketed,
					batch: batches(i), taken: d.end(s) + 8 + int64(i%5)})
			}
			size += len(d.encode()) + 8 + 8 // register and day
		}
		each := float64(size) / (days * perDay)
		t.Logf("%s: %.2f bytes", name, each)
		if each > 6 {
			t.Errorf("%s: %.2f bytes for a half-hour", name, each)
		}
	}
}

// Signed batches beside one row for each reading by COPY, into PostgreSQL: both
// commit the same half-hours, ours with signature, chain and permission checked
// and the batch kept as evidence. COPY twice: with a number in the place of
// gateway, meter and measure, as a careful design has it, and with their names.
func BenchmarkIngestBesideCopy(b *testing.B) {
	db, err := database.Open(databasetest.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(b.Context(), "relay", migrations.Files); err != nil {
		b.Fatal(err)
	}
	const meters, days, turns = 20, 62, 6 // a batch as large as gateways make them
	w := newWorld(b, db)
	start := monday.AddDate(-3, 0, 0)
	var keys []energy.Key
	for m := range meters {
		keys = append(keys, energy.Key{Meter: fmt.Sprintf("meter-%d", m), Measure: energy.Import})
	}
	g := grantFor("g", start, keys...)
	g.Expires = monday.AddDate(1, 0, 0)
	w.permits.set(g)
	mux := http.NewServeMux()
	w.service.Register(mux)
	peer := w.pki.Client(gatewayURL, "Ops Ltd", memberURL).Cert()
	ask := func(method, path, kind string, body []byte, status int) {
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{peer}}}
		out := httptest.NewRecorder()
		if mux.ServeHTTP(out, r); out.Code != status {
			b.Fatalf("%s: %d %s", path, out.Code, out.Body)
		}
	}
	ask("PUT", "/gateway/v1/site", "application/json", siteBody(w.signing.PEM(), siteCode), 204)
	if _, err := db.Exec(`CREATE TABLE reading (gateway BIGINT, register BIGINT, start BIGINT, energy BIGINT, cumulative BIGINT, quality SMALLINT, rule SMALLINT, taken BIGINT, batch BIGINT,
		PRIMARY KEY (register, start));
		CREATE TABLE named (gateway TEXT, meter TEXT, measure TEXT, start BIGINT, energy BIGINT, cumulative BIGINT, quality TEXT, rule SMALLINT, taken BIGINT, batch BIGINT,
		PRIMARY KEY (gateway, meter, measure, start))`); err != nil {
		b.Fatal(err)
	}
	// Made beforehand: the same half-hours in both forms.
	var raws [][]byte
	var rows, named [][][]any // with a number for each register, and with names as they come
	for turn := range turns {
		first := start.AddDate(0, 0, turn*days)
		bt := w.next()
		bt.Grants = []string{"g"}
		var copied, by [][]any
		for m, k := range keys {
			s := batch.Series{Meter: k.Meter, Measure: k.Measure, First: first, Opening: 1000, Values: make([]batch.Value, days*perDay)}
			register := int64(1000)
			for i := range s.Values {
				wh := shop(i + m)
				register += wh
				s.Values[i] = batch.Value{Energy: wh, Quality: energy.Measured, Rule: energy.RuleBracketed}
				at := first.Add(time.Duration(i) * energy.Period)
				by = append(by, []any{gatewayURL, k.Meter, "import", at.Unix(), wh, register, "measured", int16(1), at.Unix() + 1808, int64(turn)})
				copied = append(copied, []any{int64(1), int64(m), at.Unix(), wh, register, int16(4), int16(1), at.Unix() + 1808, int64(turn)})
			}
			s.Closing = register
			bt.Series = append(bt.Series, s)
		}
		raw, err := batch.Encode(bt, w.signing.Key)
		if err != nil {
			b.Fatal(err)
		}
		w.advance(raw)
		raws, rows, named = append(raws, raw), append(rows, copied), append(named, by)
	}
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	copyInto := func(table string, columns []string, rows [][]any) time.Duration {
		began := time.Now()
		if err := conn.Raw(func(c any) error {
			_, err := c.(*stdlib.Conn).Conn().CopyFrom(context.Background(), pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
			return err
		}); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	var ours, theirs, byName time.Duration
	for b.Loop() {
		ours, theirs, byName = 0, 0, 0
		b.StopTimer()
		if _, err := db.Exec(`TRUNCATE reading, named`); err != nil {
			b.Fatal(err)
		}
		for _, q := range []string{`TRUNCATE day, batch, month_changed`, `UPDATE head SET sequence = 0, hash = '\x` + fmt.Sprintf("%064x", 0) + `'`} {
			if _, err := db.Exec(q); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for i := range turns { // turn about, so that both meet the same machine
			began := time.Now()
			ask("POST", "/gateway/v1/batches", batch.MediaType, raws[i], 200)
			ours += time.Since(began)
			theirs += copyInto("reading", []string{"gateway", "register", "start", "energy", "cumulative", "quality", "rule", "taken", "batch"}, rows[i])
			byName += copyInto("named", []string{"gateway", "meter", "measure", "start", "energy", "cumulative", "quality", "rule", "taken", "batch"}, named[i])
		}
	}
	n := float64(turns * meters * days * perDay)
	b.ReportMetric(n/ours.Seconds(), "half-hours/s")
	b.ReportMetric(n/theirs.Seconds(), "copied/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-COPY")
	b.ReportMetric(byName.Seconds()/ours.Seconds(), "x-COPY-with-names")
	b.ReportMetric(0, "ns/op")
}
