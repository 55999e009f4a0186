package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
)

// Lifetimes, from IB1's member-identity-digital-certificates 1.0. A
// certificate is valid in its first and its last second, so each template ends
// one second early (RFC 5280, 4.1.2.5). backdate lets a peer whose clock is a
// little slow use a new certificate at once; it counts towards the lifetime.
const (
	rootDays      = 9132
	issuerYears   = 10
	leafMonths    = 12
	serverLife    = 24 * time.Hour
	Backdate      = 10 * time.Minute
	country       = "GB"
	maxNameLength = 64 // ub-organization-name and ub-common-name of RFC 5280
)

func authorityTemplate(organisation, name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Country: []string{country}, Organization: []string{organisation}, CommonName: organisation + " " + name},
		NotBefore:             now.Add(-Backdate).UTC(),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// Certificate policies, of RFC 5280 and of the CA/Browser Forum's baseline
// requirements: whoever gets a server certificate has shown that the host is its.
var (
	anyPolicy       = mustOID(2, 5, 29, 32, 0)
	domainValidated = mustOID(2, 23, 140, 1, 2, 1)
)

func mustOID(ints ...uint64) x509.OID {
	id, err := x509.OIDFromInts(ints)
	if err != nil {
		panic(err)
	}
	return id
}

var titles = map[Hierarchy]string{Client: "Client", Signing: "Signing", Server: "Server"}

func rootTemplate(h Hierarchy, organisation string, now time.Time) *x509.Certificate {
	t := authorityTemplate(organisation, titles[h]+" CA", now)
	t.NotAfter = t.NotBefore.AddDate(0, 0, rootDays).Add(-time.Second)
	t.MaxPathLen = 1
	return t
}

func issuerTemplate(h Hierarchy, organisation string, now time.Time) *x509.Certificate {
	t := authorityTemplate(organisation, titles[h]+" Issuer", now)
	t.NotAfter = t.NotBefore.AddDate(issuerYears, 0, 0).Add(-time.Second)
	t.MaxPathLenZero = true
	t.KeyUsage |= x509.KeyUsageDigitalSignature // of answers about certificates' status (OCSP)
	t.Policies = []x509.OID{anyPolicy}
	switch h {
	case Client:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case Server:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	// Signing: none. With clientAuth, readers of signed documents call the
	// certificate unsuitable; with another, the scheme's own verifier does.
	return t
}

// StatusURLs say where a certificate's status can be asked for.
type StatusURLs struct{ CRL, OCSP, Issuer string }

func leafTemplate(now time.Time, at StatusURLs) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		NotBefore:             now.Add(-Backdate).UTC(),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	for to, url := range map[*[]string]string{&t.CRLDistributionPoints: at.CRL, &t.OCSPServer: at.OCSP, &t.IssuingCertificateURL: at.Issuer} {
		if url != "" {
			*to = []string{url}
		}
	}
	return t
}

// Subject is what a client or signing certificate says of its holder.
type Subject struct {
	URL          string   // application or gateway
	Member       string   // URL
	Organisation string   // legal name
	Roles        []string // URLs
}

// MemberTemplate is the profile of client and signing leaves.
func MemberTemplate(h Hierarchy, s Subject, now time.Time, at StatusURLs) (*x509.Certificate, error) {
	uri, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	roles, err := identity.RolesExtension(s.Roles)
	if err != nil {
		return nil, err
	}
	member, err := identity.MemberExtension(s.Member)
	if err != nil {
		return nil, err
	}
	t := leafTemplate(now, at)
	t.NotAfter = t.NotBefore.AddDate(0, leafMonths, 0).Add(-time.Second)
	// A legal name may be longer than a certificate has room for: its
	// beginning stands there, the whole of it in the listing of the member.
	t.Subject = pkix.Name{Country: []string{country}, Organization: []string{form.Cut(s.Organisation, maxNameLength)}, CommonName: s.URL}
	t.URIs = []*url.URL{uri}
	t.ExtraExtensions = []pkix.Extension{roles, member}
	if h == Client {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return t, nil
}

// ServerTemplate is the profile of server leaves. The hosts are checked.
func ServerTemplate(hosts []string, now time.Time, at StatusURLs) *x509.Certificate {
	t := leafTemplate(now, at)
	t.NotAfter = t.NotBefore.Add(serverLife - time.Second)
	// A common name must be one of the names, whole: where none is short enough
	// there is no subject at all, and the names alone say whose it is.
	if i := slices.IndexFunc(hosts, func(h string) bool { return len(h) <= maxNameLength }); i >= 0 {
		t.Subject = pkix.Name{CommonName: hosts[i]}
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.Policies = []x509.OID{domainValidated}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// Leaf signs a leaf with the issuer's key. It never lets a leaf outlive its
// issuer, and it fails once the issuer has expired.
func (a *Authority) Leaf(t *x509.Certificate, pub crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	if now.Before(a.Issuer.NotBefore) || now.After(a.Issuer.NotAfter) {
		return nil, fmt.Errorf("the %s issuer is valid from %s to %s: make a new one, or set this machine's clock",
			a.Hierarchy, a.Issuer.NotBefore.Format(time.DateOnly), a.Issuer.NotAfter.Format(time.DateOnly))
	}
	if t.NotAfter.After(a.Issuer.NotAfter) {
		t.NotAfter = a.Issuer.NotAfter
	}
	return sign(t, a.Issuer, pub, a.key)
}

// sign makes the certificate, with a subject key identifier on every kind:
// crypto/x509 gives leaves none of its own accord.
func sign(t, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	t.SubjectKeyId = id
	if t == parent {
		t.AuthorityKeyId = id
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keyID is method (1) of RFC 5280, 4.2.1.2: SHA-1 as a name, not as a proof.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key type %T: only ECDSA keys get certificates", pub)
	}
	point, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(point)
	return sum[:], nil
}

// newSerial is 128 random bits, never zero.
func newSerial() *big.Int {
	var b [16]byte
	for {
		rand.Read(b[:]) // never fails (crypto/rand)
		if n := new(big.Int).SetBytes(b[:]); n.Sign() > 0 {
			return n
		}
	}
}

// RequestKey reads a certificate request and returns its key, the only part of
// it that counts. Leaves are P-256 by the certificate profile.
func RequestKey(csr []byte) (*ecdsa.PublicKey, error) {
	pub, err := identity.ParseCSR(csr)
	if err != nil {
		return nil, fault.Invalid("%v", err)
	}
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fault.Invalid("certificate request: the scheme's certificates are for ECDSA keys on P-256")
	}
	return k, nil
}
