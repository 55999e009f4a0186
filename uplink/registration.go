package uplink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/perseus-edge/perseus-edge/identity"
)

// register tells the relay of the site, when it has not been told yet or when
// something in it has changed, such as the signing certificate.
func (c *Client) register(ctx context.Context) error {
	s, err := c.folder.signer()
	if err != nil {
		return err
	}
	return c.tellSite(ctx, s, false)
}

// tellSite tells the relay of the site, with a signing certificate: always, or
// where it has not been told the same last. One is on its way at a time: an
// older one that came after a newer would bring the code before back to life.
func (c *Client) tellSite(ctx context.Context, p *pair, always bool) error {
	select {
	case c.telling <- struct{}{}:
		defer func() { <-c.telling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	site := c.site
	c.mu.Unlock()
	body, err := siteBody(site, p)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	if !always && bytes.Equal(c.registration(), digest[:]) {
		return nil
	}
	if err := c.putSite(ctx, body); err != nil {
		return err
	}
	if !always {
		c.mu.Lock()
		c.registered = digest[:]
		c.mu.Unlock()
	}
	c.noteTold(site.Code)
	return nil
}

// siteBody is what the relay is told of the site, with a signing certificate.
func siteBody(site Site, p *pair) ([]byte, error) {
	if site.Meters == nil {
		site.Meters = []SiteMeter{}
	}
	return json.Marshal(struct {
		Site
		Certificate string `json:"signing_certificate"`
	}{site, string(identity.EncodeCertificates(p.chain...))})
}

func (c *Client) putSite(ctx context.Context, body []byte) error {
	rctx, cancel := context.WithTimeout(ctx, siteTime)
	defer cancel()
	a, err := do(rctx, c.http, http.MethodPut, c.relay+"/gateway/v1/site",
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body, maxAnswer)
	if err != nil {
		return err
	}
	c.noteClock(a.header)
	if a.status != http.StatusNoContent && a.status != http.StatusOK {
		no := a.refused(c.now())
		if no.status == http.StatusConflict && no.code == "code_taken" {
			err = c.newCode() // enrolled anew with the same store, say: another gateway's by now
		}
		return errors.Join(fmt.Errorf("registering the site: %w", no), err)
	}
	return nil
}

func (c *Client) registration() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registered
}

func (c *Client) forgetRegistration() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registered = nil
}
