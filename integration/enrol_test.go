package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	directoryserver "github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
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

// A gateway's whole life with its directory: a code enrols it and it delivers;
// it is revoked with a batch sealed and on its way, says so and goes on
// recording; a new code brings it back, and what was measured meanwhile arrives,
// once, in the same chain. Directory, ingest, store and uplink are the real
// ones, over mutual TLS.
func TestRevokedAndBack(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		quiet := record.Logger(t)
		pki := identitytest.New(t) // for the servers' own certificates
		server := pki.Server("127.0.0.1")
		listen := func(conf *tls.Config, h http.Handler) string {
			s := httptest.NewUnstartedServer(h)
			s.TLS = conf
			s.TLS.Certificates = []tls.Certificate{*server.TLS()}
			s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL
		}
		present := time.Now().UTC().Truncate(time.Second)
		authorities, err := ca.CreateAuthorities(filepath.Join(t.TempDir(), "authorities"), "Example Framework", present.AddDate(0, 0, -1))
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
			BaseURL: "https://directory.example.org", Authorities: authorities, Scheme: terms, RelayURL: relayURL, Logger: quiet})
		ok(err)
		front, err := directoryserver.New(d, directoryserver.Config{})
		ok(err)
		directoryURL := listen(identity.AskingTLS(server.Get, authorities.Client.Pool()), front.Handler())
		// The relay follows the directory's revocation lists.
		var sources []identity.CRLSource
		for _, h := range []ca.Hierarchy{ca.Client, ca.Signing} {
			sources = append(sources, identity.CRLSource{Name: string(h), Issuer: authorities.Of(h).Issuer, Fetch: func(ctx context.Context) ([]byte, error) {
				l, err := d.CRL(ctx, h)
				return l.DER, err
			}})
		}
		revocations, err := identity.NewRevocations(identity.RevocationsConfig{Sources: sources, Logger: quiet})
		ok(err)
		ok(revocations.Refresh(t.Context()))

		m, err := d.AddMember(t.Context(), directory.Member{LegalName: "Perse Energy Ltd", Roles: []string{terms.Role(scheme.EDP)}})
		ok(err)
		app, err := d.AddApplication(t.Context(), directory.Application{Member: m.ID, Name: "Relay", Roles: []string{terms.Role(scheme.EDP)}})
		ok(err)
		key, err := identity.NewKey()
		ok(err)
		csr, err := identity.NewCSR(key, "relay")
		ok(err)
		signing, err := d.IssueSigning(t.Context(), app.ID, csr)
		ok(err)
		place, err := d.OpenSite(t.Context(), directory.Site{Member: m.ID, Name: "Riverside", Outcode: "SW8"}, app.ID, "Unit 4")
		ok(err)

		k := energy.Key{Meter: "main", Measure: energy.Import}
		gateway := d.GatewayURL(place.Gateway.ID)
		live := grant.Grant{ID: "grant-1", Gateway: gateway, License: terms.LicenseConsumption(), Client: "https://directory.example.org/a/cap",
			Covers: []grant.Cover{{Meter: k.Meter, Measure: k.Measure}}, From: present.AddDate(0, 0, -7), Granted: present.AddDate(0, 0, -1), Expires: present.AddDate(0, 1, 0)}
		raw, err := grant.Sign(grant.Set{Gateway: gateway, Issued: present, Grants: []grant.Grant{live}}, key, []*x509.Certificate{signing.Leaf, signing.Issuer})
		ok(err)
		ingest.New(ingest.Config{DB: db, SigningRoots: authorities.Signing.Pool(), Members: []string{d.MemberURL(m.ID)}, Permits: liveGrants{live}, Revoked: revocations.Revoked, Logger: quiet}).Register(relay)
		relay.HandleFunc("GET /gateway/v1/grants", func(w http.ResponseWriter, r *http.Request) {
			if peer, err := identity.RequestPeer(r); err != nil || revocations.Revoked(peer.Serial) {
				http.Error(w, `{"error":"certificate_revoked"}`, http.StatusForbidden)
				return
			}
			w.Write(raw)
		})

		dir, ca := filepath.Join(t.TempDir(), "identity"), filepath.Join(t.TempDir(), "ca.pem")
		ok(os.WriteFile(ca, identity.EncodeCertificates(pki.ServerCA.Root), 0o644))
		enrol := func(code string) error {
			_, err := uplink.Enroll(t.Context(), uplink.EnrollRequest{Directory: directoryURL, Code: code, Dir: dir, CAFile: ca})
			return err
		}
		ok(enrol(strings.Replace(place.Code.Link, "https://directory.example.org", directoryURL, 1))) // what the QR code holds
		out, _, err := store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Logger: quiet})
		ok(err)
		defer out.Close()
		begin, register, measured := present.Truncate(energy.Period).Add(-20*energy.Period), int64(1000), 0
		read := func(n int) {
			var round store.Round
			for range n {
				register += 500
				start := begin.Add(time.Duration(measured) * energy.Period)
				measured++
				round.HalfHours = append(round.HalfHours, store.KeyedHalfHour{Key: k, HalfHour: energy.HalfHour{Start: start, Energy: 500, Cumulative: register,
					TakenAt: start.Add(energy.Period + time.Second), Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}})
			}
			ok(out.Commit(round))
		}
		// run is the agent's part: a client at a time, made anew when one ends.
		var now atomic.Pointer[uplink.Client]
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		defer func() { stop(); <-over }()
		site := uplink.Site{Name: "Unit 4", Outcode: "SW8", Meters: []uplink.SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}}
		first, err := uplink.New(uplink.Config{Dir: dir, Outbox: out, Logger: quiet, Site: site})
		ok(err)
		now.Store(first)
		go func() {
			defer close(over)
			for ctx.Err() == nil {
				now.Load().Run(ctx)
				if c, err := uplink.New(uplink.Config{Dir: dir, Outbox: out, Logger: quiet, Site: site}); err == nil {
					now.Store(c)
				}
			}
		}()
		signer := func() string { return now.Load().Status().Certificates[1].Serial }
		delivered := func(n uint64) {
			t.Helper()
			until(t, 90*time.Second, fmt.Sprintf("batch %d is at the relay", n), nil, func() error {
				c := now.Load()
				if c.Notify(); c.Status().Acknowledged != n {
					return fmt.Errorf("%+v", c.Status())
				}
				return nil
			})
		}

		read(4)
		delivered(1)
		before := signer()
		hold.Store(true)
		read(2)
		until(t, 90*time.Second, "batch 2 is sealed", nil, func() error {
			now.Load().Notify()
			if n, _, err := out.Oldest(); n != 2 || err != nil {
				return fmt.Errorf("oldest %d, %v", n, err)
			}
			return nil
		})
		n, err := d.RevokeGateway(t.Context(), place.Gateway.ID, "stolen from the van")
		ok(err)
		if n != 2 {
			t.Errorf("%d certificates were revoked", n)
		}
		ok(revocations.Refresh(t.Context()))
		hold.Store(false)
		read(3)
		until(t, 90*time.Second, "the gateway knows that it is revoked", nil, func() error {
			now.Load().Notify()
			if c := now.Load().Status().Certificates[0]; c.State != "revoked" || !strings.Contains(c.Words, "Readings are kept here") {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
		read(3)
		if err := enrol(place.Code.Text); err == nil || !strings.Contains(err.Error(), "does not know this code") {
			t.Errorf("the first code again: %v", err)
		}

		// A code of another gateway, and of another organisation, does not do.
		other, err := d.AddMember(t.Context(), directory.Member{LegalName: "Others Ltd"})
		ok(err)
		for _, member := range []string{m.ID, other.ID} {
			stray, err := d.OpenSite(t.Context(), directory.Site{Member: member, Name: "Elsewhere", Outcode: "CF10"}, "", "")
			ok(err)
			if err := enrol(stray.Code.Text); err == nil || !strings.Contains(err.Error(), "still good") {
				t.Errorf("another gateway's code: %v", err)
			}
			if s, err := d.Standing(t.Context(), stray.Gateway.ID); err != nil || s.State != "new" || s.CodeExpires.IsZero() {
				t.Errorf("its code afterwards: %+v, %v", s, err)
			}
		}

		code, err := d.NewCode(t.Context(), place.Gateway.ID)
		ok(err)
		ok(enrol(code))
		now.Load().Reread()
		delivered(2)
		read(2)
		delivered(3)
		if err := enrol(code); !errors.Is(err, uplink.ErrEnrolled) {
			t.Errorf("enrolled again: %v", err)
		}
		if s := signer(); s == before {
			t.Error("the signing certificate is the revoked one")
		}

		previous, series := batch.Hash{}, map[int64]int{}
		for n := range 3 {
			var body []byte
			ok(db.QueryRow(`SELECT body FROM batch WHERE gateway = $1 AND sequence = $2`, gateway, n+1).Scan(&body))
			b, err := batch.Decode(body)
			ok(err)
			if b.Previous != previous {
				t.Errorf("batch %d does not follow the one before", n+1)
			}
			previous = b.Hash()
			want := before
			if n > 0 {
				want = signer()
			}
			if got := new(big.Int).SetBytes(b.Serial).String(); got != want {
				t.Errorf("batch %d is signed with %s, want %s", n+1, got, want)
			}
			for _, s := range b.Series {
				for i := range s.Values {
					series[s.First.Add(time.Duration(i)*energy.Period).Unix()]++
				}
			}
		}
		for i := range measured {
			if n := series[begin.Add(time.Duration(i)*energy.Period).Unix()]; n != 1 {
				t.Errorf("half-hour %d of %d arrived %d times", i+1, measured, n)
			}
		}
	})
}
