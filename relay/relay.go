// Package relay puts the relay's rooms together: what gateways deliver
// (ingest), what businesses permit (permission), what carbon accountants fetch
// (consumption), what is made of it (emissions) and what banks receive (bank).
package relay

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/configs"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/bank"
	"github.com/perseus-edge/perseus-edge/relay/consumption"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/emissions/neso"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Config is what a relay needs. Fields without "optional" are required.
type Config struct {
	DB           *database.DB
	Scheme       scheme.Scheme
	Issuer       string              // base URL of the permission pages
	Server       string              // base URL for applications and gateways, over mutual TLS
	Organisation string              // the member that runs the relay, as people know it
	Members      []string            // URLs of the members whose gateways are served
	SigningRoots *x509.CertPool      // roots of the signing hierarchy
	Signer       crypto.Signer       // the relay's signing key
	Chain        []*x509.Certificate // its certificate, leaf first
	SealKey      []byte              // 32 bytes
	Carbon       neso.Config         // the carbon intensity API

	Revoked     func(serial *big.Int) bool // optional
	History     time.Duration              // optional; see permission.Config
	Retention   time.Duration              // optional; see ingest.Config
	KeepExpired time.Duration              // optional; see ingest.Config
	Words       map[string]string          // optional; permission texts by licence URL, in place of our own
	KeepEnded   time.Duration              // optional; see permission.Config
	Privacy     string                     // optional; see permission.Config
	Messages    permission.Delivery        // optional; how clients are told of withdrawals; see permission.Config
	Now         func() time.Time           // optional; time.Now
	Logger      *slog.Logger               // optional; slog.Default

	WithdrawalSubject string // optional; see permission.Config
}

// Relay is a relay, ready to serve. Run must run besides.
type Relay struct {
	now         func() time.Time
	issuer      string
	server      string
	ingest      *ingest.Service
	permission  *permission.Service
	consumption *consumption.Service
	emissions   *emissions.Service
	bank        *bank.Service
}

// New brings the database up to date and puts the relay together.
func New(ctx context.Context, c Config) (*Relay, error) {
	if err := c.DB.Migrate(ctx, "relay", migrations.Files); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	peer, err := identity.PeerOf(c.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("the relay's signing certificate: %w", err)
	}
	for _, role := range []string{scheme.EDP, scheme.CAP} {
		if !peer.HasRole(c.Scheme.Role(role)) {
			return nil, fmt.Errorf("the relay's signing certificate lacks the role %s", c.Scheme.Role(role))
		}
	}
	r := &Relay{now: c.Now, issuer: c.Issuer, server: c.Server}
	signer := provenance.Signer{Key: c.Signer, Chain: c.Chain, Now: c.Now}
	r.ingest = ingest.New(ingest.Config{
		DB: c.DB, SigningRoots: c.SigningRoots, Members: c.Members, Permits: permits{r}, Revoked: c.Revoked, Now: c.Now, Logger: c.Logger,
		TrustFramework: c.Scheme.TrustFramework(), Retention: c.Retention, KeepExpired: c.KeepExpired, Attest: ingest.Attested(c.Scheme, signer),
	})
	if r.permission, err = permission.New(permission.Config{
		DB: c.DB, Issuer: c.Issuer, Server: c.Server, Scheme: c.Scheme, Organisation: c.Organisation, Sites: r.ingest,
		SealKey: c.SealKey, Signer: c.Signer, Chain: c.Chain, History: c.History, Words: c.Words, Revoked: c.Revoked, Now: c.Now, Logger: c.Logger,
		OnWithdraw: r.forget, OnNarrow: r.drop, Messages: c.Messages, WithdrawalSubject: c.WithdrawalSubject, KeepEnded: c.KeepEnded, Privacy: c.Privacy,
	}); err != nil {
		return nil, err
	}
	if r.consumption, err = consumption.New(consumption.Config{
		Access: r.permission.CheckToken, Store: r.ingest, Scheme: c.Scheme, Now: c.Now, Logger: c.Logger,
		Provenance: consumption.NewRecorder(c.Scheme, c.Server, signer, r.ingest.BatchHashes),
	}); err != nil {
		return nil, err
	}
	if err := r.makeEmissions(c); err != nil {
		return nil, err
	}
	r.bank, err = bank.New(bank.Config{
		CheckToken: func(req *http.Request) (bank.Access, error) {
			a, err := r.permission.CheckToken(req)
			return bank.Access(a), err
		},
		Emissions: r.emissions, Statements: r.ingest.MonthRoots, Scheme: c.Scheme, Application: peer.Application, Service: c.Server, Signer: signer, Now: c.Now, Logger: c.Logger,
	})
	return r, err
}

func (r *Relay) makeEmissions(c Config) error {
	c.Carbon.Now, c.Carbon.Logger = c.Now, c.Logger
	client, err := neso.New(c.Carbon)
	if err != nil {
		return err
	}
	factors, err := emissions.LoadFactors(configs.Factors, "factors/desnz-natural-gas.yaml")
	if err != nil {
		return err
	}
	r.emissions, err = emissions.New(emissions.Config{
		DB: c.DB, Grid: emissions.NewGrid(c.DB, client, c.Now, c.Logger), Factors: factors, Now: c.Now, Logger: c.Logger,
		Outcode: func(ctx context.Context, gateway string) (string, error) {
			s, err := r.ingest.Site(ctx, gateway)
			return s.Outcode, err
		},
		Readings: func(ctx context.Context, gateway string, k energy.Key, from, to time.Time) iter.Seq2[emissions.Reading, error] {
			return func(yield func(emissions.Reading, error) bool) {
				for v, err := range r.ingest.Readings(ctx, gateway, k, from, to) {
					if !yield(emissions.Reading(v), err) {
						return
					}
				}
			}
		},
		Hashes:  r.ingest.BatchHashes,
		Changed: r.ingest.Changed,
		Accounts: func(ctx context.Context) ([]emissions.Account, error) {
			live, err := r.permission.Permissions(ctx)
			if err != nil {
				return nil, err
			}
			var out []emissions.Account
			for _, a := range live {
				if a.License == c.Scheme.LicenseEmissions() || a.License == c.Scheme.LicenseCombined() {
					out = append(out, emissions.Account{Permission: a.Permission, Gateway: a.Gateway, Covers: a.Covers, Granted: a.Granted, From: a.From, Expires: a.Expires})
				}
			}
			return out, nil
		},
	})
	return err
}

// permits lets ingest ask for grants of the permission service, which itself
// needs ingest to find sites.
type permits struct{ r *Relay }

func (p permits) LiveGrants(ctx context.Context, gateway string, now time.Time) ([]grant.Grant, error) {
	return p.r.permission.LiveGrants(ctx, gateway, now)
}

// forget deletes what no live grant covers any more.
func (r *Relay) forget(ctx context.Context, gateway string) error {
	_, err := r.ingest.DeleteUncovered(ctx, gateway)
	return err
}

// drop deletes what permissions that were renewed for less cover no more.
func (r *Relay) drop(ctx context.Context, gateway string) error {
	_, err := r.ingest.DeleteDropped(ctx, gateway)
	return err
}

// RegisterBrowser adds the pages for people: for a listener that asks nobody
// for a certificate.
func (r *Relay) RegisterBrowser(mux openapi.Mux) {
	r.permission.RegisterBrowser(mux)
	if err := openapi.Register(mux, r.issuer, r.server); err != nil {
		panic(err) // the document is part of the program; its test reads it
	}
}

// RegisterServer adds everything for gateways, carbon accountants and banks:
// for a listener that demands a client certificate.
func (r *Relay) RegisterServer(mux openapi.Mux) {
	r.ingest.Register(mux)
	r.permission.RegisterServer(mux)
	r.consumption.Register(mux)
	r.bank.Register(mux)
}

// Run does what is due without a request, until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, f := range []func(context.Context) error{r.permission.Run, r.emissions.Run, r.ingest.Run} {
		wg.Go(func() { errs[i] = f(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
