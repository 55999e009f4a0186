package provenance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Signer signs records with a signing certificate.
type Signer struct {
	Key   crypto.Signer       // the key of Chain[0], ECDSA
	Chain []*x509.Certificate // the signing certificate, then its issuers; the root may be left out
	Now   func() time.Time    // nil: time.Now
}

// Sign signs the record: what was signed already, as it is, and all that was
// included and added since. It fails when a step cannot be encoded, an
// included record does not fit, or the signer is unusable; the record is then
// unchanged.
func (r *Record) Sign(s Signer) error {
	if r.err != nil {
		return r.err
	}
	if len(r.pending) == 0 {
		return errors.New("provenance: nothing to sign: add a step first")
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("provenance: signer: %w", err)
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	at := now().UTC().Truncate(time.Second)
	l := &list{}
	if r.signed != nil {
		l.elements = append(l.elements, element{sub: r.signed})
	}
	for _, p := range r.pending {
		switch p := p.(type) {
		case *list:
			l.elements = append(l.elements, element{sub: p})
		case pendingStep:
			b, err := encodeStep(p.id, p.step, at)
			if err != nil {
				return &Error{Where: fmt.Sprintf("new step %T", p.step), Err: err}
			}
			l.elements = append(l.elements, element{text: base64.URLEncoding.EncodeToString(b)})
		}
	}
	if d := l.depth(); d > MaxDepth {
		return fmt.Errorf("provenance: %d signed lists within one another: at most %d", d, MaxDepth)
	}
	l.sig = signature{serial: s.Chain[0].SerialNumber.String(), time: stamp(at), at: at}
	sum := sha256.Sum256(l.toSign(r.trustFramework))
	sig, err := s.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return fmt.Errorf("provenance: signing: %w", err)
	}
	l.sig.value = base64.URLEncoding.EncodeToString(sig)
	next := &Record{trustFramework: r.trustFramework, signed: l, certs: r.certs}
	next.addChain(s.Chain)
	if next.err != nil {
		return next.err
	}
	*r = *next
	return nil
}

func (s Signer) check() error {
	if s.Key == nil || len(s.Chain) == 0 {
		return errors.New("needs a key and a certificate")
	}
	pub, ok := s.Key.Public().(*ecdsa.PublicKey)
	if !ok || !pub.Equal(s.Chain[0].PublicKey) {
		return errors.New("the key is not the one of the signing certificate")
	}
	return identity.CheckPublicKey(pub)
}

// addChain puts the certificates into the record: the signer's with the
// serials of its issuers, and each issuer's. Roots are left out: a reader
// trusts its own copy or nothing.
func (r *Record) addChain(chain []*x509.Certificate) {
	var path []string
	for i, c := range chain {
		if i > 0 && string(c.RawIssuer) == string(c.RawSubject) {
			break
		}
		path = append(path, c.SerialNumber.String())
	}
	for i, serial := range path {
		entry := []string{string(identity.EncodeCertificates(chain[i]))}
		if i == 0 {
			entry = append(entry, path[1:]...)
		}
		r.addCertificate(serial, entry)
	}
}

// toSign is the text that a list's signature is over: the trust framework,
// every element, and the head of the signature, joined with dots; a list
// within the list stands between % and &, its own signature included.
func (l *list) toSign(trustFramework string) []byte {
	parts := []string{trustFramework}
	parts = l.appendElements(parts)
	parts = append(parts, strconv.Itoa(version), l.sig.serial, l.sig.time)
	return []byte(strings.Join(parts, "."))
}

func (l *list) appendElements(parts []string) []string {
	for _, e := range l.elements {
		if e.sub == nil {
			parts = append(parts, e.text)
			continue
		}
		parts = append(parts, "%")
		parts = e.sub.appendElements(parts)
		parts = append(parts, "%", strconv.Itoa(version), e.sub.sig.serial, e.sub.sig.time, e.sub.sig.value, "&")
		parts = append(parts, "&")
	}
	return parts
}

func (l *list) depth() int {
	deepest := 0
	for _, e := range l.elements {
		if e.sub != nil {
			deepest = max(deepest, e.sub.depth())
		}
	}
	return deepest + 1
}

// MarshalJSON writes the signed record in the scheme's form. A record with
// unsigned steps cannot be written.
func (r *Record) MarshalJSON() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if !r.Signed() {
		return nil, errors.New("provenance: the record has steps that are not signed: sign it first")
	}
	origins, err := r.Origins()
	if err != nil {
		return nil, err
	}
	out := struct {
		TrustFramework string              `json:"ib1:provenance"`
		Origins        []string            `json:"origins"`
		Steps          []any               `json:"steps"`
		Certificates   map[string][]string `json:"certificates,omitempty"`
	}{r.trustFramework, origins, r.signed.plain(), r.certs}
	b, err := compact(out)
	if err == nil && len(b) > MaxSize {
		return nil, fmt.Errorf("provenance: the record has %d bytes: at most %d", len(b), MaxSize)
	}
	return b, err
}

// plain is the list as JSON has it.
func (l *list) plain() []any {
	out := make([]any, 0, len(l.elements)+1)
	for _, e := range l.elements {
		if e.sub != nil {
			out = append(out, e.sub.plain())
		} else {
			out = append(out, e.text)
		}
	}
	return append(out, []any{json.Number(strconv.Itoa(version)), l.sig.serial, l.sig.time, l.sig.value})
}
