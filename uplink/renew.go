package uplink

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	identityLook = 15 * time.Second // between looks whether the gateway was enrolled anew
	renewLook    = time.Hour        // between looks at certificates with nothing to do
	renewFirst   = time.Minute      // pause after a first failure; it doubles,
	renewMost    = 6 * time.Hour    // up to this
	renewTime    = time.Minute      // for one exchange

	standingPause = 10 * time.Minute // between questions whether the certificate is revoked
)

// revokedFile holds the serial number of a client certificate that a server
// said is revoked: so that enrolling anew needs no --force.
const revokedFile = "revoked"

// codeRevoked is what the directory and the relay call it.
const codeRevoked = "certificate_revoked"

// renewAt is two thirds of a certificate's life.
func renewAt(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2)
}

// works reports whether an identity is good for anything: a certificate that
// has ended or was revoked is not, nor is a key in a TPM that lost it.
func (f *folder) works(now time.Time) bool {
	for _, k := range kinds {
		p, err := f.current(k)
		if err != nil || now.After(p.leaf().NotAfter) || k == clientKind && f.revoked(p.leaf().SerialNumber) || keystore.Check(p.key) != nil {
			return false
		}
	}
	return true
}

func (f *folder) revoked(serial *big.Int) bool {
	b, err := os.ReadFile(f.path(revokedFile))
	return err == nil && strings.TrimSpace(string(b)) == serial.String()
}

// keepIdentity renews the gateway's certificates at two thirds of their life,
// until ctx ends or the gateway is enrolled anew, which it reports by replaced.
func (c *Client) keepIdentity(ctx context.Context, replaced func()) {
	if err := tidyEnrolments(c.folder.home); err != nil {
		c.log.Warn("an earlier identity could not be removed", "err", err)
	}
	for _, k := range kinds {
		if err := c.folder.tidy(k); err != nil {
			c.log.Warn("an earlier certificate could not be removed", "kind", k, "err", err)
		}
	}
	look := map[kind]time.Time{}
	last := c.now()
	for {
		if e, err := ReadEnrolment(c.folder.home); err == nil && (c.folder.replaced() || !e.same(c.folder.Enrolment)) {
			c.log.Info("the gateway was enrolled anew", "gateway", e.Gateway)
			replaced()
			return
		}
		now := c.now()
		for _, k := range kinds {
			if now.Before(last) || !now.Before(look[k]) { // or the clock was set back
				look[k] = now.Add(c.renew(ctx, k))
			}
		}
		last = now
		c.askStanding(ctx)
		if !rest(ctx, c.look, 0, c.reread) {
			return
		}
	}
}

// askStanding asks the directory whether the client certificate is revoked,
// after the relay has refused it, which it may do for other reasons: by a
// renewal without a request, which only a certificate in good standing gets as
// far as having refused for its own sake.
func (c *Client) askStanding(ctx context.Context) {
	c.mu.Lock()
	ask := c.state.doubted && c.now().Sub(c.state.asked).Abs() >= standingPause
	if ask {
		c.state.doubted, c.state.asked = false, c.now()
	}
	c.mu.Unlock()
	directory, err := baseURL(c.folder.Directory)
	if !ask || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	_, err = c.certsOnly(ctx, http.MethodPost, directory+"/.well-known/est/client/simplereenroll", []byte{})
	c.noteRevoked(err)
}

// same reports whether nothing has changed. Two times of one instant may differ
// in their bytes.
func (e Enrolment) same(o Enrolment) bool {
	at := e.EnrolledAt.Equal(o.EnrolledAt)
	e.EnrolledAt, o.EnrolledAt = time.Time{}, time.Time{}
	return at && e == o
}

// renew does what there is to do for a certificate now, and says how long to
// leave it in peace.
func (c *Client) renew(ctx context.Context, k kind) (wait time.Duration) {
	cur, err := c.folder.current(k)
	if err != nil {
		return c.renewalFailed(k, err)
	}
	c.noteCertificate(k, cur)
	next, err := c.folder.waiting(k)
	if err != nil { // not ours, or half gone: another is made
		next = nil
		if err := c.folder.discard(k); err != nil {
			return c.renewalFailed(k, err)
		}
	}
	if now := c.now(); next == nil {
		if due := renewAt(cur.leaf()); now.Before(due) {
			c.renewalWorked(k)
			return min(renewLook, due.Sub(now))
		}
		if client, err := c.folder.current(clientKind); err == nil && (now.After(client.leaf().NotAfter) || c.folder.revoked(client.leaf().SerialNumber)) {
			return renewLook // the directory would refuse: Status says that only a new code helps
		}
	}
	if err := c.renewNow(ctx, k, cur, next); err != nil {
		if ctx.Err() != nil {
			return renewLook
		}
		return c.renewalFailed(k, err)
	}
	c.renewalWorked(k)
	return 0
}

// renewNow gets a new pair where there is none on its way, tries it, and brings
// it into use. Whatever fails, the present pair stays.
func (c *Client) renewNow(ctx context.Context, k kind, cur, next *pair) (err error) {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	if next == nil {
		if next, err = c.requestRenewal(ctx, k, cur); err != nil {
			return err
		}
	}
	now, leaf := c.now(), next.leaf()
	if !leaf.NotAfter.After(cur.leaf().NotAfter) || now.After(leaf.NotAfter) {
		return errors.Join(fmt.Errorf("the new %s certificate ends on %s, no later than the present one: tell the directory's operator", k, day(leaf.NotAfter)), c.folder.discard(k))
	}
	if now.Before(leaf.NotBefore) {
		return fmt.Errorf("the new %s certificate begins at %s, but this computer's clock says %s: set the clock", k, minute(leaf.NotBefore), minute(now))
	}
	if err := c.try(ctx, k, next); err != nil {
		if r := new(refusal); errors.As(err, &r) && (r.code == codeRevoked || r.code == "invalid_certificate") {
			err = errors.Join(err, c.folder.discard(k))
		}
		return fmt.Errorf("the new %s certificate does not work yet, the present one stays: %w", k, c.worded(err, "the relay "+c.relay))
	}
	if err := c.folder.adopt(k); err != nil {
		return fmt.Errorf("the new %s certificate could not be brought into use: %w", k, err)
	}
	if k == clientKind {
		c.redial()
	}
	c.noteCertificate(k, next)
	c.log.Info("certificate renewed", "kind", k, "serial", leaf.SerialNumber, "until", leaf.NotAfter)
	if err := c.folder.tidy(k); err != nil {
		c.log.Warn("an earlier certificate could not be removed", "kind", k, "err", err)
	}
	return nil
}

// requestRenewal makes a key and has the directory issue a certificate for it
// (RFC 7030: cacerts, then simplereenroll).
func (c *Client) requestRenewal(ctx context.Context, k kind, cur *pair) (*pair, error) {
	directory, err := baseURL(c.folder.Directory)
	if err != nil {
		return nil, fmt.Errorf("the identity names no directory that could renew: enrol again with a new code: %w", err)
	}
	est := directory + "/.well-known/est/" + string(k)
	authorities, err := c.certsOnly(ctx, http.MethodGet, est+"/cacerts", nil)
	if err != nil {
		return nil, err
	}
	key, err := c.folder.newKey(k)
	if err != nil {
		return nil, fmt.Errorf("the new key could not be kept: %w", err)
	}
	// The subject must be that of the present certificate (RFC 7030, 4.2.2).
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: cur.leaf().RawSubject, URIs: cur.leaf().URIs}, key)
	if err != nil {
		return nil, err
	}
	got, err := c.certsOnly(ctx, http.MethodPost, est+"/simplereenroll", csr)
	if err != nil {
		if r := new(refusal); errors.As(err, &r) && r.status == http.StatusBadRequest {
			err = errors.Join(err, c.folder.discard(k)) // another key may fare better
		}
		return nil, err
	}
	chain, err := c.checkRenewed(k, key, got[0], authorities)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the new %s certificate cannot be used, tell the directory's operator: %w", k, err), c.folder.discard(k))
	}
	return c.folder.keep(k, chain)
}

// checkRenewed makes sure that a certificate is this gateway's, for the new
// key, of the right hierarchy, and gives its chain.
func (c *Client) checkRenewed(k kind, key crypto.Signer, leaf *x509.Certificate, authorities []*x509.Certificate) ([]*x509.Certificate, error) {
	if err := matches(leaf, key, c.folder.Gateway); err != nil {
		return nil, err
	}
	if peer, err := identity.PeerOf(leaf); err != nil || peer.Member != c.folder.Member {
		return nil, fmt.Errorf("it is for the member %s, not %s", plain(peer.Member, 100), c.folder.Member)
	}
	var roots, issuers []*x509.Certificate
	for _, a := range authorities {
		if a.CheckSignatureFrom(a) == nil {
			roots = append(roots, a)
		} else if leaf.CheckSignatureFrom(a) == nil {
			issuers = append(issuers, a)
		}
	}
	opt := x509.VerifyOptions{Roots: identity.Pool(roots...), Intermediates: identity.Pool(issuers...),
		// Its own dates are looked at when it is tried, with words about the clock.
		CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if k == signingKind {
		opt.Roots, opt.KeyUsages = c.folder.root, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	if _, err := leaf.Verify(opt); err != nil {
		return nil, err
	}
	return append([]*x509.Certificate{leaf}, issuers...), nil
}

// certsOnly makes one request of EST.
func (c *Client) certsOnly(ctx context.Context, method, url string, csr []byte) ([]*x509.Certificate, error) {
	h := http.Header{"Accept": {"application/pkcs7-mime, application/json"}}
	var body []byte
	if csr != nil {
		h.Set("Content-Type", "application/pkcs10")
		h.Set("Content-Transfer-Encoding", "base64")
		body = []byte(base64.StdEncoding.EncodeToString(csr))
	}
	server := "the directory " + c.folder.Directory
	a, err := do(ctx, c.http, method, url, h, body, maxAnswer)
	if err != nil {
		return nil, c.worded(err, server)
	}
	if a.status == http.StatusNotFound {
		return nil, &worded{server + " does not renew certificates: its operator must bring it up to date", a.refused(c.now())}
	}
	if a.status != http.StatusOK {
		return nil, c.worded(a.refused(c.now()), server)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(a.body)), ""))
	if err != nil {
		return nil, fmt.Errorf("the directory's answer cannot be read: it is not base64: is %s really a directory?", c.folder.Directory)
	}
	cs, err := identity.ParseCertsOnly(der)
	if err != nil {
		return nil, fmt.Errorf("the directory's answer cannot be read: %w", err)
	}
	return cs, nil
}

// try finds out whether the relay takes a new certificate: the client
// certificate by a connection of its own, the signing certificate by
// registering it. The relay keeps the earlier one, so that a batch that was
// signed with it and waits stays good.
func (c *Client) try(ctx context.Context, k kind, p *pair) error {
	if k == signingKind {
		body, err := c.siteBody(p)
		if err != nil {
			return err
		}
		return c.putSite(ctx, body)
	}
	rt, err := c.dial(func() (*tls.Certificate, error) { return p.tls(), nil })
	if err != nil {
		return err
	}
	hc := &http.Client{Transport: rt, CheckRedirect: c.http.CheckRedirect}
	if rt != *c.line.now.Load() { // that of this try alone
		defer hc.CloseIdleConnections()
	}
	a, err := do(ctx, hc, http.MethodGet, c.relay+"/gateway/v1/grants", http.Header{"Accept": {"application/json"}}, nil, grant.MaxRaw)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK && a.status != http.StatusNotModified {
		return a.refused(c.now())
	}
	return nil
}

// worded is an error in words for who installs gateways.
type worded struct {
	words string
	err   error
}

func (w *worded) Error() string { return w.words }
func (w *worded) Unwrap() error { return w.err }

func (c *Client) worded(err error, server string) error {
	return &worded{explain(err, server, "", c.now()), err}
}

// renewPause is how long to wait after so many failures in a row, at random
// between half of it and the whole.
func renewPause(failures int, err error) time.Duration {
	d := min(renewFirst<<min(failures-1, 16), renewMost)
	d = d/2 + mathrand.N(d/2)
	if r := new(refusal); errors.As(err, &r) && r.after > 0 {
		d = max(d, r.after+mathrand.N(r.after/8+time.Second))
	}
	return d
}

func day(t time.Time) string    { return t.UTC().Format("2006-01-02") }
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
