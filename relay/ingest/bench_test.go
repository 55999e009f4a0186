package ingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
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
// commit the same half-hours on one connection with the server's own settings,
// ours with signature, chain and permission checked and the batch kept as
// evidence. COPY twice: with a number in the place of gateway, meter and
// measure, as a careful design has it, and with their names.
func BenchmarkIngestBesideCopy(b *testing.B) {
	for _, c := range []struct {
		name                string
		meters, days, turns int
	}{
		{"20 meters of 62 days", 20, 62, 6}, // as large as gateways make them: one that catches up
		{"5 meters of 62 days", 5, 62, 6},
		{"1 meter of 62 days", 1, 62, 6},
		{"20 meters of a day", 20, 1, 62},
		{"1 meter of a day", 1, 1, 62},
	} {
		b.Run(c.name, func(b *testing.B) { besideCopy(b, c.meters, c.days, c.turns) })
	}
}

// beside is a relay and the two tables of COPY in one database, and what they
// are to store, made beforehand.
type beside struct {
	*world
	b           *testing.B
	conn        *sql.Conn
	mux         *http.ServeMux
	peer        *x509.Certificate
	raws        [][]byte
	rows, named [][][]any // of each batch
}

func (w *beside) ask(method, path, kind string, body []byte, status int) {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{w.peer}}}
	out := httptest.NewRecorder()
	if w.mux.ServeHTTP(out, r); out.Code != status {
		w.b.Fatalf("%s: %d %s", path, out.Code, out.Body)
	}
}

func (w *beside) exec(q string) {
	if _, err := w.db.Exec(q); err != nil {
		w.b.Fatal(err)
	}
}

func (w *beside) copyInto(table string, columns []string, rows [][]any) time.Duration {
	began := time.Now()
	if err := w.conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().CopyFrom(context.Background(), pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
		return err
	}); err != nil {
		w.b.Fatal(err)
	}
	return time.Since(began)
}

// prepare makes the batches and, of the same half-hours, the rows: with a number
// for each register, and with names as they come.
func (w *beside) prepare(meters, days, turns int) {
	start := monday.AddDate(-3, 0, 0)
	var keys []energy.Key
	for m := range meters {
		keys = append(keys, energy.Key{Meter: fmt.Sprintf("meter-%d", m), Measure: energy.Import})
	}
	g := grantFor("g", start, keys...)
	g.Expires = monday.AddDate(1, 0, 0)
	w.permits.set(g)
	w.ask("PUT", "/gateway/v1/site", "application/json", siteBody(w.signing.PEM(), siteCode), 204)
	random := rand.New(rand.NewPCG(1, 2))
	for turn := range turns {
		first := start.AddDate(0, 0, turn*days)
		bt := w.next()
		bt.Grants = []string{"g"}
		var copied, by [][]any
		for m, k := range keys {
			s := batch.Series{Meter: k.Meter, Measure: k.Measure, First: first, Opening: 1000, Values: make([]batch.Value, days*perDay)}
			register := int64(1000)
			for i := range s.Values {
				wh := shop(i+m) + random.Int64N(400)
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
			w.b.Fatal(err)
		}
		w.advance(raw)
		w.raws, w.rows, w.named = append(w.raws, raw), append(w.rows, copied), append(w.named, by)
	}
}

func besideCopy(b *testing.B, meters, days, turns int) {
	db, err := database.Open(databasetest.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(b.Context(), "relay", migrations.Files); err != nil {
		b.Fatal(err)
	}
	w := &beside{world: newWorld(b, db), b: b, mux: http.NewServeMux()}
	w.service.Register(w.mux)
	w.peer = w.pki.Client(gatewayURL, "Ops Ltd", memberURL).Cert()
	w.exec(`CREATE TABLE reading (gateway BIGINT, register BIGINT, start BIGINT, energy BIGINT, cumulative BIGINT, quality SMALLINT, rule SMALLINT, taken BIGINT, batch BIGINT,
		PRIMARY KEY (register, start));
		CREATE TABLE named (gateway TEXT, meter TEXT, measure TEXT, start BIGINT, energy BIGINT, cumulative BIGINT, quality TEXT, rule SMALLINT, taken BIGINT, batch BIGINT,
		PRIMARY KEY (gateway, meter, measure, start))`)
	w.prepare(meters, days, turns)
	if w.conn, err = db.Conn(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer w.conn.Close()
	var ours, theirs, byName times
	for b.Loop() {
		b.StopTimer()
		w.exec(`TRUNCATE reading, named`)
		w.exec(`TRUNCATE day, batch, month_changed`)
		w.exec(`UPDATE head SET sequence = 0, hash = '\x` + fmt.Sprintf("%064x", 0) + `'`)
		b.StartTimer()
		for i := range turns { // turn about, so that both meet the same machine
			began := time.Now()
			w.ask("POST", "/gateway/v1/batches", batch.MediaType, w.raws[i], 200)
			ours = append(ours, time.Since(began))
			theirs = append(theirs, w.copyInto("reading", []string{"gateway", "register", "start", "energy", "cumulative", "quality", "rule", "taken", "batch"}, w.rows[i]))
			byName = append(byName, w.copyInto("named", []string{"gateway", "meter", "measure", "start", "energy", "cumulative", "quality", "rule", "taken", "batch"}, w.named[i]))
		}
	}
	var day, evidence float64
	if err := db.QueryRow(`SELECT pg_relation_size('day'), pg_table_size('batch')`).Scan(&day, &evidence); err != nil {
		b.Fatal(err)
	}
	one := float64(meters * days * perDay)
	b.ReportMetric(one*float64(len(ours))/ours.sum().Seconds(), "half-hours/s")
	b.ReportMetric(one*float64(len(theirs))/theirs.sum().Seconds(), "copied/s")
	b.ReportMetric(theirs.sum().Seconds()/ours.sum().Seconds(), "x-COPY")
	b.ReportMetric(theirs.median().Seconds()/ours.median().Seconds(), "x-COPY-by-medians")
	b.ReportMetric(byName.sum().Seconds()/ours.sum().Seconds(), "x-COPY-with-names")
	b.ReportMetric(day/one/float64(turns), "B/half-hour")
	b.ReportMetric(evidence/one/float64(turns), "evidence-B/half-hour")
	b.ReportMetric(0, "ns/op")
}

// times are those that the batches of one kind took. Their median is what they
// take where nothing else gets in the way: on a machine that others work on too
// a few batches wait for the processor ten times as long as they need it.
type times []time.Duration

func (t times) sum() (all time.Duration) {
	for _, d := range t {
		all += d
	}
	return all
}

func (t times) median() time.Duration { return slices.Sorted(slices.Values(t))[len(t)/2] }
