// Package acme is the directory's ACME server (RFC 8555): it gives the members'
// servers their certificates, for at most 24 hours and over and over, without a
// person's hand. It knows one challenge, http-01, and it gives certificates only
// for DNS names that the directory's entries hold.
//
// Everything a process knows is in the database, nonces included: several
// processes on one database may serve the same accounts and orders, and a
// request that one of them did not live to answer may be repeated at another.
package acme

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Directory is what the server needs of the directory that it serves.
type Directory interface {
	// KnownHost gives the applications whose entries name a server under a
	// DNS name in lower case; none where the name is not known.
	KnownHost(ctx context.Context, host string) (applications []string, err error)
	// InTx runs f in a transaction, and commits when it returns nil. What was
	// done in it stands in the audit log under the actor of ctx.
	InTx(ctx context.Context, f func(*sql.Tx) error) error
	// IssueServer issues a server certificate and records it in tx, one of
	// InTx, which may yet be rolled back.
	IssueServer(ctx context.Context, tx *sql.Tx, pub crypto.PublicKey, hosts []string) (leaf, issuer *x509.Certificate, err error)
	// ServerCertificate finds a server certificate that the directory issued;
	// sql.ErrNoRows where there is none.
	ServerCertificate(ctx context.Context, serial *big.Int) (leaf *x509.Certificate, revoked bool, err error)
	// Revoke revokes a certificate; twice is no error.
	Revoke(ctx context.Context, serial *big.Int) error
}

// Config is what a server needs.
type Config struct {
	DB        *sql.DB // with the tables of the directory's migrations
	BaseURL   string  // public address of everything here, such as https://directory.example.org/acme
	Website   string  // said to clients: where people read on
	Directory Directory
	Validator Validator
	Limits    Limits
	Now       func() time.Time
	Logger    *slog.Logger

	// ClientAddress says from which address a request comes.
	ClientAddress func(*http.Request) netip.Addr
}

// Lifetimes.
const (
	orderLife = time.Hour           // to meet the challenges and ask for the certificate
	keepFor   = 30 * 24 * time.Hour // orders, after their end
	keepUnmet = 24 * time.Hour      // those that came to nothing
	keepIdle  = 30 * 24 * time.Hour // accounts that have never got a certificate
	maxBody   = 64 << 10            // of a request
	sweepEach = 10 * time.Minute
)

// Server is a running ACME server. It is safe for concurrent use.
type Server struct {
	Config
	prefix      string // path of BaseURL
	nonces      nonces
	validations chan struct{} // those under way

	mu    sync.Mutex
	swept time.Time

	counted time.Time // when kept was
	kept    int       // nonces that were used, about
}

// New makes the server. The tables must be there.
func New(ctx context.Context, c Config) (*Server, error) {
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(u.Path, "/") || u.Path == "" {
		return nil, fmt.Errorf("acme: BaseURL: need an address such as https://directory.example.org/acme, got %q", c.BaseURL)
	}
	c.Limits = c.Limits.orDefault()
	s := &Server{Config: c, prefix: u.EscapedPath(), validations: make(chan struct{}, c.Limits.ValidationsAtOnce)}
	if s.nonces.key, err = loadSecret(ctx, c.DB); err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	return s, nil
}

// route is one address. Those with signed are POST; who says whose signature
// it takes.
type route struct {
	path   string
	who    signer
	signed func(*call) error
	plain  func(*call) error // GET and HEAD
}

func (s *Server) routes() []route {
	return []route{
		{path: "/directory", plain: s.getDirectory, who: byAccount, signed: s.getDirectory},
		{path: "/new-nonce", plain: s.getNonce, who: byAccount, signed: s.getNonce},
		{path: "/new-account", who: byKey, signed: s.newAccount},
		{path: "/account/{id}", who: byAccount, signed: s.postAccount},
		{path: "/account/{id}/orders", who: byAccount, signed: s.postOrders},
		{path: "/key-change", who: byAccount, signed: s.keyChange},
		{path: "/new-order", who: byAccount, signed: s.newOrder},
		{path: "/order/{id}", who: byAccount, signed: s.postOrder},
		{path: "/order/{id}/finalize", who: byAccount, signed: s.finalize},
		{path: "/authorization/{id}", who: byAccount, signed: s.postAuthorization},
		{path: "/challenge/{id}", who: byAccount, signed: s.postChallenge},
		{path: "/certificate/{id}", who: byAccount, signed: s.postCertificate},
		{path: "/renewal-info/{id}", plain: s.getRenewal},
		{path: "/revoke", who: byEither, signed: s.revoke},
	}
}

// Handler serves everything below BaseURL. Errors are problem documents
// (RFC 7807) of the types of RFC 8555, 6.7.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(s.prefix+r.path, s.serve(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problemf(malformed, http.StatusNotFound, "There is nothing at this address. Begin at %s.", s.url("/directory")).write(w)
	})
	return mux
}

func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Add("Link", "<"+s.url("/directory")+`>;rel="index"`)
		c := &call{Context: r.Context(), w: w, r: r}
		var err error
		switch {
		case r.Method == http.MethodPost && rt.signed != nil:
			// With a new nonce whatever comes of it: the client's next request
			// needs one.
			h.Set("Replay-Nonce", s.nonces.issue(s.Now()))
			s.sweep(c)
			if err = s.authenticate(c, rt.who); err == nil {
				err = rt.signed(c)
			}
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) && rt.plain != nil:
			err = rt.plain(c)
		default:
			allow, words := "GET, HEAD", "Use GET at this address."
			if rt.plain == nil { // nothing but signed requests
				allow, words = "POST", "Use POST with a signed body at this address; to read, with an empty payload (POST-as-GET)."
			}
			h.Set("Allow", allow)
			err = problemf(malformed, http.StatusMethodNotAllowed, "%s", words)
		}
		if err != nil {
			s.fail(c, err)
		}
	})
}

// fail writes what went wrong. What is not for the client is logged under an
// id, and only the id goes out.
func (s *Server) fail(c *call, err error) {
	p := new(problem)
	switch {
	case errors.As(err, &p):
	case errors.As(err, new(*http.MaxBytesError)):
		p = problemf(malformed, http.StatusRequestEntityTooLarge, "The request is larger than 64 KiB.")
	case c.r.Context().Err() != nil:
		return // the client has gone
	default:
		id := newID()
		s.Logger.Error("acme: request failed", "path", c.r.URL.Path, "correlation", id, "error", err)
		p = problemf(serverInternal, http.StatusInternalServerError, "Something went wrong here. Try again later, or report correlation id %s.", id)
	}
	if c.account != nil && p.Status != http.StatusInternalServerError {
		s.Logger.Info("acme: refused", "path", c.r.URL.Path, "account", c.account.id, "from", s.ClientAddress(c.r), "type", p.Type, "detail", p.Detail)
	}
	p.write(c.w)
}

// url is the public address of a path here.
func (s *Server) url(path string, more ...string) string {
	return s.BaseURL + path + strings.Join(more, "")
}

// getDirectory serves the addresses of everything (7.1.1).
func (s *Server) getDirectory(c *call) error {
	c.w.Header().Set("Cache-Control", "public, max-age=300")
	return c.json(http.StatusOK, map[string]any{
		"newNonce": s.url("/new-nonce"), "newAccount": s.url("/new-account"), "newOrder": s.url("/new-order"),
		"revokeCert": s.url("/revoke"), "keyChange": s.url("/key-change"), "renewalInfo": s.url("/renewal-info"),
		"meta": map[string]any{"website": s.Website, "externalAccountRequired": false},
	})
}

// getNonce serves HEAD with 200 and GET with 204 (7.2).
func (s *Server) getNonce(c *call) error {
	c.w.Header().Set("Replay-Nonce", s.nonces.issue(s.Now()))
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK)
	} else {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// newID is 130 random bits: addresses of accounts, orders and the rest cannot
// be guessed, though nothing rests on that.
func newID() string {
	var b [20]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))[:26]
}

// cut shortens s to max bytes, for quoting.
func cut(s string, max int) string {
	if len(s) > max {
		return strings.ToValidUTF8(s[:max], "") + "…"
	}
	return s
}

// list spells out names: a, b and c.
func list(names []string) string {
	names = slices.Clone(names)
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
