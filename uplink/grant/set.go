package grant

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Limits of a signed set.
const (
	MaxRaw          = 1 << 20 // bytes
	MaxGrants       = 256     // as many as a batch can rely upon (batch.MaxGrants)
	MaxCovers       = 4096    // registers covered by one grant
	MaxCertificates = 4
	maxText         = 512 // bytes of a URL
	maxName         = 128 // bytes of an identifier
)

// version is the version of the payload. A field that makes a grant narrower
// must raise it: a gateway that does not know the field would send too much.
const version = 1

// domain goes in front of the payload before it is signed, so that a signature
// made for anything else with the same key is never taken for one of a set.
const domain = "perseus-edge grants 1\n"

// Set is every grant that a gateway should know, withdrawn ones included for
// as long as the relay likes. A newer set replaces an older one whole.
type Set struct {
	Gateway string    `json:"gateway"` // the gateway's URL
	Issued  time.Time `json:"issued"`  // a set older than the one held is a replay
	Grants  []Grant   `json:"grants"`
	// Code is the version (identity.CodeVersion) of the code that the relay takes
	// for the gateway's; empty: it has none, or does not say. Retired says that it
	// stands for the site no more, since somebody else has the site now. They
	// narrow nothing: a gateway that does not know them shows a code of no use.
	Code    string `json:"code,omitempty"`
	Retired bool   `json:"code_retired,omitempty"`
}

type payload struct {
	Version int `json:"version"`
	Set
}

// envelope is the signed form. Payload is base64url without padding of the
// JSON; signature is base64url without padding of an ASN.1 DER ECDSA signature
// over SHA-256 of domain and the JSON; certificates are PEM, the leaf first.
type envelope struct {
	Payload      string   `json:"payload"`
	Signature    string   `json:"signature"`
	Certificates []string `json:"certificates"`
}

var b64 = base64.RawURLEncoding.Strict()

// Sign signs a set with the relay's P-256 signing key. The chain has the leaf
// first and no root.
func Sign(s Set, key crypto.Signer, chain []*x509.Certificate) ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if len(chain) == 0 || len(chain) > MaxCertificates {
		return nil, fmt.Errorf("grants: %d certificates: need the signing certificate and its issuer", len(chain))
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(chain[0].PublicKey) {
		return nil, errors.New("grants: the signing key does not belong to the certificate")
	}
	if s.Grants == nil {
		s.Grants = []Grant{}
	}
	body, err := json.Marshal(payload{version, s})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(append([]byte(domain), body...))
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("grants: signing: %w", err)
	}
	e := envelope{Payload: b64.EncodeToString(body), Signature: b64.EncodeToString(sig)}
	for _, c := range chain {
		e.Certificates = append(e.Certificates, string(identity.EncodeCertificates(c)))
	}
	raw, err := json.Marshal(e)
	if err == nil && len(raw) > MaxRaw {
		err = fmt.Errorf("grants: %d bytes, at most %d are allowed: leave out old withdrawn grants", len(raw), MaxRaw)
	}
	return raw, err
}

// Verify checks a signed set: its size, the chain of its certificates to the
// signing root at the instant now, the P-256 key, the role of its signer, the
// signature, and the shape of every grant. Whether the set is for this gateway
// and newer than the one held is the caller's to check. Revocation is too: a
// gateway has no CRL.
//
// wantRole is a role's URL, or only its last part, such as
// scheme.EDP: a gateway does not know under which registry its scheme hangs,
// and the root, which it got at enrolment, vouches for the rest of the URL.
func Verify(raw []byte, root *x509.CertPool, wantRole string, now time.Time) (Set, error) {
	if len(raw) > MaxRaw {
		return Set{}, fmt.Errorf("grants: %d bytes, at most %d are allowed", len(raw), MaxRaw)
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return Set{}, fmt.Errorf("grants: not a signed set: %w", err)
	}
	chain, err := certificates(e.Certificates)
	if err != nil {
		return Set{}, fmt.Errorf("grants: certificates: %w", err)
	}
	pub, err := checkSigner(chain, root, wantRole, now)
	if err != nil {
		return Set{}, fmt.Errorf("grants: signer: %w", err)
	}
	body, err := b64.DecodeString(e.Payload)
	if err != nil {
		return Set{}, fmt.Errorf("grants: payload: %w", err)
	}
	sig, err := b64.DecodeString(e.Signature)
	if err != nil {
		return Set{}, fmt.Errorf("grants: signature: %w", err)
	}
	digest := sha256.Sum256(append([]byte(domain), body...))
	if !ecdsa.VerifyASN1(pub, digest[:], sig) {
		return Set{}, errors.New("grants: the signature does not fit: changed on the way, or signed with another key")
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Set{}, fmt.Errorf("grants: payload: %w", err)
	}
	if p.Version != version {
		return Set{}, fmt.Errorf("grants: format version %d, this program reads version %d: update it", p.Version, version)
	}
	return p.Set, p.Set.validate()
}

func certificates(pems []string) ([]*x509.Certificate, error) {
	if len(pems) == 0 || len(pems) > MaxCertificates {
		return nil, fmt.Errorf("%d: 1 to %d are allowed", len(pems), MaxCertificates)
	}
	var chain []*x509.Certificate
	for _, s := range pems {
		block, rest := pem.Decode([]byte(s))
		if len(s) > identity.MaxPEM || block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
			return nil, errors.New("each must be one PEM certificate")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	return chain, nil
}

func checkSigner(chain []*x509.Certificate, root *x509.CertPool, wantRole string, now time.Time) (*ecdsa.PublicKey, error) {
	leaf := chain[0]
	if root == nil {
		return nil, errors.New("no signing root to check against")
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: root, Intermediates: identity.Pool(chain[1:]...), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // signing leaves carry no EKU
	})
	if err != nil {
		return nil, err
	}
	pub, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || pub.Curve != elliptic.P256():
		return nil, errors.New("its key is not ECDSA on P-256")
	case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, errors.New("its certificate is not for signing")
	}
	peer, err := identity.PeerOf(leaf)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(peer.Roles, func(r string) bool { return isRole(r, wantRole) }) {
		return nil, fmt.Errorf("%s does not have the role %s", peer.Application, wantRole)
	}
	return pub, nil
}

func isRole(url, want string) bool {
	if strings.Contains(want, "://") {
		return url == want
	}
	return want != "" && strings.HasSuffix(url, "/role/"+want)
}

func (s Set) validate() error {
	switch {
	case !text(s.Gateway, maxText):
		return errors.New("grants: no gateway")
	case s.Issued.IsZero():
		return errors.New("grants: not dated")
	case len(s.Code) > maxName:
		return errors.New("grants: no usable version of a code")
	case len(s.Grants) > MaxGrants:
		return fmt.Errorf("grants: %d, at most %d are allowed", len(s.Grants), MaxGrants)
	}
	for i, g := range s.Grants {
		if err := g.validate(s.Gateway); err != nil {
			return fmt.Errorf("grants: grant %d: %w", i, err)
		}
	}
	return nil
}

func (g Grant) validate(gateway string) error {
	switch {
	case !text(g.ID, maxName):
		return errors.New("no usable identifier")
	case g.Gateway != gateway:
		return errors.New("is for another gateway than its set")
	case !text(g.License, maxText) || !text(g.Client, maxText):
		return errors.New("no licence or no client")
	case g.From.IsZero() || g.Granted.IsZero() || g.Expires.IsZero():
		return errors.New("from, granted and expires must be set")
	case len(g.Covers) == 0 && g.Revoked.IsZero(), len(g.Covers) > MaxCovers:
		return fmt.Errorf("covers %d registers: 1 to %d are allowed", len(g.Covers), MaxCovers)
	}
	for _, c := range g.Covers {
		if !text(c.Meter, maxName) || !c.Measure.Carried() {
			return errors.New("covers a register without meter, or of a measure that is not sent")
		}
	}
	return nil
}

func text(s string, most int) bool { return len(s) > 0 && len(s) <= most }
