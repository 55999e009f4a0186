package consumption

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

var (
	measureFor = flag.Duration("measure", 0, "how long to measure each rate; 0: TestMeasures does nothing")
	meterCount = flag.Int("meters", 10_000, "how many meters of 400 days to fill PostgreSQL with for TestMeasures")
)

const perSite = 10 // meters

// TestMeasures prints what a relay does in a second, each beside something that
// the database has no part in or little, and how that changes as it fills (make
// bench-relay).
func TestMeasures(t *testing.T) {
	if *measureFor == 0 {
		t.Skip("measures are printed by make bench-relay")
	}
	db, err := database.Open(databasetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "relay", migrations.Files); err != nil {
		t.Fatal(err)
	}
	f := newFull(t, db)
	fmt.Printf("%8s %12s %10s %10s | %9s %9s %7s %9s | %11s %11s %7s | %9s %9s %7s\n", "meters", "half-hours", "bytes each", "evidence",
		"years/s", "gzip/s", "ratio", "peak KiB", "ingested/s", "checked/s", "ratio", "tokens/s", "SELECT/s", "ratio")
	have := 0
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		if n <= *meterCount {
			f.fill(have, n)
			f.measure(n)
			have = n
		}
	}
}

// dataOf unpacks an answer up to its provenance, which is signed anew each time.
func dataOf(t testing.TB, w *httptest.ResponseRecorder) []byte {
	t.Helper()
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(w.Code, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	data, _, _ := bytes.Cut(b, []byte(`"provenance"`))
	return data
}

// request is the client's for a year of one of the copied meters.
func (f *full) request(meter int) *http.Request {
	r := httptest.NewRequest("GET", fmt.Sprintf("/datasources/src%d/import?from=%s&to=%s", meter, stamp(f.first), stamp(f.end)), nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Authorization", fmt.Sprint("Bearer f", (meter-1)/perSite))
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{f.cap}}}
	return r
}

func (f *full) ask(meter int) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	if f.mux.ServeHTTP(w, f.request(meter)); w.Code != 200 {
		f.t.Errorf("%d %s", w.Code, w.Body)
	}
	return w
}

func (f *full) measure(n int) {
	f.t.Helper()
	var halfHours, size int64
	if err := f.db.QueryRow(`SELECT count(*) * 48, pg_relation_size('day') FROM day`).Scan(&halfHours, &size); err != nil {
		f.t.Fatal(err)
	}
	plain := dataOf(f.t, f.ask(1))
	years, packed := rates(func() { f.ask(rand.IntN(n) + 1) }, func() {
		z := gzip.NewWriter(io.Discard)
		z.Write(plain) // io.Discard: cannot fail
		z.Close()
	})
	h := &high{header: http.Header{}}
	h.look()
	before := h.most
	h.most = 0
	f.mux.ServeHTTP(h, f.request(rand.IntN(n)+1))
	tokens, selects := rates(func() {
		if _, err := f.people.CheckToken(f.request(rand.IntN(n) + 1)); err != nil {
			f.t.Error(err)
		}
	}, func() {
		var one int
		f.request(rand.IntN(n) + 1) // the test's own work, on both sides
		if err := f.db.QueryRow(`SELECT $1::bigint`, 1).Scan(&one); err != nil {
			f.t.Error(err)
		}
	})
	ingested, checked, evidence := f.measureIngest()
	fmt.Printf("%8d %12d %10.2f %10.2f | %9.1f %9.1f %7.2f %9d | %11.0f %11.0f %7.2f | %9.0f %9.0f %7.2f\n", n, halfHours, float64(size)/float64(halfHours), evidence,
		years, packed, years/packed, (h.most-min(before, h.most))>>10, ingested, checked, ingested/checked, tokens, selects, tokens/selects)
}

// measureIngest has new gateways send three years of ten meters each, and gives
// the half-hours a second, beside those of batches that are only read and
// checked for their signature, and the bytes of a batch for each half-hour: they
// are kept as evidence, as long as the half-hours are.
func (f *full) measureIngest() (ingested, checked, evidence float64) {
	f.t.Helper()
	const days, turns = 62, 18
	var ours, bare time.Duration
	count, size := 0, 0
	for ours < *measureFor {
		f.taken++
		name := fmt.Sprint("in", f.taken)
		url := "https://directory.example/g/" + name
		peer, signing := f.pki.Client(url, "Ops Ltd", "https://directory.example/m/1").Cert(), f.pki.Signing(url, "Ops Ltd", "https://directory.example/m/1")
		var meters, covers []map[string]any
		for m := range perSite {
			meters = append(meters, map[string]any{"id": fmt.Sprint("m", m), "type": "electricity", "measures": []string{"import"}})
			covers = append(covers, map[string]any{"meter": fmt.Sprint("m", m), "measure": "import"})
		}
		text, err := json.Marshal(covers)
		if err != nil {
			f.t.Fatal(err)
		}
		f.permit(`'`+name+`'`, `generate_series(1, 1) g`, string(text))
		body, err := json.Marshal(map[string]any{"name": "Shop", "outcode": "SW8", "code": fmt.Sprintf("7K2M-9QXA-%04d", f.taken), "signing_certificate": string(signing.PEM()), "meters": meters})
		if err != nil {
			f.t.Fatal(err)
		}
		f.send(peer, "PUT", "/gateway/v1/site", "application/json", body)
		var previous batch.Hash
		for turn := range turns {
			first := f.end.AddDate(0, 0, (turn-turns)*days)
			b := batch.Batch{Gateway: url, Serial: signing.Cert().SerialNumber.Bytes(), Sequence: uint64(turn + 1), Previous: previous, Made: f.end, Grants: []string{name}}
			for m := range perSite {
				s := batch.Series{Meter: fmt.Sprint("m", m), Measure: energy.Import, First: first, Opening: 1000, Closing: 1000, Values: make([]batch.Value, days*48)}
				for i := range s.Values {
					wh := 100 + rand.Int64N(2900)
					s.Closing += wh
					s.Values[i] = batch.Value{Energy: wh, Quality: energy.Measured, Rule: energy.RuleBracketed}
				}
				b.Series = append(b.Series, s)
			}
			raw, err := batch.Encode(b, signing.Key)
			if err != nil {
				f.t.Fatal(err)
			}
			previous = batch.Sum(raw)
			began := time.Now()
			f.send(peer, "POST", "/gateway/v1/batches", batch.MediaType, raw)
			ours += time.Since(began)
			began = time.Now()
			if signed, err := batch.Decode(raw); err != nil || signed.Verify(signing.Cert().PublicKey.(*ecdsa.PublicKey)) != nil {
				f.t.Fatal(err)
			}
			bare += time.Since(began)
			count, size = count+perSite*days*48, size+len(raw)
		}
	}
	return float64(count) / ours.Seconds(), float64(count) / bare.Seconds(), float64(size) / float64(count)
}

func (f *full) send(who *x509.Certificate, method, path, kind string, body []byte) {
	f.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{who}}}
	w := httptest.NewRecorder()
	if f.mux.ServeHTTP(w, r); w.Code/100 != 2 {
		f.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

// rates is how often two at once do f in a second, and g: turn about, so that
// both meet the same machine.
func rates(f, g func()) (float64, float64) {
	const turns = 10
	var done [2]atomic.Int64
	var took [2]time.Duration
	for range turns {
		for i, do := range []func(){f, g} {
			began := time.Now()
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					for time.Since(began) < *measureFor/turns {
						do()
						done[i].Add(1)
					}
				})
			}
			wg.Wait()
			took[i] += time.Since(began)
		}
	}
	return float64(done[0].Load()) / took[0].Seconds(), float64(done[1].Load()) / took[1].Seconds()
}
