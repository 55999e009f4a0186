// Package ocsp reads certificate status requests and writes answers (RFC 6960),
// with the nonce of RFC 9654. It knows nothing of certificates: who asks it says
// what the status of each is. Pure: no I/O, no clock.
//
// golang.org/x/crypto/ocsp, which the tests hold beside it, has no nonce and
// reads the first certificate of a request only.
package ocsp

import (
	"crypto"
	_ "crypto/sha1" // clients name issuers by it; it proves nothing here
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// MaxRequest bounds a request in bytes, MaxCertificates how many certificates
// one may ask about.
const (
	MaxRequest      = 16 << 10
	MaxCertificates = 50
)

// CertID names a certificate: its issuer by two hashes, and its serial number.
type CertID struct {
	raw               []byte // as it was sent; the answer has it unchanged
	hash              crypto.Hash
	nameHash, keyHash []byte
	Serial            *big.Int
}

// Request is what was asked.
type Request struct {
	Certificates []CertID // one at least
	nonce        []byte   // the value of the extension, DER; nil: none
}

// HasNonce reports whether the answer is for this asker alone, so that nobody
// may keep it for others.
func (r Request) HasNonce() bool { return r.nonce != nil }

type certID struct {
	Raw       asn1.RawContent
	Algorithm pkix.AlgorithmIdentifier
	NameHash  []byte
	KeyHash   []byte
	Serial    *big.Int
}

type request struct {
	Cert       certID
	Extensions []pkix.Extension `asn1:"explicit,tag:0,optional"`
}

type tbsRequest struct {
	Version    int           `asn1:"explicit,tag:0,default:0,optional"`
	Requestor  asn1.RawValue `asn1:"explicit,tag:1,optional"`
	List       []request
	Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
}

type ocspRequest struct {
	TBS       tbsRequest
	Signature asn1.RawValue `asn1:"explicit,tag:0,optional"` // not looked at: anyone may ask
}

var (
	oidBasic  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidHashes = map[string]crypto.Hash{
		"1.3.14.3.2.26":          crypto.SHA1,
		"2.16.840.1.101.3.4.2.1": crypto.SHA256,
		"2.16.840.1.101.3.4.2.2": crypto.SHA384,
		"2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}
)

// ParseRequest reads a request in DER.
func ParseRequest(der []byte) (Request, error) {
	if len(der) > MaxRequest {
		return Request{}, fmt.Errorf("ocsp: request of %d bytes, at most %d", len(der), MaxRequest)
	}
	var in ocspRequest
	if rest, err := asn1.Unmarshal(der, &in); err != nil {
		return Request{}, fmt.Errorf("ocsp: request: %w", err)
	} else if len(rest) > 0 {
		return Request{}, errors.New("ocsp: request: trailing bytes")
	}
	if in.TBS.Version != 0 {
		return Request{}, fmt.Errorf("ocsp: request of version %d, only the first is known", in.TBS.Version+1)
	}
	if n := len(in.TBS.List); n == 0 || n > MaxCertificates {
		return Request{}, fmt.Errorf("ocsp: request for %d certificates, need 1 to %d", n, MaxCertificates)
	}
	var out Request
	for _, r := range in.TBS.List {
		for _, e := range r.Extensions {
			if e.Critical {
				return Request{}, fmt.Errorf("ocsp: request: critical extension %s", e.Id)
			}
		}
		// An algorithm that is not known matches no issuer.
		out.Certificates = append(out.Certificates, CertID{r.Cert.Raw, oidHashes[r.Cert.Algorithm.Algorithm.String()], r.Cert.NameHash, r.Cert.KeyHash, r.Cert.Serial})
	}
	for _, e := range in.TBS.Extensions {
		switch {
		case e.Id.Equal(oidNonce):
			var nonce []byte
			if rest, err := asn1.Unmarshal(e.Value, &nonce); err != nil || len(rest) > 0 || len(nonce) < 1 || len(nonce) > 128 {
				return Request{}, errors.New("ocsp: request: the nonce is not an octet string of 1 to 128 bytes")
			}
			out.nonce = e.Value
		case e.Critical:
			return Request{}, fmt.Errorf("ocsp: request: critical extension %s", e.Id)
		}
	}
	return out, nil
}

// Issued reports whether the certificate that is meant says that issuer issued
// it.
func (c CertID) Issued(issuer *x509.Certificate) bool {
	if c.hash == 0 || c.Serial == nil {
		return false
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return false
	}
	return string(sum(c.hash, issuer.RawSubject)) == string(c.nameHash) && string(sum(c.hash, spki.Key.RightAlign())) == string(c.keyHash)
}

func sum(h crypto.Hash, b []byte) []byte {
	w := h.New()
	w.Write(b)
	return w.Sum(nil)
}
