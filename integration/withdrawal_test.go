package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// tapped is the wire from a gateway to its relay: it can be cut, and it keeps
// every batch that leaves, whatever becomes of it.
type tapped struct {
	next http.RoundTripper
	down atomic.Bool

	mu   sync.Mutex
	left []*batch.Signed
}

func (w *tapped) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.down.Load() {
		return nil, errors.New("the network is down")
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/batches") {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(raw))
		b, err := batch.Decode(raw)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		w.left = append(w.left, b)
		w.mu.Unlock()
	}
	return w.next.RoundTrip(r)
}

// starts gives the starts of the half-hours of a register that left, sorted.
func (w *tapped) starts(k energy.Key) (out []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.left {
		for _, s := range b.Series {
			if s.Meter == k.Meter && s.Measure == k.Measure {
				for at := s.First; at.Before(s.End()); at = at.Add(energy.Period) {
					out = append(out, at.UTC())
				}
			}
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

func (w *tapped) batches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.left)
}

// From the agreement on the page to the last half-hour: only what is granted
// leaves the gateway, as far back as the permission reaches; of two permissions
// one can be withdrawn; the gateway knows within a minute, the client is told,
// the data goes; a gateway that was offline meanwhile, and whose clock was set
// back, brings nothing back. The relay, the store and the uplink are the real
// ones, over mutual TLS; what leaves is read from the wire.
func TestWithdrawalFromPageToGateway(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		var ahead atomic.Int64 // of the gateway's clock
		gatewayNow := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		quiet := record.Logger(t)
		pki := identitytest.New(t)
		terms, err := scheme.New(registry)
		ok(err)
		const member, gatewayURL = "https://directory.example/m/relay", "https://directory.example/g/1"
		const bankID, capID = "https://directory.example/a/bank", "https://directory.example/a/cap"
		server := pki.Server("127.0.0.1")
		listen := func(mutual bool, h http.Handler) string {
			s := httptest.NewUnstartedServer(h)
			s.TLS = identity.ServerTLS(server.Get, nil)
			if mutual {
				s.TLS = identity.ServerTLS(server.Get, pki.ClientCA.Pool())
			}
			s.TLS.Certificates = []tls.Certificate{*server.TLS()}
			s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL
		}
		// What the clients are told, at their own addresses.
		var told sync.Map
		inbox := listen(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var m struct{ Body struct{ Token string } }
			if json.NewDecoder(r.Body).Decode(&m) == nil {
				told.Store(r.URL.Path, m.Body.Token)
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		relayRoles := []string{terms.Role(scheme.EDP), terms.Role(scheme.CAP)}
		delivery, err := permission.NewHTTPDelivery(permission.HTTPDeliveryConfig{
			Certificate: pki.Client("https://directory.example/a/relay", "Riverside Metering", member, relayRoles...).Get,
			ServerRoots: pki.ServerCA.Pool(), Private: true,
			Find: func(_ context.Context, application string) (string, error) {
				return inbox + application[strings.LastIndex(application, "/"):], nil
			}})
		ok(err)
		signing := pki.Signing("https://directory.example/a/relay", "Riverside Metering", member, relayRoles...)
		pages, programs := http.NewServeMux(), http.NewServeMux()
		issuer, resource := listen(false, pages), listen(true, programs)
		rel, err := relay.New(t.Context(), relay.Config{DB: db, Scheme: terms, Issuer: issuer, Server: resource, Organisation: "Riverside Metering",
			Members: []string{member}, SigningRoots: pki.SigningCA.Pool(), Signer: signing.Key, Chain: signing.Chain, SealKey: make([]byte, 32),
			Carbon: neso.Config{BaseURL: "http://127.0.0.1:1", Interval: time.Minute}, History: 24 * time.Hour, Logger: quiet, Messages: delivery})
		ok(err)
		rel.RegisterBrowser(pages)
		rel.RegisterServer(programs)
		running, stopRelay := context.WithCancel(t.Context())
		relayDone := make(chan struct{})
		go func() { defer close(relayDone); rel.Run(running) }()
		defer func() { stopRelay(); <-relayDone }()

		// The gateway: a meter that counts both ways, and gas.
		folder := t.TempDir()
		gate := pki.Client(gatewayURL, "Riverside Metering", member)
		gate.Write(folder, "client")
		pki.Signing(gatewayURL, "Riverside Metering", member).Write(folder, "signing")
		enrolment, err := json.Marshal(uplink.Enrolment{Gateway: gatewayURL, Member: member, Relay: resource, Directory: "https://directory.example"})
		ok(err)
		ok(os.WriteFile(filepath.Join(folder, "signing-root.pem"), identity.EncodeCertificates(pki.SigningCA.Root), 0o644))
		ok(os.WriteFile(filepath.Join(folder, "gateway.json"), enrolment, 0o644))
		out, _, err := store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Now: gatewayNow, Logger: quiet})
		ok(err)
		defer out.Close()
		bought, sold, gas := energy.Key{Meter: "main", Measure: energy.Import}, energy.Key{Meter: "main", Measure: energy.Export}, energy.Key{Meter: "boiler", Measure: energy.Gas}
		register := map[energy.Key]int64{}
		read := func(end time.Time, n int) { // n half-hours of each register that end by then
			t.Helper()
			var round store.Round
			for _, k := range []energy.Key{bought, sold, gas} {
				for i := range n {
					register[k] += 500
					start := end.Truncate(energy.Period).Add(time.Duration(i-n) * energy.Period)
					round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: energy.HalfHour{Start: start, Energy: 500, Cumulative: register[k],
						TakenAt: start.Add(energy.Period + time.Second), Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}})
				}
			}
			ok(out.Commit(round))
		}
		now := time.Now().UTC().Truncate(energy.Period)
		from := energy.MonthStart(time.Now().UTC().Add(-24 * time.Hour)) // how far the permissions reach
		read(from, 4)                                                    // before that
		read(now.Add(-20*time.Hour), 4)
		wire := &tapped{next: &http.Transport{TLSClientConfig: identity.ClientTLS(pki.ServerCA.Pool(), gate.Get)}}
		meters := []uplink.SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import, energy.Export}}, {ID: "boiler", Type: "gas", Measures: []energy.Measure{energy.Gas}}}
		start := func() (c *uplink.Client, stop func()) {
			t.Helper()
			c, err := uplink.New(uplink.Config{Dir: folder, Outbox: out, Now: gatewayNow, Logger: quiet, HTTP: wire, Site: uplink.Site{Name: "Unit 4", Outcode: "SW8", Meters: meters}})
			ok(err)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() { defer close(over); c.Run(ctx) }()
			return c, func() { cancel(); <-over }
		}
		c, stop := start()
		defer func() { stop() }()

		// A bank agrees on emissions: imports and gas, no exports.
		files := t.TempDir()
		ok(os.WriteFile(filepath.Join(files, "ca.pem"), identity.EncodeCertificates(pki.ServerCA.Root), 0o644))
		member2 := func(id, name, license string, role string) *client {
			t.Helper()
			pki.Client(id, name, "https://directory.example/m/"+name, terms.Role(role)).Write(files, role)
			a, err := newClient(id, filepath.Join(files, role+".pem"), filepath.Join(files, role+".key"), filepath.Join(files, "ca.pem"))
			ok(err)
			a.issuer, a.resource, a.license = issuer, resource, license
			return a
		}
		bank := member2(bankID, "Northern Bank plc", terms.LicenseCombined(), scheme.FSP)
		accountant := member2(capID, "Carbon Count Ltd", terms.LicenseConsumption(), scheme.CAP)
		agreed := func(a *client) {
			t.Helper()
			until(t, 60*time.Second, "the business agrees", nil, func() error { return a.permit(t.Context(), c.Code()) })
		}
		agreed(bank)
		delivered := func(what string, k energy.Key, n int) {
			t.Helper()
			until(t, 90*time.Second, what, nil, func() error {
				c.Notify()
				if got := wire.starts(k); len(got) != n {
					return fmt.Errorf("%d of %d half-hours of %s have left; %+v", len(got), n, k, c.Status())
				}
				return nil
			})
		}
		delivered("what the bank's figures are made of has left", bought, 4)
		delivered("gas has left", gas, 4)
		// An accountant gets it all. Two permissions overlap now.
		agreed(accountant)
		delivered("exports leave under the second permission", sold, 4)
		for _, k := range []energy.Key{bought, sold, gas} {
			if first := wire.starts(k)[0]; first.Before(from) {
				t.Errorf("%s of %v left: the permissions reach back to %v", k, first, from)
			}
		}

		withdraw := func(a *client) {
			t.Helper()
			ps, err := permission.List(t.Context(), db, time.Now(), permission.Filter{Client: a.id, State: permission.StateLive})
			if err != nil || len(ps) != 1 {
				t.Fatalf("permissions of %s: %+v, %v", a.id, ps, err)
			}
			f := url.Values{"code": {c.Code()}, "permission": {ps[0].ID}}
			res, err := ask(t.Context(), a.people, http.MethodPost, issuer+"/permissions/withdraw", "", f)
			if err != nil || res.status != http.StatusOK {
				t.Fatalf("withdraw: %d, %v", res.status, err)
			}
		}
		// The gateway knows within a minute of a withdrawal, and its client is told.
		pressed := time.Now()
		withdraw(accountant)
		until(t, 60*time.Second, "the gateway knows of the withdrawal", nil, func() error {
			for _, g := range c.Status().Grants {
				if g.Client == capID && g.Live(time.Now()) {
					return errors.New("still live")
				}
			}
			return nil
		})
		t.Logf("the gateway knew after %v", time.Since(pressed))
		until(t, 60*time.Second, "the accountant is told", nil, func() error {
			if got, _ := told.Load("/cap"); got != accountant.refresh {
				return fmt.Errorf("told %v", got)
			}
			return nil
		})
		read(now.Add(-15*time.Hour), 4)
		delivered("what the other permission covers goes on leaving", bought, 8)
		if got := wire.starts(sold); len(got) != 4 {
			t.Errorf("%d half-hours of exports have left, 4 of them before the withdrawal", len(got))
		}
		if a, err := accountant.fetch(t.Context(), "/datasources"); err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("the accountant after the withdrawal: %d, %v", a.status, err)
		}

		// Offline at the withdrawal, the clock set back, started again: nothing comes back.
		wire.down.Store(true)
		withdraw(bank)
		until(t, 60*time.Second, "the bank is told", nil, func() error {
			if got, _ := told.Load("/bank"); got != bank.refresh {
				return fmt.Errorf("told %v", got)
			}
			return nil
		})
		held := func() (days, bodies int) {
			ok(db.QueryRow(`SELECT count(*) FROM day`).Scan(&days))
			ok(db.QueryRow(`SELECT count(*) FROM batch WHERE body IS NOT NULL`).Scan(&bodies))
			return days, bodies
		}
		until(t, 60*time.Second, "the relay has deleted what nothing covers", nil, func() error {
			if d, b := held(); d != 0 || b != 0 {
				return fmt.Errorf("%d days, %d bodies", d, b)
			}
			return nil
		})
		stop()
		ahead.Store(int64(-time.Hour))
		read(now.Add(-10*time.Hour), 4)
		c, stop = start()
		wire.down.Store(false)
		until(t, 90*time.Second, "the gateway is back and knows", nil, func() error {
			s := c.Status()
			for _, g := range s.Grants {
				if g.Revoked.IsZero() {
					return fmt.Errorf("%s: not known to be withdrawn", g.Client)
				}
			}
			if !s.Connected {
				return errors.New("not connected")
			}
			return nil
		})
		n := wire.batches()
		for range 20 {
			c.Notify()
		}
		read(now.Add(-5*time.Hour), 4)
		c.Notify()
		// It asks again whether there are grants: whatever it wanted to send it would have sent by then.
		agreed(bank)
		until(t, 90*time.Second, "a new permission opens the way again", nil, func() error {
			if c.Notify(); wire.batches() == n {
				return errors.New("nothing left yet")
			}
			return nil
		})
		// The boiler's meter goes, and the permission is renewed without it: what the relay has of it goes too, and no more.
		days := func(meter string) (n int) {
			ok(db.QueryRow(`SELECT count(*) FROM day JOIN register ON register.id = day.register WHERE register.meter = $1`, meter).Scan(&n))
			return n
		}
		until(t, 90*time.Second, "the relay has gas again", nil, func() error {
			if c.Notify(); days("boiler") == 0 || days("main") == 0 {
				return errors.New("no half-hours yet")
			}
			return nil
		})
		stop()
		meters = meters[:1]
		c, stop = start()
		until(t, 90*time.Second, "the gateway has told of its meters", nil, func() error {
			var n int
			if err := db.QueryRow(`SELECT count(*) FROM meter WHERE listed`).Scan(&n); err != nil || n != 1 {
				return fmt.Errorf("%d meters, %w", n, err)
			}
			return nil
		})
		agreed(bank)
		until(t, 60*time.Second, "the relay has deleted what the renewal dropped", nil, func() error {
			var n int
			err := db.QueryRow(`SELECT count(*) FROM deletion WHERE reason = 'renewal' AND finished <> 0 AND half_hours > 0`).Scan(&n)
			if err != nil || n != 1 || days("boiler") != 0 {
				return fmt.Errorf("%d days of gas, %d deletions, %w", days("boiler"), n, err)
			}
			return nil
		})
		if days("main") == 0 {
			t.Error("what the renewal kept was deleted too")
		}

		wire.mu.Lock()
		defer wire.mu.Unlock()
		old := map[string]bool{}
		ps, err := permission.List(t.Context(), db, time.Now(), permission.Filter{State: permission.StateWithdrawn})
		ok(err)
		for _, p := range ps {
			old[p.ID] = true
		}
		for _, b := range wire.left[n:] {
			for _, g := range b.Grants {
				if old[g] {
					t.Errorf("batch %d relies on a permission that was withdrawn", b.Sequence)
				}
			}
			for _, s := range b.Series {
				if s.Meter == sold.Meter && s.Measure == sold.Measure {
					t.Errorf("batch %d has exports, which no permission covers", b.Sequence)
				}
			}
		}
	})
}
