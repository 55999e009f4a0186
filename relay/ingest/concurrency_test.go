package ingest

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const parallel = 16

// together runs f in parallel goroutines and collects what they return. What is
// told that too many are in work is sent again, as gateways do.
func together(f func(i int) answer) []answer {
	out := make([]answer, parallel)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range parallel {
		wg.Go(func() {
			<-start
			for out[i] = f(i); out[i].status == http.StatusTooManyRequests; out[i] = f(i) {
				runtime.Gosched()
			}
		})
	}
	close(start)
	wg.Wait()
	return out
}

func TestSameBatchAtOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		raw := w.encode(w.next(series(mainIn, monday, 1, 2, 3)))
		for i, a := range together(func(int) answer { return w.post(raw) }) {
			if a.status != http.StatusOK || a.Sequence != 1 {
				t.Errorf("%d: %+v", i, a)
			}
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch`); n != 1 {
			t.Errorf("%d batches", n)
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("%v", got)
		}
	})
}

func TestCompetingBatches(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		raws := make([][]byte, parallel)
		for i := range raws {
			raws[i] = w.encode(w.next(series(mainIn, monday.Add(time.Duration(i)*energy.Period), int64(100+i))))
		}
		won := -1
		answers := together(func(i int) answer { return w.post(raws[i]) })
		for i, a := range answers {
			if a.status == http.StatusOK {
				if won >= 0 {
					t.Errorf("%d and %d both won", won, i)
				}
				won = i
			}
		}
		if won < 0 {
			t.Fatalf("nobody won: %+v", answers)
		}
		for i, a := range answers {
			if i != won && (a.status != http.StatusConflict || a.Sequence != 1 || a.Hash != batch.Sum(raws[won]).String()) {
				t.Errorf("%d: %+v", i, a)
			}
		}
		if got := energies(w.readings(mainIn)); !slices.Equal(got, []int64{int64(100 + won)}) {
			t.Errorf("%d won, but stored is %v", won, got)
		}
	})
}

// Many gateways begin at the same time: each gets registers of its own.
func TestGatewaysAtOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		type gateway struct {
			url  string
			site []byte
			raw  []byte
			http *http.Client
		}
		gateways := make([]gateway, parallel)
		var grants []grant.Grant
		for i := range gateways {
			g := &gateways[i]
			g.url = fmt.Sprintf("https://directory.example/g/many-%d", i)
			signing := w.pki.Signing(g.url, "Ops Ltd", memberURL)
			g.site = siteBody(signing.PEM(), fmt.Sprintf("0000-0000-00%02d", i))
			g.http = w.clientOf(w.pki.Client(g.url, "Ops Ltd", memberURL))
			var ss []batch.Series
			var keys []energy.Key
			for m := range 4 {
				k := energy.Key{Meter: fmt.Sprintf("meter-%d", m), Measure: energy.Import}
				keys, ss = append(keys, k), append(ss, series(k, monday, int64(1000*i+m)))
			}
			gr := grantFor(g.url, monday, keys...)
			gr.Gateway = g.url
			grants = append(grants, gr)
			var err error
			if g.raw, err = batch.Encode(batch.Batch{Gateway: g.url, Serial: signing.Cert().SerialNumber.Bytes(), Sequence: 1, Made: w.now(), Series: ss}, signing.Key); err != nil {
				t.Fatal(err)
			}
		}
		w.permits.set(grants...)
		for i, a := range together(func(i int) answer {
			if a := w.do(gateways[i].http, "PUT", "/gateway/v1/site", "application/json", gateways[i].site); a.status != http.StatusNoContent {
				return a
			}
			return w.do(gateways[i].http, "POST", "/gateway/v1/batches", batch.MediaType, gateways[i].raw)
		}) {
			if a.status != http.StatusOK {
				t.Errorf("%d: %+v", i, a)
			}
		}
		for i, g := range gateways {
			for m := range 4 {
				k := energy.Key{Meter: fmt.Sprintf("meter-%d", m), Measure: energy.Import}
				for r, err := range w.service.Readings(t.Context(), g.url, k, monday, monday.Add(time.Hour)) {
					if err != nil || r.Energy != int64(1000*i+m) {
						t.Errorf("gateway %d, meter %d: %+v, %v", i, m, r, err)
					}
				}
			}
		}
		if n := w.rows(`SELECT COUNT(DISTINCT id) FROM register`); n != 4*parallel {
			t.Errorf("%d registers, want %d", n, 4*parallel)
		}
		if n := w.rows(`SELECT COUNT(*) FROM day WHERE register NOT IN (SELECT id FROM register)`); n != 0 { // what no constraint says; see migration 10
			t.Errorf("%d days of registers that are not there", n)
		}
	})
}

// While a gateway sends as fast as it can, the permission is withdrawn: once
// the deletion is done nothing is left, and nothing comes any more.
func TestWithdrawalWhileSending(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		const most = 2000 // batches; far more than fit before the deletion
		sent := make(chan struct{}, most)
		done := make(chan answer, 1)
		go func() {
			for i := range most {
				raw := w.encode(w.next(series(mainIn, monday.Add(time.Duration(i%400)*energy.Period), int64(i+1))))
				a := w.post(raw)
				if a.status != http.StatusOK {
					done <- a
					return
				}
				w.advance(raw)
				sent <- struct{}{}
			}
			done <- answer{Text: "every batch was taken"}
		}()
		for range 10 {
			<-sent
		}
		w.permits.set() // the withdrawal is committed, then the data is deleted
		if _, err := w.service.DeleteUncovered(t.Context(), gatewayURL); err != nil {
			t.Fatal(err)
		}
		left := len(w.readings(mainIn))
		if a := <-done; a.status != 403 || a.Error != "no_permission" {
			t.Errorf("%+v", a)
		}
		if after := len(w.readings(mainIn)); left != 0 || after != 0 {
			t.Errorf("%d half-hours after the deletion, %d at the end", left, after)
		}
		if n := w.rows(`SELECT COUNT(*) FROM batch WHERE body IS NOT NULL`); n != 0 {
			t.Errorf("%d raw batches are left", n)
		}
	})
}
