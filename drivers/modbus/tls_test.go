package modbus

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// registers is a device for the library's server: register a holds a.
type registers struct{ wire.RequestHandler }

func (registers) HandleInputRegisters(r *wire.InputRegistersRequest) (out []uint16, err error) {
	for i := range r.Quantity {
		out = append(out, r.Addr+i)
	}
	return out, nil
}

// certificate makes a key and a certificate that is its own authority, writes
// both as PEM files and gives their names.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	deviceCert, deviceKey := certificate(t, dir, "device")
	ourCert, ourKey := certificate(t, dir, "gateway")
	otherCert, otherKey := certificate(t, dir, "other")
	pair, err := tls.LoadX509KeyPair(deviceCert, deviceKey)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(ourCert)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ours)
	address := ports.Address(t)
	server, err := wire.NewServer(&wire.ServerConfiguration{
		URL: "tcp+tls://" + address, Timeout: time.Minute, MaxClients: 5, TLSServerCert: &pair, TLSClientCAs: clients,
	}, registers{})
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()

	url := func(ca, cert, key string) string {
		return "tls://" + address + "?" + url.Values{"ca": {ca}, "cert": {cert}, "key": {key}}.Encode()
	}
	bus := func(url string) *Bus {
		b, err := New(Config{URL: url, Timeout: 20 * time.Second, Devices: []Device{{Meter: "m", Unit: 9, Points: []Point{pt(4)}}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}

	b := bus(url(deviceCert, ourCert, ourKey))
	for range 2 {
		got, err := b.Poll(t.Context(), 0, nil)
		if err != nil || len(got) != 1 || got[0].Raw != 4<<16|5 {
			t.Fatalf("%+v, %v", got, err)
		}
		b.Close() // and connect anew
	}

	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ url, want string }{
		"a device that we do not know":   {url(otherCert, ourCert, ourKey), "certificate"},
		"a file that is not there":       {url(deviceCert, filepath.Join(dir, "none"), ourKey), "cert and key"},
		"the key of another":             {url(deviceCert, ourCert, otherKey), "cert and key"},
		"an authority that is not there": {url(filepath.Join(dir, "none"), ourCert, ourKey), "ca:"},
		"an authority without any":       {url(empty, ourCert, ourKey), "no certificate in"},
	} {
		_, err := bus(c.url).Poll(t.Context(), 0, nil)
		var de *drivers.Error
		if !errors.As(err, &de) || de.Kind != drivers.Refused || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// The device says whom it lets in when it is first asked (TLS 1.3).
	if got, err := bus(url(deviceCert, otherCert, otherKey)).Poll(t.Context(), 0, nil); err == nil {
		t.Errorf("a gateway that the device does not know read %+v", got)
	}
	// Renewed: the files are read at each connection.
	b = bus(url(deviceCert, filepath.Join(dir, "later.pem"), ourKey))
	if _, err := b.Poll(t.Context(), 0, nil); err == nil {
		t.Fatal("without a certificate")
	}
	if err := os.WriteFile(filepath.Join(dir, "later.pem"), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Poll(t.Context(), 0, nil); err != nil {
		t.Errorf("with the certificate there: %v", err)
	}
}
