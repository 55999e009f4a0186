package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	directoryserver "github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// liveGrants gives the relay's side the grants that the gateway is given.
type liveGrants []grant.Grant

func (g liveGrants) LiveGrants(_ context.Context, gateway string, now time.Time) (out []grant.Grant, err error) {
	for _, x := range g {
		if x.Gateway == gateway && x.Live(now) {
			out = append(out, x)
		}
	}
	return out, nil
}

// A gateway renews by itself in the midst of its chain: a batch signed before
// and not yet delivered is taken, the next one is signed with the new
// certificate, and the chain and the gateway are the same. The directory, the
// relay's ingest, the store and the uplink are the real ones, over mutual TLS.
func TestRenewalWithinTheChain(t *testing.T) { renewalWithinTheChain(t, keystore.File) }

// The same with keys in a PKCS#11 token.
func TestRenewalInAToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	renewalWithinTheChain(t, tok.Kind)
	if n := tok.Keys(); n%2 != 0 || n == 0 { // a pair for each database
		t.Errorf("%d keys are in the token", n)
	}
}

func renewalWithinTheChain(t *testing.T, keys string) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		present := time.Now().UTC().Truncate(time.Second)
		past := present.AddDate(0, -9, 0)
		var clock atomic.Pointer[time.Time]
		clock.Store(&past)
		now := func() time.Time { return *clock.Load() }
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		quiet := record.Logger(t)
		pki := identitytest.New(t) // for the servers' own certificates
		listen := func(conf *tls.Config, h http.Handler) string {
			s := httptest.NewUnstartedServer(h)
			s.TLS = conf
			s.TLS.Certificates = []tls.Certificate{*pki.Server("127.0.0.1").TLS()}
			s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL
		}
		server := pki.Server("127.0.0.1")

		authorities, err := ca.CreateAuthorities(filepath.Join(t.TempDir(), "authorities"), "Example Framework", past.AddDate(0, 0, -1))
		ok(err)
		terms, err := scheme.New(registry)
		ok(err)
		relay := http.NewServeMux()
		var hold atomic.Bool
		relayURL := listen(identity.ServerTLS(server.Get, authorities.Client.Pool()), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hold.Load() && r.URL.Path == "/gateway/v1/batches" {
				http.Error(w, "held", http.StatusInternalServerError)
				return
			}
			relay.ServeHTTP(w, r)
		}))
		d, err := directory.New(directory.Config{DB: db.DB, Migrate: func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
			BaseURL: "https://directory.example.org", Authorities: authorities, Scheme: terms, RelayURL: relayURL, Now: now, Logger: quiet})
		ok(err)
		front, err := directoryserver.New(d, directoryserver.Config{})
		ok(err)
		directoryURL := listen(identity.AskingTLS(server.Get, authorities.Client.Pool()), front.Handler())

		edp := terms.Role(scheme.EDP)
		m, err := d.AddMember(t.Context(), directory.Member{LegalName: "Perse Energy Ltd", Roles: []string{edp}})
		ok(err)
		app, err := d.AddApplication(t.Context(), directory.Application{Member: m.ID, Name: "Relay", Roles: []string{edp}})
		ok(err)
		key, err := identity.NewKey()
		ok(err)
		csr, err := identity.NewCSR(key, "relay")
		ok(err)
		signing, err := d.IssueSigning(t.Context(), app.ID, csr)
		ok(err)
		g, code, err := d.AddGateway(t.Context(), directory.Gateway{Application: app.ID, Name: "Unit 4", Site: "Riverside"})
		ok(err)

		k := energy.Key{Meter: "main", Measure: energy.Import}
		gateway := d.GatewayURL(g.ID)
		live := grant.Grant{ID: "grant-1", Gateway: gateway, License: terms.LicenseConsumption(), Client: "https://directory.example.org/a/cap",
			Covers: []grant.Cover{{Meter: k.Meter, Measure: k.Measure}}, From: past.AddDate(0, 0, -7), Granted: past.AddDate(0, 0, -1), Expires: present.AddDate(0, 1, 0)}
		raw, err := grant.Sign(grant.Set{Gateway: gateway, Issued: past, Grants: []grant.Grant{live}}, key, []*x509.Certificate{signing.Leaf, signing.Issuer})
		ok(err)
		ingest.New(ingest.Config{DB: db, SigningRoots: authorities.Signing.Pool(), Members: []string{d.MemberURL(m.ID)}, Permits: liveGrants{live}, Now: now, Logger: quiet}).Register(relay)
		relay.HandleFunc("GET /gateway/v1/grants", func(w http.ResponseWriter, r *http.Request) { w.Write(raw) })

		dir, ca := filepath.Join(t.TempDir(), "identity"), filepath.Join(t.TempDir(), "ca.pem")
		ok(os.WriteFile(ca, identity.EncodeCertificates(pki.ServerCA.Root), 0o644))
		_, err = uplink.Enroll(t.Context(), uplink.EnrollRequest{Directory: directoryURL, Code: code, Dir: dir, CAFile: ca, Keys: keys, Now: now})
		ok(err)
		out, _, err := store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Now: now, Logger: quiet})
		ok(err)
		defer out.Close()
		register := int64(1000)
		read := func(end time.Time) { // four half-hours that end by then
			var round store.Round
			for i := range 4 {
				register += 500
				start := end.Truncate(energy.Period).Add(time.Duration(i-4) * energy.Period)
				round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: energy.HalfHour{Start: start, Energy: 500, Cumulative: register,
					TakenAt: start.Add(energy.Period + time.Second), Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}})
			}
			ok(out.Commit(round))
		}
		c, err := uplink.New(uplink.Config{Dir: dir, Keys: keys, Outbox: out, Now: now, Logger: quiet, Site: uplink.Site{Name: "Unit 4", Outcode: "SW8",
			Meters: []uplink.SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}}})
		ok(err)
		first := c.Status().Certificates
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); c.Run(ctx) }()
		defer func() { stop(); <-over }()
		// delivered waits until all is at the relay, and gives the number of the
		// last batch: what is said of months may be in one of its own.
		delivered := func(least uint64) (last uint64) {
			t.Helper()
			until(t, 90*time.Second, fmt.Sprintf("batch %d is at the relay, and nothing waits", least), nil, func() error {
				c.Notify()
				s := c.Status()
				if last = s.Acknowledged; last < least || s.Pending > 0 || s.Sealed {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			return last
		}

		read(past)
		second := delivered(1) + 1
		hold.Store(true)
		read(past.Add(4 * energy.Period))
		later := past.Add(4 * energy.Period)
		clock.Store(&later)
		until(t, 90*time.Second, "the second is sealed", nil, func() error {
			c.Notify()
			if n, _, err := out.Oldest(); n != second || err != nil {
				return fmt.Errorf("oldest %d, %v", n, err)
			}
			return nil
		})
		clock.Store(&present) // three quarters of the certificates' life are over
		until(t, 90*time.Second, "both certificates are renewed", nil, func() error {
			for i, s := range c.Status().Certificates {
				if s.Serial == first[i].Serial || s.State != "valid" {
					return fmt.Errorf("%+v", s)
				}
			}
			return nil
		})
		read(present)
		hold.Store(false)
		last := delivered(second + 1)

		var serials []string
		previous := batch.Hash{}
		for n := range last {
			var body []byte
			ok(db.QueryRow(`SELECT body FROM batch WHERE gateway = $1 AND sequence = $2`, gateway, n+1).Scan(&body))
			b, err := batch.Decode(body)
			ok(err)
			if b.Gateway != gateway || b.Previous != previous {
				t.Errorf("batch %d: of %s, does not follow the one before", n+1, b.Gateway)
			}
			previous = b.Hash()
			serials = append(serials, new(big.Int).SetBytes(b.Serial).String())
		}
		renewed := c.Status().Certificates[1].Serial
		for i, serial := range serials {
			want := first[1].Serial
			if uint64(i) >= second {
				want = renewed
			}
			if serial != want {
				t.Errorf("batch %d is signed with %s, want %s", i+1, serial, want)
			}
		}
	})
}
