// Package identity is who a program is and whom it talks to: keys, CSRs, the
// scheme's X.509 extensions, the profile of a peer's certificate, and TLS
// configurations. It follows IB1's member-identity-digital-certificates 1.0
// and the baseline TLS specification: TLS 1.3 only, P-256 and P-384 only.
package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"unicode/utf8"
)

// The scheme's certificate extensions.
var (
	OIDRoles  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1} // DER SEQUENCE OF UTF8String, role URLs
	OIDMember = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 3} // DER UTF8String, member URL
)

// Peer is what a client or signing certificate says of its holder.
type Peer struct {
	Application  string   // the certificate's only URI SAN: an application URL, or a gateway URL
	Member       string   // the member's URL
	Organisation string   // subject O, the member's name
	Roles        []string // role URLs; none for a gateway
	Serial       *big.Int
}

// HasRole reports whether the certificate claims the role URL.
func (p Peer) HasRole(url string) bool { return slices.Contains(p.Roles, url) }

// PeerOf reads the profile of a client or signing certificate. It does not
// check the chain, the validity or the revocation: that is the caller's TLS
// configuration or the signature check. It fails when the certificate does not
// have exactly one URI as its SAN, or lacks the scheme's extensions.
func PeerOf(c *x509.Certificate) (Peer, error) {
	if len(c.URIs) != 1 || len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses) > 0 {
		return Peer{}, errors.New("certificate profile: need exactly one URI as subject alternative name")
	}
	p := Peer{Application: c.URIs[0].String(), Serial: c.SerialNumber}
	if len(c.Subject.Organization) > 0 {
		p.Organisation = c.Subject.Organization[0]
	}
	var haveRoles, haveMember bool
	for _, e := range c.Extensions {
		switch {
		case e.Id.Equal(OIDRoles):
			roles, err := decodeRoles(e.Value)
			if err != nil {
				return Peer{}, fmt.Errorf("certificate profile: roles extension: %w", err)
			}
			p.Roles, haveRoles = roles, true
		case e.Id.Equal(OIDMember):
			m, err := decodeUTF8(e.Value)
			if err != nil {
				return Peer{}, fmt.Errorf("certificate profile: member extension: %w", err)
			}
			p.Member, haveMember = m, true
		}
	}
	if !haveRoles || !haveMember {
		return Peer{}, errors.New("certificate profile: roles or member extension missing")
	}
	return p, nil
}

// RolesExtension encodes role URLs as the scheme's roles extension.
func RolesExtension(roles []string) (pkix.Extension, error) {
	raw := make([]asn1.RawValue, len(roles))
	for i, r := range roles {
		raw[i] = utf8Value(r)
	}
	der, err := asn1.Marshal(raw)
	return pkix.Extension{Id: OIDRoles, Value: der}, err
}

// MemberExtension encodes a member URL as the scheme's member extension.
func MemberExtension(member string) (pkix.Extension, error) {
	der, err := asn1.Marshal(utf8Value(member))
	return pkix.Extension{Id: OIDMember, Value: der}, err
}

// utf8Value forces UTF8String: encoding/asn1 would choose PrintableString for
// plain ASCII, which the scheme's readers do not take.
func utf8Value(s string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagUTF8String, Bytes: []byte(s)}
}

func decodeUTF8(der []byte) (string, error) {
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &v); err != nil {
		return "", err
	} else if len(rest) > 0 {
		return "", errors.New("trailing bytes")
	}
	if !isUTF8(v) {
		return "", errors.New("not a UTF8String")
	}
	return string(v.Bytes), nil
}

// isUTF8 says whether a value is a UTF8String, and what it says it is.
func isUTF8(v asn1.RawValue) bool {
	return v.Class == asn1.ClassUniversal && v.Tag == asn1.TagUTF8String && !v.IsCompound && utf8.Valid(v.Bytes)
}

func decodeRoles(der []byte) ([]string, error) {
	var seq []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &seq); err != nil {
		return nil, err
	} else if len(rest) > 0 {
		return nil, errors.New("trailing bytes")
	}
	roles := make([]string, len(seq))
	for i, v := range seq {
		if !isUTF8(v) {
			return nil, errors.New("a role is not a UTF8String")
		}
		roles[i] = string(v.Bytes)
	}
	return roles, nil
}

// CheckPublicKey fails unless the key is ECDSA on P-256 or P-384.
func CheckPublicKey(pub any) error {
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("key type %T: only ECDSA on P-256 or P-384 is allowed", pub)
	}
	if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
		return fmt.Errorf("curve %s: only P-256 or P-384 is allowed", k.Curve.Params().Name)
	}
	return nil
}
