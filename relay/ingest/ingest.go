// Package ingest takes the gateways' signed batches, keeps them as evidence,
// and keeps their half-hours ready for reading.
//
// Its promises: nothing is stored without a live permission; what is
// acknowledged is on disk; the batches of a gateway form one unbroken chain,
// each stored once; a half-hour has one value, that of the newest batch that
// changed it, and the older ones stay provable by the raw batches; one that the
// gateway withdrew (energy.RuleWithdrawn) has none.
package ingest

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// ErrNotFound is the error for a gateway or a code that no site has.
var ErrNotFound = fmt.Errorf("ingest: no such site: %w", sql.ErrNoRows)

// Permits knows the live permissions of a gateway. LiveGrants is called while
// the gateway's chain is locked for writing; it must only read, on a
// connection of its own.
type Permits interface {
	LiveGrants(ctx context.Context, gateway string, now time.Time) ([]grant.Grant, error)
}

// Config is what a Service needs. All fields are required unless marked
// optional.
type Config struct {
	DB           *database.DB               // migrated with relay/migrations
	SigningRoots *x509.CertPool             // roots of the signing hierarchy
	Members      []string                   // URLs of the members whose gateways are served; none: no gateway is
	Permits      Permits                    //
	Revoked      func(serial *big.Int) bool // optional; whether a certificate of either hierarchy is revoked

	TrustFramework string        // optional; URL: statements of months under another one are passed over
	Retention      time.Duration // optional; how long after their collection half-hours are kept; DefaultRetention if 0
	KeepExpired    time.Duration // optional; how long half-hours outlive the permission that ran out; DefaultKeepExpired if 0
	// Attest signs for a deletion; optional. What it returns is kept with it.
	Attest func(Deletion) (json.RawMessage, error)

	Now    func() time.Time // optional; time.Now
	Logger *slog.Logger     // optional; slog.Default
}

// Service is the relay's receiving side. Make it with New; its methods may be
// called from many goroutines, and several processes may share one database.
type Service struct {
	c       Config
	db      *database.DB
	log     *slog.Logger
	signers signers
	hands   hands
}

// New makes a Service.
func New(c Config) *Service {
	if c.Revoked == nil {
		c.Revoked = func(*big.Int) bool { return false }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Retention <= 0 {
		c.Retention = DefaultRetention
	}
	if c.KeepExpired <= 0 {
		c.KeepExpired = DefaultKeepExpired
	}
	return &Service{c: c, db: c.DB, log: c.Logger}
}

// Register adds the gateways' addresses to a mux that is served over mutual
// TLS: PUT /gateway/v1/site and POST /gateway/v1/batches.
func (s *Service) Register(mux openapi.Mux) {
	mux.HandleFunc("PUT /gateway/v1/site", s.inTurn(maxSite, s.putSite))
	mux.HandleFunc("POST /gateway/v1/batches", s.inTurn(batch.MaxRaw, s.postBatch))
}

// Site is a gateway as it describes itself.
type Site struct {
	Gateway, Member string // URLs
	Name            string
	Outcode         string // of the site's postcode, e.g. "SW8"
	CodeVersion     string // another one whenever the gateway's code is; not for the outside
	Meters          []Meter
}

// Meter is one meter of a site.
type Meter struct {
	ID       string           // the gateway's name for it: stays inside
	Type     string           // "electricity" or "gas"
	Measures []energy.Measure //
	Source   string           // the random name by which others know it
	Listed   bool             // false: the gateway no longer has it, only its history is here
}

// Reading is one stored half-hour.
type Reading struct {
	Start      time.Time      // UTC
	Energy     int64          // base units of the measure, >= 0
	Cumulative int64          // register at the end, base units; -1 unknown
	Quality    energy.Quality // never Missing
	Rule       energy.Rule
	Flags      energy.Flags // validation rules that spoke against it
	TakenAt    time.Time    // after the half-hour's end
	Batch      uint64       // sequence of the batch that brought the value
}

func (s *Service) now() time.Time { return s.c.Now().UTC() }
