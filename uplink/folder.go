package uplink

import (
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
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The files of an enrolment. Without gateway.json, which is written last, there
// is none.
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

// ReadEnrolment reads gateway.json of the enrolment in use in an identity
// folder. The error wraps ErrNotEnrolled where there is none.
func ReadEnrolment(home string) (Enrolment, error) {
	e, _, err := readEnrolment(home)
	return e, err
}

func readEnrolment(home string) (e Enrolment, dir string, err error) {
	_, dir, err = inUse(home)
	if err != nil {
		return e, dir, err
	}
	path := filepath.Join(dir, gatewayFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, dir, fmt.Errorf("%s: %w", home, ErrNotEnrolled)
	}
	if err != nil {
		return e, dir, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, dir, fmt.Errorf("%s: %w", path, err)
	}
	if e.Gateway == "" {
		return e, dir, fmt.Errorf("%s: names no gateway: enrol again", path)
	}
	return e, dir, nil
}

// folder is an enrolment in use.
type folder struct {
	Enrolment
	home string         // the identity folder
	dir  string         // that of the enrolment: home itself or in it
	keys string         // where new keys are made: see keystore.Open
	root *x509.CertPool // signing root
	mu   sync.RWMutex   // held for writing while one pair takes another's place
}

// openFolder reads an identity folder and checks that all of it is there and
// fits together. It does not check the certificates' dates: an expired one is
// for the relay to refuse and for Status to explain.
func openFolder(home, keys string) (*folder, error) {
	e, dir, err := readEnrolment(home)
	if err != nil {
		return nil, err
	}
	f := &folder{Enrolment: e, home: home, dir: dir, keys: keys}
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
	p, err := f.current(clientKind)
	if err != nil {
		return nil, err
	}
	return p.tls(), nil
}

// signer loads the signing certificate and its key.
func (f *folder) signer() (*pair, error) { return f.current(signingKind) }

// transport makes the mutual TLS transport that shows the certificate which
// cert gives. It trusts the authority given at enrolment, or else the system's.
func (f *folder) transport(cert func() (*tls.Certificate, error)) (http.RoundTripper, error) {
	roots, err := caPool(f.path(serverCAFile))
	if errors.Is(err, fs.ErrNotExist) {
		roots, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("server authority: %w", err)
	}
	return newTransport(roots, cert), nil
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
