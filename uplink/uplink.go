// Package uplink is the gateway's side of the way to the relay. It enrols the
// gateway, holds its grants, and sends what a live one covers: in batches that
// are signed, numbered and chained, kept before they are sent, and sent again,
// byte for byte, until the relay says that it has them.
//
// It knows no store and no meters: it declares what it needs as Outbox.
package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// Config is what a Client is made of.
type Config struct {
	URL    string            // the relay's; empty: the one learnt at enrolment
	Dir    string            // the identity folder that Enroll filled
	Site   Site              // what the relay is told of this gateway
	Outbox Outbox            //
	Now    func() time.Time  // nil: time.Now
	Logger *slog.Logger      // nil: slog.Default
	HTTP   http.RoundTripper // nil: mutual TLS with the identity in Dir
	Jitter Jitter            // of the pauses after failures
	Keys   string            // where the keys of renewed certificates are made: auto (also empty), file, tpm or pkcs11 (keystore.Open)
}

// Site is what the relay is told of a gateway.
type Site struct {
	Name    string      `json:"name"`
	Outcode string      `json:"outcode"`
	Code    string      `json:"code"` // by which the business recognises its meter; empty: made once and kept in the outbox
	Meters  []SiteMeter `json:"meters"`
}

// SiteMeter is a meter of a site.
type SiteMeter struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"` // "electricity" or "gas"
	Measures []energy.Measure `json:"measures"`
}

// Client is the uplink of one gateway. Make it with New, then Run it.
type Client struct {
	out    Outbox
	now    func() time.Time
	log    *slog.Logger
	relay  string // base URL without a slash at its end
	folder *folder
	http   *http.Client
	line   *line // the transport of http
	dial   func(cert func() (*tls.Certificate, error)) (http.RoundTripper, error)

	wake   chan struct{} // there may be something to send
	recall chan struct{} // the grants must be fetched at once
	reread chan struct{} // the gateway may have been enrolled anew

	telling chan struct{} // full while the relay is told of the site; see tellSite

	jitter    Jitter
	look      time.Duration // identityLook, but in tests
	conflicts int           // answers of "out of sequence" in a row; the send loop's alone
	months    months        // the send loop's alone

	mu         sync.Mutex
	site       Site
	told       string        // the code that the relay was told last, in this run or an earlier one
	registered []byte        // hash of the site as last registered; nil: not yet
	lost       []energy.Span // what the relay deleted and the outbox does not know of yet; pollGrants alone uses it
	held       heldSet
	ended      map[string]ended // withdrawals seen, by the grant's identifier; see ended.go
	undone     []string         // of those, what the relay takes for permitted
	latest     time.Time        // see mark.go
	keptLatest time.Time        // as it is in the outbox
	inFlight   *flight
	state      state
}

// New makes a client. It reads the identity folder and the grants last held,
// and fails when the gateway is not enrolled (ErrNotEnrolled) or its identity
// cannot be used. It opens no connection.
func New(c Config) (*Client, error) {
	if c.Outbox == nil {
		return nil, errors.New("uplink: no outbox")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	f, err := openFolder(c.Dir, c.Keys)
	if err != nil {
		return nil, err
	}
	if c.URL == "" {
		c.URL = f.Relay
	}
	relay, err := baseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("uplink: relay: %w", err)
	}
	cl := &Client{
		out: c.Outbox, now: c.Now, log: c.Logger, relay: relay, folder: f, site: c.Site,
		wake: make(chan struct{}, 1), recall: make(chan struct{}, 1), reread: make(chan struct{}, 1), telling: make(chan struct{}, 1), jitter: c.Jitter, look: identityLook,
	}
	cl.dial = dialled(f, c.HTTP)
	rt, err := cl.dial(f.client)
	if err != nil {
		return nil, err
	}
	cl.line = &line{}
	cl.line.replace(rt)
	cl.http = &http.Client{
		Transport:     cl.line,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if cl.site.Code == "" {
		if cl.site.Code, err = SiteCode(c.Outbox); err != nil {
			return nil, err
		}
	}
	cl.loadTold()
	cl.state.since = cl.now()
	for _, k := range kinds {
		p, err := f.current(k)
		if err != nil {
			return nil, err
		}
		if keystore.KindOf(p.key) != keystore.File { // the TPM may have been cleared, or be another machine's; the token may be out
			if err := keystore.Check(p.key); err != nil {
				return nil, fmt.Errorf("%s certificate: %w", k, err)
			}
		}
		cl.noteCertificate(k, p)
	}
	cl.loadLatest()
	cl.loadEnded()
	cl.loadGrants()
	return cl, nil
}

// Run sends until ctx ends, and renews the gateway's certificates. It never
// gives up: what goes wrong is in Status and in the log. It returns nil, or why
// it could not begin. It also returns nil when the gateway has been enrolled
// anew: then make a new client.
func (c *Client) Run(ctx context.Context) error {
	ctx, replaced := context.WithCancel(ctx)
	defer replaced()
	var wg sync.WaitGroup
	wg.Go(func() { c.keepIdentity(ctx, replaced) })
	wg.Go(func() { c.pollGrants(ctx) })
	wg.Go(func() { c.sendLoop(ctx) })
	wg.Wait()
	return nil
}

// Notify says that there may be something new to send. It never blocks.
func (c *Client) Notify() { poke(c.wake) }

// Reread says that the gateway may have been enrolled anew: it is looked at
// now, not within a quarter of a minute. It never blocks.
func (c *Client) Reread() { poke(c.reread) }

// SetSite changes what the relay is told of this gateway. An empty Code keeps
// the present one.
func (c *Client) SetSite(s Site) {
	c.mu.Lock()
	if s.Code == "" {
		s.Code = c.site.Code
	}
	c.site = s
	c.mu.Unlock()
	c.Notify()
}

// Grants gives the grants held, the ended ones included.
func (c *Client) Grants() []grant.Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]grant.Grant(nil), c.held.set.Grants...)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// baseURL checks a server's address: codes and readings travel over TLS only.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("address must be like https://name.example.org, got %q", s)
	}
	return strings.TrimRight(s, "/"), nil
}
