package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// Object identifiers of RFC 5652, sections 4 and 5.1.
var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// maxCertsOnly bounds the certificates of one message: what this program takes
// holds a leaf, or an issuer and its root.
const maxCertsOnly = 16

// EncodeCertsOnly writes certificates as the "certs-only" message in which
// enrolment over EST answers (RFC 7030, 4.1.3 and 4.2.3): a SignedData of
// RFC 5652 with certificates and nothing signed. The set is in the order that
// DER demands, which is not the caller's.
func EncodeCertsOnly(cs ...*x509.Certificate) ([]byte, error) {
	raw := make([][]byte, len(cs))
	for i, c := range cs {
		raw[i] = c.Raw
	}
	slices.SortFunc(raw, bytes.Compare)
	emptySet := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true}
	data, err := asn1.Marshal(struct {
		Version      int
		Digests      asn1.RawValue
		Content      struct{ Type asn1.ObjectIdentifier }
		Certificates asn1.RawValue
		Signers      asn1.RawValue
	}{
		1, emptySet, struct{ Type asn1.ObjectIdentifier }{oidData},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bytes.Join(raw, nil)}, emptySet,
	})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{oidSignedData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: data}})
}

// ParseCertsOnly reads the certificates of a certs-only message, in no certain
// order. It takes DER alone. What such a message must not have is an error:
// content, signers, no certificate, more than 16, bytes after its end.
// Nothing in the message vouches for the certificates.
func ParseCertsOnly(der []byte) ([]*x509.Certificate, error) {
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	var data struct {
		Version int
		Digests []asn1.RawValue `asn1:"set"`
		Content struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
		}
		Certificates asn1.RawValue   `asn1:"optional,tag:0"`
		Lists        asn1.RawValue   `asn1:"optional,tag:1"`
		Signers      []asn1.RawValue `asn1:"set"`
	}
	if len(der) > MaxPEM {
		return nil, fmt.Errorf("certs-only message: larger than %d bytes", MaxPEM)
	}
	if err := whole(der, &info); err != nil {
		return nil, fmt.Errorf("certs-only message: %w", err)
	}
	if !info.Type.Equal(oidSignedData) {
		return nil, fmt.Errorf("certs-only message: its type is %s, not signed data", info.Type)
	}
	if err := whole(info.Content.Bytes, &data); err != nil {
		return nil, fmt.Errorf("certs-only message: %w", err)
	}
	if !data.Content.Type.Equal(oidData) || len(data.Content.Content.FullBytes) > 0 || len(data.Signers) > 0 {
		return nil, errors.New("certs-only message: it has content or signers, which such a message does not")
	}
	var cs []*x509.Certificate
	for rest := data.Certificates.Bytes; len(rest) > 0; {
		var one asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &one); err != nil {
			return nil, fmt.Errorf("certs-only message: %w", err)
		}
		c, err := x509.ParseCertificate(one.FullBytes)
		if err != nil {
			return nil, fmt.Errorf("certs-only message: %w", err)
		}
		if cs = append(cs, c); len(cs) > maxCertsOnly {
			return nil, fmt.Errorf("certs-only message: more than %d certificates", maxCertsOnly)
		}
	}
	if len(cs) == 0 {
		return nil, errors.New("certs-only message: no certificate in it")
	}
	return cs, nil
}

// whole reads one value that the bytes hold and nothing else.
func whole(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes after its end")
	}
	return err
}
