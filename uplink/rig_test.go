package uplink

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

var (
	mainImport = energy.Key{Meter: "main", Measure: energy.Import}
	mainExport = energy.Key{Meter: "main", Measure: energy.Export}
	gas        = energy.Key{Meter: "gas", Measure: energy.Gas}
)

// rig is a gateway, a relay and the wire between them.
type rig struct {
	t     *testing.T
	dir   string
	pki   *identitytest.PKI
	out   *memOutbox
	relay *memRelay
	wire  *wire

	ahead atomic.Int64 // by how much the gateway's clock is, in nanoseconds

	mu   sync.Mutex
	c    *Client
	stop func()
}

func newRig(t *testing.T, seed uint64) *rig {
	t.Helper()
	pki := identitytest.New(t)
	r := &rig{t: t, dir: t.TempDir(), pki: pki, out: newOutbox(), relay: newRelay(t, pki)}
	r.out.rng = rand.New(rand.NewPCG(seed, 2))
	r.wire = &wire{t: t, h: r.relay, rng: rand.New(rand.NewPCG(seed, 1))}
	r.wire.look = law4(t, r.client)
	identityFolder(t, r.dir, pki)
	return r
}

// identityFolder fills a folder as Enroll would.
func identityFolder(t *testing.T, dir string, pki *identitytest.PKI) {
	t.Helper()
	pki.Client(gatewayURL, "Shop Ltd", memberURL).Write(dir, "client")
	pki.Signing(gatewayURL, "Shop Ltd", memberURL).Write(dir, "signing")
	b, err := json.Marshal(Enrolment{Gateway: gatewayURL, Member: memberURL, Relay: "https://relay.example", Directory: "https://directory.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{signingRootFile: identity.EncodeCertificates(pki.SigningCA.Root), gatewayFile: b} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) client() *Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c
}

// start makes a client and lets it run.
func (r *rig) start() *Client {
	r.t.Helper()
	c, err := New(Config{
		Dir: r.dir, Outbox: r.out, Now: func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }, HTTP: r.wire, Logger: record.Logger(r.t),
		Site: Site{Name: "Riverside Unit 4", Outcode: "SW8", Meters: []SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	r.mu.Lock()
	r.c = c
	r.stop = func() { cancel(); <-done }
	r.mu.Unlock()
	go func() { defer close(done); c.Run(ctx) }()
	return c
}

// end stops all that runs, as a bubble demands.
func (r *rig) end() { r.stop(); r.wire.wg.Wait() }

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// bubble runs a test in a bubble of time.
func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// grantOf is a live grant for registers.
func grantOf(id string, ks ...energy.Key) grant.Grant {
	now := time.Now().UTC().Truncate(time.Second)
	g := grant.Grant{ID: id, Gateway: gatewayURL, License: "https://registry.example/license", Client: "https://directory.example/a/bank",
		From: now.AddDate(-1, 0, 0), Granted: now, Expires: now.AddDate(1, 0, 0)}
	for _, k := range ks {
		g.Covers = append(g.Covers, grant.Cover{Meter: k.Meter, Measure: k.Measure})
	}
	return g
}

// hours makes n half-hours of a rising register, the last of them ending at or
// before end.
func hours(end time.Time, n int) []energy.HalfHour {
	end = end.Truncate(energy.Period)
	hh := make([]energy.HalfHour, n)
	register := int64(1_000_000)
	for i := range hh {
		start := end.Add(time.Duration(i-n) * energy.Period)
		wh := 100 + start.Unix()/1800*7919%2900
		register += wh
		hh[i] = energy.HalfHour{Start: start, Energy: wh, Cumulative: register, TakenAt: start.Add(energy.Period + 8*time.Second),
			Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}
		if i%7 == 3 {
			hh[i].Flags = energy.Flags(0).With(1 + i%20)
		}
	}
	return hh
}

// settled fails the test unless every half-hour of the registers is at the
// relay with its value and acknowledged here.
func (r *rig) settled(ks ...energy.Key) {
	r.t.Helper()
	wrong := 0
	r.out.each(func(k energy.Key, h *memHour) {
		covered := false
		for _, c := range ks {
			covered = covered || c == k
		}
		v, ok := r.relay.has(k, h.Start)
		switch {
		case !covered:
			return
		case !ok, v != batch.Value{Energy: h.Energy, Quality: h.Quality, Rule: h.Evidence.Rule, Flags: h.Flags}:
			wrong++
			r.t.Logf("%s %v: relay has %v (%v), here %v", k, h.Start, v, ok, h.HalfHour.Energy)
		case !h.acked:
			wrong++
			r.t.Logf("%s %v: not acknowledged (sealed %d)", k, h.Start, h.sealed)
		}
	})
	if wrong > 0 {
		r.t.Errorf("%d half-hours are not settled; %+v", wrong, r.client().Status())
	}
}
