// Package identitytest makes the scheme's three certificate hierarchies in
// memory, for tests. Every leaf has the profile that the directory issues:
// exactly one URI as SAN, the roles and member extensions, key identifiers.
package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
)

// PKI is a scheme's client, signing and server hierarchies.
type PKI struct {
	ClientCA, SigningCA, ServerCA *Hierarchy

	// NotBefore and NotAfter bound the leaves that are issued next. They are
	// 1999 and 2069 at first, so that certificates also hold in a
	// testing/synctest bubble, whose clock starts in 2000.
	NotBefore, NotAfter time.Time

	t testing.TB
}

// Hierarchy is a root and the issuer below it.
type Hierarchy struct {
	Root, Issuer       *x509.Certificate
	RootKey, IssuerKey *ecdsa.PrivateKey
}

// Pool holds the root alone, as a verifier trusts it.
func (h *Hierarchy) Pool() *x509.CertPool { return identity.Pool(h.Root) }

// Leaf is an end-entity certificate with its key.
type Leaf struct {
	Chain []*x509.Certificate // leaf, then its issuer
	Key   *ecdsa.PrivateKey
	t     testing.TB
}

// Cert is the leaf certificate itself.
func (l *Leaf) Cert() *x509.Certificate { return l.Chain[0] }

// PEM is the bundle: the leaf, then its issuer.
func (l *Leaf) PEM() []byte { return identity.EncodeCertificates(l.Chain...) }

// TLS is the leaf for use in a tls.Config.
func (l *Leaf) TLS() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: l.Key, Leaf: l.Chain[0]}
	for _, x := range l.Chain {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

// Get is the leaf in the form that identity.ServerTLS and ClientTLS take. With
// httptest also set Certificates: it adds a certificate of its own to a
// configuration that has none, and that one wins for IP addresses.
func (l *Leaf) Get() (*tls.Certificate, error) { return l.TLS(), nil }

// Write writes name.pem (bundle) and name.key into the folder dir.
func (l *Leaf) Write(dir, name string) {
	l.t.Helper()
	must(l.t, os.WriteFile(filepath.Join(dir, name+".pem"), l.PEM(), 0o644))
	must(l.t, identity.WriteKey(filepath.Join(dir, name+".key"), l.Key))
}

// New makes the three hierarchies.
func New(t testing.TB) *PKI {
	t.Helper()
	p := &PKI{
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2069, 1, 1, 0, 0, 0, 0, time.UTC),
		t:         t,
	}
	p.ClientCA, p.SigningCA, p.ServerCA = p.hierarchy("Client"), p.hierarchy("Signing"), p.hierarchy("Server")
	return p
}

// Client issues a client leaf: EKU clientAuth. No roles make a gateway's leaf.
func (p *PKI) Client(uri, org, member string, roles ...string) *Leaf {
	p.t.Helper()
	c := p.member(uri, org, member, roles)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return p.issue(p.ClientCA, c)
}

// Signing issues a signing leaf: no EKU, key usage digitalSignature.
func (p *PKI) Signing(uri, org, member string, roles ...string) *Leaf {
	p.t.Helper()
	return p.issue(p.SigningCA, p.member(uri, org, member, roles))
}

// Server issues a server leaf for host names or IP addresses.
func (p *PKI) Server(hosts ...string) *Leaf {
	p.t.Helper()
	c := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	return p.issue(p.ServerCA, c)
}

func (p *PKI) member(uri, org, member string, roles []string) *x509.Certificate {
	u, err := url.Parse(uri)
	must(p.t, err)
	r, err := identity.RolesExtension(roles)
	must(p.t, err)
	m, err := identity.MemberExtension(member)
	must(p.t, err)
	return &x509.Certificate{
		Subject:         pkix.Name{Country: []string{"GB"}, Organization: []string{org}, CommonName: uri},
		URIs:            []*url.URL{u},
		ExtraExtensions: []pkix.Extension{r, m},
	}
}

func (p *PKI) issue(h *Hierarchy, c *x509.Certificate) *Leaf {
	p.t.Helper()
	key := newKey(p.t, elliptic.P256())
	c.NotBefore, c.NotAfter = p.NotBefore, p.NotAfter
	c.KeyUsage, c.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	leaf := sign(p.t, c, h.Issuer, &key.PublicKey, h.IssuerKey)
	return &Leaf{Chain: []*x509.Certificate{leaf, h.Issuer}, Key: key, t: p.t}
}

func (p *PKI) hierarchy(name string) *Hierarchy {
	h := &Hierarchy{RootKey: newKey(p.t, elliptic.P384()), IssuerKey: newKey(p.t, elliptic.P256())}
	ca := func(cn string, pathLen int) *x509.Certificate {
		return &x509.Certificate{
			Subject:   pkix.Name{Country: []string{"GB"}, Organization: []string{"Test Scheme"}, CommonName: cn},
			NotBefore: p.NotBefore, NotAfter: p.NotAfter,
			IsCA: true, BasicConstraintsValid: true, MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	root := ca("Test "+name+" Root", 1)
	h.Root = sign(p.t, root, root, &h.RootKey.PublicKey, h.RootKey)
	h.Issuer = sign(p.t, ca("Test "+name+" Issuer", 0), h.Root, &h.IssuerKey.PublicKey, h.RootKey)
	return h
}

func sign(t testing.TB, c, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f
	serial[0] |= 0x01 // 16 bytes, positive
	c.SerialNumber = new(big.Int).SetBytes(serial)
	spki, err := x509.MarshalPKIXPublicKey(pub)
	must(t, err)
	id := sha256.Sum256(spki)
	c.SubjectKeyId = id[:20]
	if parent != c {
		c.AuthorityKeyId = parent.SubjectKeyId
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := newkey.Make(curve)
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
