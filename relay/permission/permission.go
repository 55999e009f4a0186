// Package permission is the relay's OAuth issuer and the keeper of every
// permission: what a business agreed to, with whom, in which words, until
// when. Nothing else in the relay decides who may have what.
//
// It follows IB1's oauth-with-member-identity-certificates,
// permission-records and withdrawal-of-permission 1.0 (a FAPI 2 profile):
// clients are their certificates, tokens are opaque and bound to the
// application URL, pushed requests and PKCE are demanded.
//
// The server-to-server endpoints belong on a listener that demands client
// certificates (RegisterServer), the pages on one that never asks for one
// (RegisterBrowser). Several processes may share one database: they keep
// nothing of their own but wake-ups.
package permission

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/relay/account"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/openapi"
)

// Lifetimes. The first three are ceilings of the profile (scheme.md, OAuth).
const (
	RequestLife    = 10 * time.Minute // of a pushed request, and so the time to type the code and read
	CodeLife       = time.Minute
	AccessLife     = time.Hour
	DefaultHistory = 400 * 24 * time.Hour
)

// Config is what the service needs. Fields without "optional" are required.
type Config struct {
	DB           *database.DB // migrated with relay/migrations
	Issuer       string       // base URL of the pages, e.g. https://permission.example.org: the OAuth issuer identifier
	Server       string       // base URL of the endpoints that demand a client certificate
	Scheme       scheme.Scheme
	Organisation string // the member that runs this relay, as people know it: fills [EDP] and, for a bank's request, [CAP]
	Sites        SiteFinder
	SealKey      []byte              // 32 bytes; seals the stored copies of refresh tokens
	Signer       crypto.Signer       // signs grant sets for the gateways
	Chain        []*x509.Certificate // the signing certificate of Signer, leaf first

	OnChange    func(gateway string)                            // optional; the gateway's grants changed
	OnWithdraw  func(ctx context.Context, gateway string) error // optional; deletes what no live grant covers; Run retries it until it succeeds
	OnNarrow    func(ctx context.Context, gateway string) error // optional; deletes what was covered until a permission was renewed for less; Run retries it likewise
	Revoked     func(serial *big.Int) bool                      // optional; whether a client certificate is on the CRL: asked on every request
	Words       map[string]string                               // optional; permission texts by licence URL, in place of our own
	Privacy     string                                          // optional; URL of the organisation's privacy policy
	History     time.Duration                                   // optional; how far back before the grant data may go; DefaultHistory if 0
	Address     func(r *http.Request) netip.Addr                // optional; the browser's address where a proxy stands in front; the connection's if nil
	PushRate    Rate                                            // optional; of pushed requests, for each client; 20 a second, 1,000 at once
	TokenRate   Rate                                            // optional; of all that has to do with tokens, for each client; 100 a second, 2,000 at once
	MessageRate Rate                                            // optional; of messages of withdrawal from each application; 20 a second, 1,000 at once
	GrantsRate  Rate                                            // optional; of each gateway's questions for its grants; one in 2 seconds, 100 at once
	Messages    Delivery                                        // optional; how clients are told of withdrawals; without it the messages wait
	KeepEnded   time.Duration                                   // optional; for how long a permission's record and evidence are kept after its end; DefaultKeepEnded if 0

	PasswordCost signin.Cost // optional; of the passwords of businesses' accounts; signin.DefaultCost if zero

	WithdrawalSubject string // optional; subject of the message of withdrawal; scheme.WithdrawalMessage if empty

	Now    func() time.Time // optional; time.Now
	Logger *slog.Logger     // optional; slog.Default
}

// Service is the issuer. Make it with New; its methods may be called at the
// same time from many goroutines.
type Service struct {
	c        Config
	issuer   *url.URL
	server   *url.URL
	member   string // URL of the relay's own member
	db       *database.DB
	seal     *sealer
	words    map[string]string
	hub      *hub
	outgoing outgoing
	due      chan struct{} // tells Run that something is due at once
	accounts *account.Service
	forgot   atomic.Int64 // when forgetEnded was last through, unix seconds
	limits   *limits
	pages    map[string]*template.Template // by language
	log      *slog.Logger
}

// New checks the configuration and makes the service. Run must run besides.
func New(c Config) (*Service, error) {
	s := &Service{c: c, db: c.DB, log: c.Logger}
	if c.DB == nil || c.Sites == nil || c.Signer == nil || len(c.Chain) == 0 {
		return nil, errors.New("permission: DB, Sites, Signer and Chain are required")
	}
	if strings.TrimSpace(c.Organisation) == "" {
		return nil, errors.New("permission: organisation: give the name of the member that runs this relay, as people know it")
	}
	own, err := identity.PeerOf(c.Chain[0])
	if err != nil {
		return nil, fmt.Errorf("permission: the relay's signing certificate: %w", err)
	}
	s.member = own.Member
	if s.issuer, err = baseURL(c.Issuer); err != nil {
		return nil, fmt.Errorf("permission: issuer: %w", err)
	}
	if s.server, err = baseURL(c.Server); err != nil {
		return nil, fmt.Errorf("permission: server: %w", err)
	}
	if s.seal, err = newSealer(c.SealKey); err != nil {
		return nil, fmt.Errorf("permission: seal key: %w", err)
	}
	if s.words, err = loadWords(c.Scheme, c.Words); err != nil {
		return nil, fmt.Errorf("permission: words: %w", err)
	}
	if s.c.Now == nil {
		s.c.Now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.c.History == 0 {
		s.c.History = DefaultHistory
	}
	if s.c.WithdrawalSubject == "" {
		s.c.WithdrawalSubject = scheme.WithdrawalMessage
	}
	if s.c.KeepEnded == 0 {
		s.c.KeepEnded = DefaultKeepEnded
	}
	if s.c.KeepEnded < MinKeepEnded {
		return nil, fmt.Errorf("permission: records must be kept for at least %d days after a permission's end: the scheme wants twelve months", MinKeepEnded/(24*time.Hour))
	}
	if s.c.Address == nil {
		s.c.Address = connectionAddress
	}
	s.limits, s.pages = newLimits(c.DB), s.parsePages()
	if s.accounts, err = s.newAccounts(); err != nil {
		return nil, fmt.Errorf("permission: accounts: %w", err)
	}
	s.hub, s.outgoing = newHub(s.changedGateways), outgoing{make(chan struct{}, 1)}
	s.due = make(chan struct{}, 1)
	return s, nil
}

// RegisterBrowser adds the pages and the metadata: for a listener that asks
// nobody for a certificate.
func (s *Service) RegisterBrowser(mux openapi.Mux) {
	p := strings.TrimRight(s.issuer.Path, "/")
	mux.HandleFunc("GET /.well-known/oauth-authorization-server"+p, s.serveMetadata)
	guard := http.NewCrossOriginProtection()
	page := func(pattern string, h func(http.ResponseWriter, *http.Request)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+p+path, s.browser(guard.Handler(http.HandlerFunc(h))))
	}
	page("GET /authorize", s.showAuthorize)
	page("POST /authorize", s.postAuthorize)
	page("GET /permissions", s.showPermissions)
	page("POST /permissions", s.postPermissions)
	page("POST /permissions/withdraw", s.postWithdraw)
	page("POST /permissions/accounts", s.postAccounts)
	page("GET /evidence/{key}", s.showEvidence)
	page("GET /account", s.serveAccount)
	page("POST /account", s.serveAccount)
	page("GET /account/sign-in", s.getSignIn)
	page("POST /account/sign-in", s.postSignIn)
	page("POST /account/sites", s.postKeep)
	page("POST /account/make", s.postMake)
	page("POST /account/remove", s.postRemoveSite)
	page("GET /account/ways", s.serveWays)
	page("POST /account/ways", s.postWays)
	page("POST /account/sign-out", s.postSignOut)
	page("POST /account/leave", s.postLeave)
}

// RegisterServer adds the endpoints for applications and gateways: for a
// listener that demands a client certificate. A client's wait for a change of
// grants ends with its request's context.
func (s *Service) RegisterServer(mux openapi.Mux) {
	p := strings.TrimRight(s.server.Path, "/")
	push, token := cmp.Or(s.c.PushRate, defaultPushRate), cmp.Or(s.c.TokenRate, defaultTokenRate)
	mux.HandleFunc("POST "+p+pathPAR, s.form(true, s.limited("pushed requests", push, s.servePAR)))
	mux.HandleFunc("POST "+p+pathToken, s.form(true, s.limited("tokens", token, s.serveToken)))
	mux.HandleFunc("POST "+p+pathRevoke, s.form(false, s.limited("tokens", token, s.serveRevoke)))
	mux.HandleFunc("POST "+p+pathRecord, s.form(false, s.limited("tokens", token, s.serveRecord)))
	mux.HandleFunc("POST "+p+pathMessages, s.serveMessage)
	mux.HandleFunc("GET "+p+"/gateway/v1/grants", s.serveGrants)
}

// Run does what is due without a request, until ctx ends: it drops what ran
// out, finishes withdrawals whose data could not be deleted at once, deletes what
// renewals dropped, and tells clients of withdrawals.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.runDeliveries(ctx) })
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("permission: tidying failed, will try again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.due:
		}
	}
}

func baseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(raw, "/") {
		return nil, fmt.Errorf("%q: need an https URL without query, fragment or closing slash, such as https://permission.example.org", raw)
	}
	return u, nil
}

func connectionAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}

// now is the service's clock in whole seconds, as everything is stored.
func (s *Service) now() time.Time { return s.c.Now().UTC().Truncate(time.Second) }
