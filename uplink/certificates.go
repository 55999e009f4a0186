package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// CertificateStatus is how a certificate of the gateway stands.
type CertificateStatus struct {
	Kind     string    `json:"kind"` // client or signing
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"notAfter"`
	RenewAt  time.Time `json:"renewAt"`         // two thirds of its life
	KeyStore string    `json:"keyStore"`        // where its key lives: file, tpm or pkcs11
	Token    string    `json:"token,omitempty"` // of pkcs11: the token's label and serial number
	State    string    `json:"state"`           // valid, renewing, failing (the renewal), no key (it cannot be used now), expired or revoked
	Failures int       `json:"failures,omitempty"`
	Since    time.Time `json:"since,omitzero"` // of the first failure in a row
	Error    string    `json:"error,omitempty"`
	NextTry  time.Time `json:"nextTry,omitzero"`
	Words    string    `json:"words,omitempty"` // what is wrong and what to do; empty while nothing is
}

// held is what the client knows of a certificate in use.
type held struct {
	leaf     *x509.Certificate
	keys     string // where its key lives,
	token    string // and in which token
	told     bool   // that it has ended is in the log
	failures int
	since    time.Time
	problem  string
	next     time.Time
}

// certificatesLocked gives how the certificates stand.
func (c *Client) certificatesLocked() (out []CertificateStatus) {
	now := c.now()
	for _, k := range kinds {
		h := c.state.certificates[k]
		if h.leaf == nil {
			continue
		}
		s := CertificateStatus{Kind: string(k), Serial: h.leaf.SerialNumber.String(), NotAfter: h.leaf.NotAfter.UTC(), RenewAt: renewAt(h.leaf).UTC(), KeyStore: h.keys, Token: h.token,
			State: "valid", Failures: h.failures, Since: h.since, Error: h.problem, NextTry: h.next}
		again := fmt.Sprintf("Make a new code for this gateway in the directory, then type it on this gateway's own page, or run: perseus-agent enroll --url %s --code CODE", c.folder.Directory)
		switch {
		case k == clientKind && c.state.revoked != "" && c.state.revoked == s.Serial:
			s.State = "revoked"
			s.Words = "This gateway's client certificate is revoked: nothing can be sent. Readings are kept here. " + again
		case now.After(s.NotAfter):
			s.State = "expired"
			s.Words = fmt.Sprintf("This gateway's %s certificate ended on %s: nothing can be sent. Readings are kept here. %s", k, minute(s.NotAfter), again)
			if k == signingKind && h.failures > 0 {
				s.Words += ". Its renewal fails: " + h.problem
			}
		case h.failures > 0:
			s.State = "failing"
			s.Words = fmt.Sprintf("The %s certificate ends on %s and has not been renewed, tried %d times since %s: %s. Next try at %s.",
				k, minute(s.NotAfter), h.failures, minute(h.since), h.problem, minute(h.next))
		case !now.Before(s.RenewAt):
			s.State = "renewing"
		}
		if words := c.keyTroubleLocked(k); words != "" && s.Words == "" {
			s.State, s.Words = "no key", words
		}
		out = append(out, s)
	}
	return out
}

// noteCertificate takes down which pair is in use, and once that its certificate
// has ended.
func (c *Client) noteCertificate(k kind, p *pair) {
	leaf := p.leaf()
	revoked := k == clientKind && c.folder.revoked(leaf.SerialNumber)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.certificates == nil {
		c.state.certificates = map[kind]held{}
	}
	h := c.state.certificates[k]
	if h.leaf == nil || !h.leaf.Equal(leaf) {
		h.told = false
	}
	h.leaf, h.keys, h.token = leaf, keystore.KindOf(p.key), keystore.TokenOf(p.key)
	if !h.told && c.now().After(leaf.NotAfter) {
		h.told = true
		c.log.Error("this gateway's certificate has ended: nothing can be sent until it is enrolled with a new code; readings are kept", "kind", k, "ended", leaf.NotAfter, "serial", leaf.SerialNumber)
	}
	c.state.certificates[k] = h
	if revoked {
		c.state.revoked = leaf.SerialNumber.String()
	}
}

func (c *Client) renewalWorked(k kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.state.certificates[k]
	c.state.certificates[k] = held{leaf: h.leaf, keys: h.keys, token: h.token, told: h.told}
}

// renewalFailed notes why, and says when to try again.
func (c *Client) renewalFailed(k kind, err error) time.Duration {
	c.noteRevoked(err)
	words := err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.certificates == nil {
		c.state.certificates = map[kind]held{}
	}
	h := c.state.certificates[k]
	if h.failures++; h.failures == 1 {
		h.since = c.now().UTC()
	}
	pause, _ := c.jitter.around(min(renewFirst<<min(h.failures-1, 16), renewMost), err)
	h.problem, h.next = words, c.now().Add(pause).UTC()
	c.state.certificates[k] = h
	c.log.Warn("certificate not renewed", "kind", k, "problem", words, "again", h.next, "err", err)
	return pause
}

// noteRevoked takes down that a server calls the client certificate revoked.
func (c *Client) noteRevoked(err error) {
	if r := new(refusal); !errors.As(err, &r) || r.code != codeRevoked {
		return
	}
	p, err := c.folder.current(clientKind)
	if err != nil {
		return
	}
	serial := p.leaf().SerialNumber
	c.mu.Lock()
	known := c.state.revoked == serial.String()
	c.state.revoked = serial.String()
	c.mu.Unlock()
	if !known {
		c.log.Error("this gateway's certificate is revoked: nothing can be sent until it is enrolled with a new code; readings are kept", "serial", serial)
	}
	if c.folder.revoked(serial) {
		return
	}
	if err := identity.WriteFile(c.folder.path(revokedFile), []byte(serial.String()+"\n"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("that the certificate is revoked could not be noted", "err", err)
	}
}

// line is a transport that can be replaced while requests are under way: those
// that begin afterwards take the new one.
type line struct {
	now atomic.Pointer[http.RoundTripper]
}

func (l *line) RoundTrip(q *http.Request) (*http.Response, error) {
	return (*l.now.Load()).RoundTrip(q)
}

// replace puts a transport in the place of the one before, whose connections
// close as they fall idle.
func (l *line) replace(rt http.RoundTripper) {
	old := l.now.Swap(&rt)
	if old != nil && *old != rt {
		(&http.Client{Transport: *old}).CloseIdleConnections()
	}
}

// redial makes the requests that follow open connections with the certificate
// in use now.
func (c *Client) redial() {
	rt, err := c.dial(c.folder.client)
	if err != nil {
		c.log.Warn("the connections with the earlier certificate stay", "err", err)
		return
	}
	c.line.replace(rt)
}

// dialled gives how connections are made: as injected, or with mutual TLS.
func dialled(f *folder, injected http.RoundTripper) func(cert func() (*tls.Certificate, error)) (http.RoundTripper, error) {
	if injected != nil {
		return func(func() (*tls.Certificate, error)) (http.RoundTripper, error) { return injected, nil }
	}
	return f.transport
}
