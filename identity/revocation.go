package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// maxCRL bounds a revocation list: 16 MiB, some 400,000 entries.
const maxCRL = 16 << 20

// CRLSource is one revocation list: how to get it, and who must have signed it.
type CRLSource struct {
	Name   string                                    // for logs and errors, e.g. "client"
	Issuer *x509.Certificate                         // the issuer of the certificates and of the list
	Fetch  func(ctx context.Context) ([]byte, error) // DER

	// Issuers says that this is a root's list of issuers that it has revoked. Roots
	// are not at hand every day, and a directory of before there were such lists has
	// none: certificates are accepted without it and when it is past its date. What
	// it names is revoked all the same.
	Issuers bool
}

// FetchCRL returns a Fetch that gets the list from a URL.
func FetchCRL(client *http.Client, url string) func(ctx context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: answered %s", url, res.Status)
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, maxCRL+1))
		if err == nil && len(b) > maxCRL {
			err = fmt.Errorf("%s: larger than %d bytes", url, maxCRL)
		}
		return b, err
	}
}

// RevocationsConfig is what Revocations needs.
type RevocationsConfig struct {
	Sources  []CRLSource
	Interval time.Duration    // between fetches; 0: 5 minutes
	Timeout  time.Duration    // of one fetch; 0: 30 s
	Now      func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: slog.Default()
}

// Revocations knows which certificates are revoked, from the issuers' signed
// lists. When a list cannot be had, or a bad one is offered, the last good one
// stays in force and a warning is logged. Before the first good one nothing is
// known: ask Current before relying on Revoked. See Age for an alarm. It is safe
// for concurrent use; Revoked and Current take no lock.
type Revocations struct {
	c     RevocationsConfig
	lists []atomic.Pointer[revocationList] // one for each source
}

type revocationList struct {
	number     *big.Int
	thisUpdate time.Time
	nextUpdate time.Time
	revoked    map[string]struct{} // serial, as big-endian bytes
}

// NewRevocations checks the configuration. Nothing is fetched until Refresh or
// Run.
func NewRevocations(c RevocationsConfig) (*Revocations, error) {
	for _, s := range c.Sources {
		if s.Issuer == nil || s.Fetch == nil {
			return nil, fmt.Errorf("revocation list %q: issuer and fetch are needed", s.Name)
		}
	}
	if c.Interval <= 0 {
		c.Interval = 5 * time.Minute
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Revocations{c: c, lists: make([]atomic.Pointer[revocationList], len(c.Sources))}, nil
}

// Revoked reports whether any of the lists holds the serial number. The
// serials of the scheme are 128 random bits, so that one is enough to name a
// certificate across its hierarchies.
func (r *Revocations) Revoked(serial *big.Int) bool {
	key := serial.Bytes()
	for i := range r.lists {
		if l := r.lists[i].Load(); l != nil {
			if _, is := l.revoked[string(key)]; is {
				return true
			}
		}
	}
	return false
}

// RevokedIssuer reports whether a certificate that a peer's rests upon is revoked:
// any but the leaf, in the first chain that leads it to a root.
func (r *Revocations) RevokedIssuer(chains [][]*x509.Certificate) bool {
	if len(chains) == 0 || len(chains[0]) == 0 {
		return false
	}
	return slices.ContainsFunc(chains[0][1:], func(c *x509.Certificate) bool { return r.Revoked(c.SerialNumber) })
}

// Current says why certificates cannot be accepted: a list has never been had,
// or the one in force is past the date by which its issuer makes the next (RFC
// 5280, section 5.1.2.5). Nil: Revoked can be relied upon.
func (r *Revocations) Current() error {
	now := r.c.Now()
	for i, s := range r.c.Sources {
		switch l := r.lists[i].Load(); {
		case s.Issuers:
		case l == nil:
			return fmt.Errorf("the list of revoked %s certificates has not been had yet", s.Name)
		case now.After(l.nextUpdate):
			return fmt.Errorf("the list of revoked %s certificates is out of date since %s", s.Name, l.nextUpdate.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// Age is how long ago the oldest of the lists in force was made. ok is false
// while a list has never been had.
func (r *Revocations) Age() (age time.Duration, ok bool) {
	now := r.c.Now()
	for i := range r.lists {
		if r.c.Sources[i].Issuers { // made once in a year
			continue
		}
		l := r.lists[i].Load()
		if l == nil {
			return 0, false
		}
		age = max(age, now.Sub(l.thisUpdate))
	}
	return age, true
}

// Run fetches the lists now and then every interval, until ctx ends; it
// returns the context's error.
func (r *Revocations) Run(ctx context.Context) error {
	t := time.NewTicker(r.c.Interval)
	defer t.Stop()
	for {
		r.Refresh(ctx) // failures are logged there
		soon := (<-chan time.Time)(nil)
		if r.Current() != nil { // nobody is served until then
			soon = time.After(r.c.Interval / 12)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		case <-soon:
		}
	}
}

// Refresh fetches every list once. The error names those that failed; their
// last good lists stay in force.
func (r *Revocations) Refresh(ctx context.Context) error {
	var errs []error
	for i, s := range r.c.Sources {
		if err := r.refresh(ctx, i, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			errs = append(errs, fmt.Errorf("revocation list %s: %w", s.Name, err))
			r.warn(i, s, err)
		}
	}
	return errors.Join(errs...)
}

func (r *Revocations) refresh(ctx context.Context, i int, s CRLSource) error {
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	der, err := s.Fetch(ctx)
	if err != nil {
		return err
	}
	l, err := readCRL(der, s.Issuer, r.c.Now(), s.Issuers)
	if err != nil {
		return err
	}
	// An older list under a newer one's name would bring revoked certificates
	// back to life.
	if old := r.lists[i].Load(); old != nil && l.number.Cmp(old.number) < 0 {
		return fmt.Errorf("number %s is older than number %s, which is in force", l.number, old.number)
	}
	r.lists[i].Store(l)
	return nil
}

func (r *Revocations) warn(i int, s CRLSource, err error) {
	l := r.lists[i].Load()
	switch {
	case s.Issuers:
		r.c.Logger.Warn("the root's list of revoked issuers is not to be had", "list", s.Name, "error", err)
	case l == nil:
		r.c.Logger.Warn("no revocation list yet: no certificate can be accepted", "list", s.Name, "error", err)
	case r.c.Now().After(l.nextUpdate):
		r.c.Logger.Warn("revocation list out of date: no certificate can be accepted",
			"list", s.Name, "made", l.thisUpdate, "due", l.nextUpdate, "error", err)
	default:
		r.c.Logger.Warn("revocation list not renewed", "list", s.Name, "made", l.thisUpdate, "due", l.nextUpdate, "error", err)
	}
}

// crlSkew forgives a clock that is a little behind the issuer's.
const crlSkew = 5 * time.Minute

// readCRL parses a list and checks its signature and its dates; old says that one
// past its date is taken too.
func readCRL(der []byte, issuer *x509.Certificate, now time.Time, old bool) (*revocationList, error) {
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	if err := crl.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("not signed by %s: %w", issuer.Subject, err)
	}
	for _, e := range crl.Extensions {
		if e.Critical {
			return nil, fmt.Errorf("critical extension %s is not understood", e.Id)
		}
	}
	switch {
	case crl.Number == nil:
		return nil, errors.New("no number")
	case crl.ThisUpdate.After(now.Add(crlSkew)):
		return nil, fmt.Errorf("dated %s, which is in the future: check this machine's clock", crl.ThisUpdate)
	case now.After(crl.NextUpdate) && !old:
		return nil, fmt.Errorf("out of date since %s", crl.NextUpdate)
	}
	l := &revocationList{number: crl.Number, thisUpdate: crl.ThisUpdate, nextUpdate: crl.NextUpdate,
		revoked: make(map[string]struct{}, len(crl.RevokedCertificateEntries))}
	for _, e := range crl.RevokedCertificateEntries {
		l.revoked[string(e.SerialNumber.Bytes())] = struct{}{}
	}
	return l, nil
}
