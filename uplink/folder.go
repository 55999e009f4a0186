package uplink

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The files of an identity folder. gateway.json is written last: a folder
// without it is not enrolled.
const (
	clientCertFile  = "client.pem"
	clientKeyFile   = "client.key"
	signingCertFile = "signing.pem"
	signingKeyFile  = "signing.key"
	signingRootFile = "signing-root.pem"
	serverCAFile    = "server-ca.pem"
	gatewayFile     = "gateway.json"
)

// ErrNotEnrolled is the cause when an identity folder has no gateway.json.
var ErrNotEnrolled = errors.New("this gateway is not enrolled yet: run perseus-agent enroll with the code from the directory")

// Enrolment is what gateway.json holds: who this gateway is and where its
// relay and directory are.
type Enrolment struct {
	Gateway      string    `json:"gateway"` // URL
	Member       string    `json:"member"`  // URL of the member that runs it
	Organisation string    `json:"organisation"`
	Relay        string    `json:"relay"`
	Directory    string    `json:"directory"`
	EnrolledAt   time.Time `json:"enrolled_at"`
}

// ReadEnrolment reads gateway.json of an identity folder. The error wraps
// ErrNotEnrolled where there is none.
func ReadEnrolment(dir string) (Enrolment, error) {
	path := filepath.Join(dir, gatewayFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Enrolment{}, fmt.Errorf("%s: %w", dir, ErrNotEnrolled)
	}
	if err != nil {
		return Enrolment{}, err
	}
	var e Enrolment
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("%s: %w", path, err)
	}
	if e.Gateway == "" {
		return e, fmt.Errorf("%s: names no gateway: enrol again", path)
	}
	return e, nil
}

// folder is an identity folder in use.
type folder struct {
	Enrolment
	dir  string
	root *x509.CertPool // signing root
}

// openFolder reads an identity folder and checks that all of it is there and
// fits together. It does not check the certificates' dates: an expired one is
// for the relay to refuse and for Status to explain.
func openFolder(dir string) (*folder, error) {
	e, err := ReadEnrolment(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{Enrolment: e, dir: dir}
	roots, err := identity.ReadCertificates(f.path(signingRootFile))
	if err != nil {
		return nil, fmt.Errorf("signing root: %w", err)
	}
	f.root = identity.Pool(roots...)
	if _, err := f.client(); err != nil {
		return nil, err
	}
	_, err = f.signer()
	return f, err
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// client loads the client certificate. It is read anew for every handshake, so
// that a renewed one is used without a restart.
func (f *folder) client() (*tls.Certificate, error) {
	c, err := identity.KeyPair(f.path(clientCertFile), f.path(clientKeyFile))
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	if err := matches(c.Leaf, c.PrivateKey.(crypto.Signer), f.Gateway); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(clientCertFile), err)
	}
	return c, nil
}

// signer is the signing identity: chain (leaf first) and key.
type signer struct {
	chain []*x509.Certificate
	key   crypto.Signer
}

func (f *folder) signer() (*signer, error) {
	c, err := identity.KeyPair(f.path(signingCertFile), f.path(signingKeyFile))
	if err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	s := &signer{key: c.PrivateKey.(crypto.Signer)}
	if err := matches(c.Leaf, s.key, f.Gateway); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(signingCertFile), err)
	}
	for _, der := range c.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		s.chain = append(s.chain, x)
	}
	return s, nil
}

// matches checks that a certificate is the gateway's and belongs to the key.
func matches(c *x509.Certificate, key crypto.Signer, gateway string) error {
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(c.PublicKey) {
		return errors.New("the certificate does not belong to the key beside it")
	}
	peer, err := identity.PeerOf(c)
	if err != nil {
		return err
	}
	if peer.Application != gateway {
		return fmt.Errorf("the certificate is for %s, this gateway is %s", peer.Application, gateway)
	}
	return nil
}

// transport makes the mutual TLS transport. It trusts the authority given at
// enrolment, or else the system's.
func (f *folder) transport() (http.RoundTripper, error) {
	roots, err := caPool(f.path(serverCAFile))
	if errors.Is(err, fs.ErrNotExist) {
		roots, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("server authority: %w", err)
	}
	return newTransport(roots, f.client), nil
}

func caPool(path string) (*x509.CertPool, error) {
	cs, err := identity.ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	return identity.Pool(cs...), nil
}

func newTransport(roots *x509.CertPool, cert func() (*tls.Certificate, error)) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer(&net.Dialer{Timeout: 15 * time.Second, KeepAlive: time.Minute}),
		TLSClientConfig:     identity.ClientTLS(roots, cert),
		TLSHandshakeTimeout: 20 * time.Second,
		IdleConnTimeout:     2 * time.Minute,
		ForceAttemptHTTP2:   true,
		// A connection that a router forgot must not swallow requests.
		HTTP2: &http.HTTP2Config{SendPingTimeout: time.Minute, PingTimeout: 15 * time.Second},
	}
}
