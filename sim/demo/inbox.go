package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// inbox is where the relay tells the bank, or the carbon accountant, that a
// business has withdrawn its permission at the relay (IB1
// message-delivery-to-applications 1.0): over mutual TLS, on a server with a
// certificate of the directory's server authority.
type inbox struct {
	trust   scheme.Scheme
	relays  string        // a sender must hold this role
	ours    func() string // the refresh token that the bank holds; nil: whoever plays the accountant holds its tokens
	now     func() time.Time
	revoked func(*x509.Certificate) error // says whether a sender's certificate is

	mu       sync.Mutex
	messages []received
}

// received is a message as a page shows it.
type received struct {
	At    string
	From  string // application URL of the sender
	Ours  bool   // it names the token that the bank holds
	token string
}

const (
	maxMessage = 16 << 10 // bytes; a real one takes 300
	maxKept    = 100      // messages, a bound on memory
)

// ServeHTTP takes a message. What it answers does not depend on whether the
// token is known: a message may come twice, and a stranger learns nothing.
func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := i.take(r)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (i *inbox) take(r *http.Request) (int, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return http.StatusUnauthorized, errors.New("show a certificate of the scheme")
	}
	leaf := r.TLS.PeerCertificates[0]
	sender, err := identity.PeerOf(leaf)
	if err != nil || !sender.HasRole(i.relays) {
		return http.StatusForbidden, errors.New("messages are taken from energy data providers")
	}
	if err := i.revoked(leaf); err != nil {
		return http.StatusForbidden, err
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("send application/json")
	}
	var m struct {
		Framework string `json:"ib1:message"`
		Subject   string `json:"subject"`
		Body      struct {
			Token string `json:"token"`
		} `json:"body"`
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err != nil || len(b) > maxMessage || json.Unmarshal(b, &m) != nil || m.Framework != i.trust.TrustFramework() || m.Subject != scheme.WithdrawalMessage || m.Body.Token == "" {
		return http.StatusBadRequest, errors.New("this is not a message of withdrawal of this trust framework")
	}
	got := received{i.now().UTC().Format("2 January 2006 15:04:05 UTC"), sender.Application, i.ours == nil || m.Body.Token == i.ours(), m.Body.Token}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !slices.ContainsFunc(i.messages, func(x received) bool { return x.token == got.token }) && len(i.messages) < maxKept {
		i.messages = append(i.messages, got)
	}
	return 0, nil
}

// told lists what came, the newest first.
func (i *inbox) told() []received {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := slices.Clone(i.messages)
	slices.Reverse(out)
	return out
}

// openInboxes fetches a server certificate from the directory, as any member's
// server does (ACME, http-01), and listens for the bank and the accountant.
func (d *demo) openInboxes(ctx context.Context) error {
	clientRoots, err := identity.ReadCertificates(d.path("client-ca.pem"))
	if err != nil {
		return err
	}
	var cert atomic.Pointer[tls.Certificate]
	renew := func() error {
		c, err := d.serverCertificate(ctx)
		if err != nil {
			return fmt.Errorf("the server certificate for messages: %w", err)
		}
		cert.Store(c)
		return nil
	}
	if err := renew(); err != nil {
		return err
	}
	issuers, err := identity.ReadCertificates(d.path("authorities", "client", "issuer.pem"))
	if err != nil {
		return err
	}
	list, err := identity.NewRevocations(identity.RevocationsConfig{Interval: time.Minute,
		Sources: []identity.CRLSource{{Name: "client", Issuer: issuers[0], Fetch: identity.FetchCRL(d.browser(), d.directory()+"/crl/client.crl")}}})
	if err != nil {
		return err
	}
	if err := list.Refresh(ctx); err != nil {
		return err
	}
	go list.Run(ctx)
	d.capInbox = &inbox{trust: d.scheme, relays: d.scheme.Role(scheme.EDP), now: time.Now,
		revoked: func(leaf *x509.Certificate) error {
			if err := list.Current(); err != nil {
				return err
			}
			if list.Revoked(leaf.SerialNumber) {
				return errors.New("your certificate is revoked")
			}
			return nil
		}}
	d.inbox = &inbox{trust: d.scheme, relays: d.capInbox.relays, ours: func() string { return d.bank.refresh }, now: time.Now, revoked: d.capInbox.revoked}
	l, err := net.Listen("tcp", d.listen(portInbox))
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(d.logs, "messages.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	said := log.New(file, "", log.LstdFlags|log.LUTC)
	mux := http.NewServeMux()
	mux.Handle("POST /messages", d.inbox)
	mux.Handle("POST /accountant/messages", d.capInbox)
	srv := &http.Server{Handler: mux, TLSConfig: identity.ServerTLS(func() (*tls.Certificate, error) { return cert.Load(), nil }, identity.Pool(clientRoots...)),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, ErrorLog: said}
	go srv.ServeTLS(l, "", "")
	go func() {
		defer file.Close()
		defer srv.Close()
		for t := time.NewTicker(8 * time.Hour); ; { // it lasts a day
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
				if err := renew(); err != nil {
					said.Print(err)
				}
			}
		}
	}()
	return nil
}

// serverCertificate proves, at the port where the directory asks, that the
// members' host is theirs, and gets a certificate for a day.
func (d *demo) serverCertificate(ctx context.Context) (*tls.Certificate, error) {
	account, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	c := &acme.Client{Key: account, DirectoryURL: d.directory() + "/acme/directory", HTTPClient: d.browser(), UserAgent: "perseus-sim"}
	if _, err := c.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", d.listen(portChallenge))
	if err != nil {
		return nil, err
	}
	answers := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := c.HTTP01ChallengeResponse(strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, answer)
	})}
	go answers.Serve(l)
	defer answers.Close()
	order, err := c.AuthorizeOrder(ctx, acme.DomainIDs("localhost"))
	if err != nil {
		return nil, err
	}
	for _, link := range order.AuthzURLs {
		z, err := c.GetAuthorization(ctx, link)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(z.Challenges, func(x *acme.Challenge) bool { return x.Type == "http-01" })
		if z.Status == acme.StatusValid {
			continue
		}
		if at < 0 {
			return nil, errors.New("the directory offers no http-01")
		}
		if _, err := c.Accept(ctx, z.Challenges[at]); err != nil {
			return nil, err
		}
		if _, err := c.WaitAuthorization(ctx, z.URI); err != nil {
			return nil, err
		}
	}
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"localhost"}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := c.CreateOrderCert(ctx, order.FinalizeURL, csr, true)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, err
}
