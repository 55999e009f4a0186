package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// authority is a root of these tests' own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func TestClientCertificate(t *testing.T) {
	site, other := newAuthority(t), newAuthority(t)
	m := newGuardedBroker(t, "", &rights{}, &tls.Config{Certificates: []tls.Certificate{site.issue(t, "broker")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: site.pool(), MinVersion: tls.VersionTLS12})
	url := "mqtts://" + m.address
	config := func(c *tls.Config) Config {
		return Config{URLs: []string{url}, TLS: c, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()}
	}
	b, got, _ := listen(t, config(&tls.Config{RootCAs: site.pool(), Certificates: []tls.Certificate{site.issue(t, "agent")}, MinVersion: tls.VersionTLS12}))
	healthy(t, b, true)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 1), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 1000)
	for name, c := range map[string]*tls.Config{
		"no certificate":      {RootCAs: site.pool(), MinVersion: tls.VersionTLS12},
		"another's":           {RootCAs: site.pool(), Certificates: []tls.Certificate{other.issue(t, "agent")}, MinVersion: tls.VersionTLS12},
		"an untrusted broker": {RootCAs: other.pool(), Certificates: []tls.Certificate{site.issue(t, "agent")}, MinVersion: tls.VersionTLS12},
	} {
		b, _, stop := listen(t, config(c))
		until(t, name, func() bool { return b.Health() != nil && !errors.Is(b.Health(), errNotYet) })
		var e *drivers.Error
		if err := b.Health(); !errors.As(err, &e) || e.Kind != drivers.Refused || !strings.Contains(err.Error(), m.address) {
			t.Errorf("%s: %v", name, err)
		}
		stop()
	}
}

func TestPassword(t *testing.T) {
	m := newGuardedBroker(t, "", &rights{user: "agent", password: record.Secret(t, "password of a broker", "kettle-otter-9")}, nil)
	c := Config{URLs: []string{m.url()}, User: "agent", Password: "wrong", Format: "udmi", Devices: udmiMain()}
	b, _, stop := listen(t, c)
	until(t, "a refusal", func() bool {
		return b.Health() != nil && strings.Contains(b.Health().Error(), "are user and password right")
	})
	if strings.Contains(b.Health().Error(), "wrong") {
		t.Errorf("the password is in the error: %v", b.Health())
	}
	stop()
	c.Password = "kettle-otter-9"
	b, _, _ = listen(t, c)
	healthy(t, b, true)
}

// A broker that takes the connection but not the subscription is no health.
func TestSubscriptionRefused(t *testing.T) {
	var given atomic.Bool
	m := newGuardedBroker(t, "", &rights{readable: func(topic string) bool { return given.Load() || !strings.HasSuffix(topic, "/state") }}, nil)
	b, _, _ := listen(t, Config{URLs: []string{m.url()}, Format: "udmi", Devices: udmiMain()})
	until(t, "a refusal", func() bool {
		err := b.Health()
		return err != nil && strings.Contains(err.Error(), "/state: refused: the broker refused it")
	})
	given.Store(true) // it is tried again by itself
	healthy(t, b, true)
}
