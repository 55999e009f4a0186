package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"
)

// Status is what is known of a certificate.
type Status struct {
	Known   bool      // it was issued by whom the request names
	Revoked time.Time // zero: it is not
}

// Refusal is an answer without a status. It is not signed.
type Refusal int

// The refusals of RFC 6960, 4.2.1.
const (
	Malformed     Refusal = 1
	InternalError Refusal = 2
	TryLater      Refusal = 3
	Unauthorized  Refusal = 6 // the request is not about certificates of this responder
)

// DER is the answer to be sent.
func (r Refusal) DER() []byte {
	der, err := asn1.Marshal(struct{ Status asn1.Enumerated }{asn1.Enumerated(r)})
	if err != nil {
		panic(err) // a number always encodes
	}
	return der
}

type responseData struct {
	Responder  asn1.RawValue
	Produced   time.Time `asn1:"generalized"`
	Responses  []singleResponse
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional,omitempty"`
}

type singleResponse struct {
	Cert       asn1.RawValue
	Status     asn1.RawValue
	ThisUpdate time.Time `asn1:"generalized"`
	NextUpdate time.Time `asn1:"generalized,explicit,tag:0"`
}

type basicResponse struct {
	Data      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// Answer signs the statuses of a request's certificates, in their order. It
// holds from thisUpdate until nextUpdate. issuer issued all of them; key is
// issuer's.
func Answer(r Request, statuses []Status, produced, thisUpdate, nextUpdate time.Time, issuer *x509.Certificate, key crypto.Signer) ([]byte, error) {
	if len(statuses) != len(r.Certificates) {
		return nil, fmt.Errorf("ocsp: %d statuses for %d certificates", len(statuses), len(r.Certificates))
	}
	byKey, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagOctetString, Bytes: issuer.SubjectKeyId})
	if err != nil {
		return nil, err
	}
	data := responseData{
		Responder: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, IsCompound: true, Bytes: byKey},
		Produced:  produced.UTC().Truncate(time.Second),
	}
	for i, s := range statuses {
		single := singleResponse{Cert: asn1.RawValue{FullBytes: r.Certificates[i].raw}, ThisUpdate: thisUpdate.UTC().Truncate(time.Second), NextUpdate: nextUpdate.UTC().Truncate(time.Second)}
		if single.Status, err = s.value(); err != nil {
			return nil, err
		}
		data.Responses = append(data.Responses, single)
	}
	if r.nonce != nil {
		data.Extensions = []pkix.Extension{{Id: oidNonce, Value: r.nonce}}
	}
	tbs, err := asn1.Marshal(data)
	if err != nil {
		return nil, err
	}
	algorithm, hash, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, sum(hash, tbs), hash)
	if err != nil {
		return nil, err
	}
	basic, err := asn1.Marshal(basicResponse{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: algorithm}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		return nil, err
	}
	type responseBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	return asn1.Marshal(struct {
		Status asn1.Enumerated
		Bytes  responseBytes `asn1:"explicit,tag:0"`
	}{0, responseBytes{oidBasic, basic}})
}

// value is CertStatus: good [0] NULL, revoked [1] {time}, unknown [2] NULL, all
// implicit.
func (s Status) value() (asn1.RawValue, error) {
	switch {
	case !s.Known:
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2}, nil
	case s.Revoked.IsZero():
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0}, nil
	}
	at, err := asn1.MarshalWithParams(s.Revoked.UTC().Truncate(time.Second), "generalized")
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: at}, err
}

func algorithmOf(key crypto.Signer) (asn1.ObjectIdentifier, crypto.Hash, error) {
	if k, ok := key.Public().(*ecdsa.PublicKey); ok {
		switch k.Curve {
		case elliptic.P256():
			return asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, crypto.SHA256, nil
		case elliptic.P384():
			return asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, crypto.SHA384, nil
		}
	}
	return nil, 0, fmt.Errorf("ocsp: key type %T: need ECDSA on P-256 or P-384", key.Public())
}
