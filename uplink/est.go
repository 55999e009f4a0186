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
	"net/http"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

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
		return c.tellSite(ctx, p, true)
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
