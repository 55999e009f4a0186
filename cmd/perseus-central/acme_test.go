package main

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/acme"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// TestServerCertificateByACME: the program as it is run gives a server that its
// directory names (init enters the relay's, localhost) a certificate.
func TestServerCertificateByACME(t *testing.T) {
	p := ports.Free(t, 4)
	text := strings.Replace(fmt.Sprintf(example, p[0], p[1], p[2]), `listen: "127.0.0.1`, fmt.Sprintf(`acme: {port: %d, networks: [127.0.0.0/8, "::1/128"]}, listen: "127.0.0.1`, p[3]), 1)
	path := write(t, text)
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	var log safeLog
	serving(t, path, &log)
	roots, err := identity.ReadCertificates(filepath.Join(filepath.Dir(path), "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil)}}
	directory := fmt.Sprintf("https://localhost:%d/acme/directory", p[0])
	if answer, body := get(t, web, directory, "application/json"); answer.StatusCode != 200 {
		t.Fatalf("%d %s", answer.StatusCode, body)
	}

	account, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	ctx, c := t.Context(), &acme.Client{Key: account, DirectoryURL: directory, HTTPClient: web}
	if _, err := c.Register(ctx, &acme.Account{}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	listener := ports.Listen(t, fmt.Sprintf("127.0.0.1:%d", p[3]))
	member := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := c.HTTP01ChallengeResponse(strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"))
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, body)
	})}
	go member.Serve(listener)
	defer member.Close()
	o, err := c.AuthorizeOrder(ctx, acme.DomainIDs("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := c.GetAuthorization(ctx, o.AuthzURLs[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Accept(ctx, z.Challenges[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitAuthorization(ctx, z.URI); err != nil {
		t.Fatal(err)
	}
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"localhost"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := c.CreateOrderCert(ctx, o.FinalizeURL, csr, true)
	if err != nil {
		t.Fatal(err)
	}
	pair := &tls.Certificate{Certificate: chain, PrivateKey: key}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(pair.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: identity.Pool(roots...), Intermediates: identity.Pool(issuer)}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "acme: certificate issued") {
		t.Errorf("the log does not say so: %s", log.String())
	}
	if _, err := c.AuthorizeOrder(ctx, acme.DomainIDs("other.example.com")); err == nil || !strings.Contains(err.Error(), "Enter it first") {
		t.Errorf("%v", err)
	}
}
