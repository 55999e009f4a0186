package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

// Curves are the key exchanges and signature curves that the scheme's baseline
// TLS specification permits.
var Curves = []tls.CurveID{tls.CurveP256, tls.CurveP384}

// ServerTLS is the TLS configuration of a server that shows cert. With a pool
// of client roots every client must show a certificate that chains to it
// (mTLS); without, no client is asked for one, so that browsers are left alone.
func ServerTLS(cert func() (*tls.Certificate, error), clientRoots *x509.CertPool) *tls.Config {
	c := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: Curves,
		GetCertificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert() },
	}
	if clientRoots != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = clientRoots
		c.SessionTicketsDisabled = true // a resumed session would skip the certificate
	}
	return c
}

// AskingTLS is ServerTLS for an address that people and programs share: a
// client may show a certificate and need not. It is not checked at the
// handshake, so that one that has run out gets an answer in words and no alert:
// a handler that relies on a certificate must check it itself. The roots go out
// with the question, so that a browser without a certificate of theirs does not
// bother its user.
func AskingTLS(cert func() (*tls.Certificate, error), clientRoots *x509.CertPool) *tls.Config {
	c := ServerTLS(cert, nil)
	c.ClientAuth = tls.RequestClientCert
	c.ClientCAs = clientRoots
	c.SessionTicketsDisabled = true // a resumed session would show the certificate of the first
	return c
}

// ClientTLS is the TLS configuration of a client that trusts roots (nil: the
// system's) and shows the certificate that cert returns (nil: none).
func ClientTLS(roots *x509.CertPool, cert func() (*tls.Certificate, error)) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: Curves, RootCAs: roots}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert() }
	}
	return c
}

// Pool makes a certificate pool.
func Pool(cs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range cs {
		p.AddCert(c)
	}
	return p
}

// KeyPair loads a certificate bundle (leaf first) and its key for use in TLS.
func KeyPair(certPath, keyPath string) (*tls.Certificate, error) {
	cs, err := ReadCertificates(certPath)
	if err != nil {
		return nil, err
	}
	key, err := ReadKey(keyPath)
	if err != nil {
		return nil, err
	}
	t := &tls.Certificate{PrivateKey: key, Leaf: cs[0]}
	for _, c := range cs {
		t.Certificate = append(t.Certificate, c.Raw)
	}
	return t, nil
}

// RequestPeer reads the profile of the client certificate of a request that
// came over mTLS.
func RequestPeer(r *http.Request) (Peer, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return Peer{}, errors.New("no client certificate: this address needs mutual TLS")
	}
	return PeerOf(r.TLS.VerifiedChains[0][0])
}
