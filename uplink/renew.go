package uplink

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/keystore"
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
	if err := tidyEnrolments(c.folder.home, c.folder.keys); err != nil {
		c.log.Warn("an earlier identity could not be removed", "err", err)
	}
	for _, k := range kinds {
		if err := c.folder.tidy(k); err != nil {
			c.log.Warn("an earlier certificate could not be removed", "kind", k, "err", err)
		}
	}
	c.tidyTokens()
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
	c.tidyTokens()
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

func day(t time.Time) string    { return t.UTC().Format("2006-01-02") }
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
