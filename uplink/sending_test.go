package uplink

import (
	"bytes"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// A relay that takes less gets less.
func TestTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		rng := rand.New(rand.NewPCG(1, 1))
		noise := hours(time.Now(), 3000)
		for i := range noise {
			noise[i].Energy, noise[i].Cumulative = rng.Int64N(3000), -1
		}
		r.out.add(mainImport, noise...)
		r.relay.grant(grantOf("g1", mainImport))
		r.relay.tooLarge = 1000
		r.start()
		pass(time.Minute)
		r.end()
		r.settled(mainImport)
		if _, _, carried, head := r.relay.counts(); carried != 3000 || head < 3 {
			t.Errorf("%d half-hours in %d batches", carried, head)
		}
	})
}

// Batches stay below 256 KiB, whatever is in them.
func TestBatchBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		rng := rand.New(rand.NewPCG(1, 1))
		var ks []energy.Key
		for i := range 25 {
			k := energy.Key{Meter: fmt.Sprint("meter-", i), Measure: energy.Import}
			noise := hours(time.Now(), 62*48)
			for i := range noise {
				noise[i].Energy, noise[i].Cumulative = rng.Int64N(batch.MaxEnergy), -1
			}
			r.out.add(k, noise...)
			ks = append(ks, k)
		}
		r.relay.grant(grantOf("g1", ks...))
		look := r.wire.look
		largest := 0
		r.wire.look = func(q *http.Request, body []byte) {
			if q.Method == http.MethodPost {
				largest = max(largest, len(body))
			}
			look(q, body)
		}
		r.start()
		pass(time.Minute)
		r.end()
		r.settled(ks...)
		if largest > batchBytes || largest < batchBytes/4 {
			t.Errorf("the largest batch has %d bytes", largest)
		}
	})
}

// Statements of baseline go under a grant only; one that none covers waits and
// does not hold up the others.
func TestStatements(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		state := func(k energy.Key, body string) {
			r.out.mu.Lock()
			defer r.out.mu.Unlock()
			r.out.statements = append(r.out.statements, &memStatement{KeyedStatement: energy.KeyedStatement{Key: k, At: time.Now().Add(-time.Minute), Body: []byte(body)}})
		}
		sent := func() string {
			r.relay.mu.Lock()
			defer r.relay.mu.Unlock()
			var s []string
			for _, b := range r.relay.baseline {
				s = append(s, string(b.Body))
			}
			slices.Sort(s)
			return strings.Join(s, " ")
		}
		for i := range 3 {
			state(mainExport, fmt.Sprint("export", i))
		}
		state(mainImport, "import")
		state(gas, strings.Repeat("x", batch.MaxStatement+1)) // cannot be carried
		r.out.add(mainImport, hours(time.Now(), 3)...)
		r.relay.grant(grantOf("g1", mainImport))
		fail := true
		r.wire.pick = func(q *http.Request) fault {
			if fail && q.Method == http.MethodPost {
				return unreachable
			}
			return none
		}
		r.start()
		pass(time.Minute)
		r.out.powerOn(3) // somewhere in the middle
		r.client().Notify()
		pass(time.Hour)
		r.stop()
		r.out.powerOn(0)
		r.wire.mu.Lock()
		fail = false
		r.wire.mu.Unlock()
		c := r.start()
		defer r.end()
		pass(10 * time.Minute)
		if got := sent(); got != "import" {
			t.Errorf("sent %q, want the covered one", got)
		}
		r.relay.grant(grantOf("g2", mainImport, mainExport))
		pass(time.Second)
		r.out.add(mainImport, hours(time.Now().Add(energy.Period), 1)...)
		c.Notify()
		pass(10 * time.Minute)
		if got := sent(); got != "export0 export1 export2 import" {
			t.Errorf("sent %q, want all", got)
		}
		if kept, err := c.aside(); err != nil || len(kept) != 0 {
			t.Errorf("still put aside: %v, %v", kept, err)
		}
		r.settled(mainImport)
	})
}

// What the relay says no to is said in words that help.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no permission":  {403, `{"error":"no_permission","error_description":"none for main/import"}`, "has no permission on record"},
		"revoked":        {403, `{"error":"access_denied","error_description":"certificate revoked"}`, "does not accept this gateway"},
		"unauthorised":   {401, `{"error":"invalid_client"}`, "does not accept this gateway"},
		"invalid batch":  {400, `{"error":"invalid_batch","error_description":"set the gateway's clock"}`, "set the gateway's clock"},
		"other address":  {404, `<html>`, "check the relay's URL"},
		"fault":          {500, `{"error":"server_error"}`, "fault of its own"},
		"busy":           {429, `{"error":"slow_down"}`, "tried again later"},
		"hotel":          {200, `<html>`, "cannot be read"},
		"stored nothing": {200, `{"sequence":0}`, "not yet 1"},
		"bad conflict":   {409, `{"error":"out_of_sequence"}`, "not where it stands"},
		"bad hash":       {409, `{"error":"out_of_sequence","sequence":4,"hash":"zz"}`, "hash cannot be read"},
		"its own head":   {409, `{"error":"out_of_sequence","sequence":0,"hash":""}`, "the very batch that it waits for"},
		"moved":          {302, ``, "answered 302"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, 1)
				r.out.add(mainImport, hours(time.Now(), 3)...)
				r.relay.grant(grantOf("g1", mainImport))
				var posts atomic.Int64
				var well atomic.Bool
				r.wire.h = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if q.Method == http.MethodPost && !well.Load() {
						posts.Add(1)
						w.WriteHeader(c.status)
						w.Write([]byte(c.body))
						return
					}
					r.relay.ServeHTTP(w, q)
				})
				client := r.start()
				defer r.end()
				pass(time.Hour)
				s := client.Status()
				if !strings.Contains(s.Error, c.want) || !s.Connected {
					t.Errorf("status %q, want ..%s..", s.Error, c.want)
				}
				if n := posts.Load(); n < 5 || n > 60 {
					t.Errorf("%d tries in an hour", n)
				}
				well.Store(true)
				pass(6 * time.Minute)
				r.settled(mainImport)
				if s := client.Status(); s.Error != "" {
					t.Errorf("still says %q", s.Error)
				}
			})
		})
	}
}

// A batch that was sealed when the gateway was revoked is signed anew once it is
// enrolled again: as it was, it would be refused for ever.
func TestSealedBeforeRevocation(t *testing.T) {
	for _, code := range []string{"invalid_certificate", "unknown_certificate"} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, 1)
			r.out.add(mainImport, hours(time.Now(), 3)...)
			r.relay.grant(grantOf("g1", mainImport))
			revoked := func() string {
				f, err := openFolder(r.dir, "")
				if err != nil {
					t.Fatal(err)
				}
				p, err := f.signer()
				if err != nil {
					t.Fatal(err)
				}
				return p.leaf().SerialNumber.String()
			}()
			posts := 0
			r.wire.h = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.Method == http.MethodPost {
					raw, _ := io.ReadAll(q.Body)
					q.Body = io.NopCloser(bytes.NewReader(raw))
					if b, err := batch.Decode(raw); err == nil && new(big.Int).SetBytes(b.Serial).String() == revoked {
						posts++
						refuse(w, 403, code, nil)
						return
					}
				}
				r.relay.ServeHTTP(w, q)
			})
			r.start()
			pass(time.Hour)
			r.end()
			if _, raw, _ := r.out.Oldest(); raw == nil || posts < 2 {
				t.Fatalf("nothing is sealed; %d tries", posts)
			}
			posts = 0
			identityFolder(t, r.dir, r.pki)
			r.out.add(mainImport, hours(time.Now(), 2)...)
			r.start()
			defer r.end()
			pass(10 * time.Minute)
			r.settled(mainImport)
			if posts != 1 {
				t.Errorf("the old batch was tried %d times", posts)
			}
			if n, writes, _, _ := r.relay.counts(); n != writes {
				t.Errorf("%d half-hours by %d writes", n, writes)
			}
		})
	}
}

// A gateway that lost its code to another makes a new one.
func TestCodeTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		first := ""
		r.wire.h = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodPut && r.client().Code() == first {
				refuse(w, 409, "code_taken", nil)
				return
			}
			r.relay.ServeHTTP(w, q)
		})
		r.out.SetMeta(metaCode, []byte("7K2M-9QXA-04TB"))
		first = "7K2M-9QXA-04TB"
		c := r.start()
		defer r.end()
		pass(time.Minute)
		if kept, _ := r.out.Meta(metaCode); c.Code() == first || string(kept) != c.Code() || !strings.Contains(r.relay.siteText(), c.Code()) {
			t.Errorf("code %s, kept %s, site %s", c.Code(), kept, r.relay.siteText())
		}
	})
}
