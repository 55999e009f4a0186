package provenance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Skew is how far clocks may differ: a signature may lie that far in the
// future, and that far before a signature that it covers.
const Skew = 5 * time.Minute

// Verifier says whom to trust.
type Verifier struct {
	// Roots are the roots of the signing hierarchy. Needed.
	Roots *x509.CertPool
	// Certificates are those that a record may leave out, issuers included.
	Certificates []*x509.Certificate
	// Revoked reports whether a certificate, a signer's or an issuer's, had
	// been revoked when it signed at the given time. Nil: none is. Mind that
	// whoever holds a stolen key chooses the time that he writes.
	Revoked func(c *x509.Certificate, at time.Time) bool
	// CRLs are revocation lists, for a check without a connection. One counts
	// for the certificates of the issuer that signed it. A signature holds that
	// was made before the revocation, unless the key was said to be in other
	// hands. A list that is out of date is an error.
	CRLs []*x509.RevocationList
	// NeedCRL refuses a signer for whose issuer there is no list in CRLs.
	NeedCRL bool
	// Now refuses signatures from the future. Nil: time.Now.
	Now func() time.Time
}

// Signature is a checked signature: who, and when.
type Signature struct {
	identity.Peer
	At          time.Time
	Certificate *x509.Certificate
	list        *list // what it is of
}

// VerifiedStep is a step under a checked signature.
type VerifiedStep struct {
	ID, Type   string
	At         time.Time      // when it happened, as the signer says
	Body       map[string]any // every property, as JSON has it; numbers are json.Number
	JSON       []byte         // the step as it was signed
	Signed     Signature      // who wrote the step
	IncludedBy []Signature    // who relied on it by including it, outermost first
}

// Verify checks every signature of the record, the outermost included, and
// returns the steps in order. Each signer's chain must lead to the roots at
// the time of the signature, be unrevoked then, and have the scheme's profile;
// no signature may be older than one that it covers. An *Error says which list
// fails and who signed it. What the steps say is not judged: see References.
func (r *Record) Verify(v Verifier) ([]VerifiedStep, error) {
	if r.err != nil {
		return nil, r.err
	}
	if !r.Signed() {
		return nil, errors.New("provenance: the record has steps that are not signed")
	}
	if v.Roots == nil {
		return nil, errors.New("provenance: no roots to verify against")
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	at := now()
	w := &verification{record: r, Verifier: v, now: at, latest: at.Add(Skew), ids: map[string]string{}, chains: map[string][]*x509.Certificate{}, paths: map[string][]*x509.Certificate{}}
	if err := w.list(r.signed, "steps", nil); err != nil {
		return nil, err
	}
	return w.steps, nil
}

type verification struct {
	Verifier
	record *Record
	now    time.Time
	latest time.Time
	steps  []VerifiedStep
	ids    map[string]string              // step id -> its text
	chains map[string][]*x509.Certificate // parsed, by serial
	paths  map[string][]*x509.Certificate // that lead to a root, by the signer's certificate
}

func (w *verification) list(l *list, where string, above []Signature) error {
	c, err := w.signer(l)
	var peer identity.Peer
	if err == nil {
		peer, err = identity.PeerOf(c)
	}
	name := fmt.Sprintf("certificate %s at %s", l.sig.serial, l.sig.time)
	if err != nil {
		return &Error{Where: where, Signer: name, Err: err}
	}
	name = fmt.Sprintf("%s, %s", peer.Application, name)
	if l.sig.at.After(w.latest) {
		return &Error{where, name, errors.New("the signature lies in the future")}
	}
	if err := checkSignature(c, l.toSign(w.record.trustFramework), l.sig.value); err != nil {
		return &Error{where, name, err}
	}
	if n := len(above); n > 0 && l.sig.at.After(above[n-1].At.Add(Skew)) {
		return &Error{where, name, fmt.Errorf("it was signed after %s, which claims to include it, signed", above[n-1].Application)}
	}
	sig := Signature{peer, l.sig.at, c, l}
	for i, e := range l.elements {
		at := fmt.Sprintf("%s[%d]", where, i)
		if e.sub != nil {
			if err := w.list(e.sub, at, append(slices.Clone(above), sig)); err != nil {
				return err
			}
			continue
		}
		d, err := decodeStep(e.text)
		if err != nil {
			return &Error{at, name, err}
		}
		if text, ok := w.ids[d.ID]; ok && text != e.text {
			return &Error{at, name, fmt.Errorf("step identifier %s is taken by another step", d.ID)}
		}
		w.ids[d.ID] = e.text
		w.steps = append(w.steps, VerifiedStep{d.ID, d.Type, d.At, d.Body, d.JSON, sig, above})
	}
	return nil
}

// signer finds the certificate of a list's signature and checks its chain at
// the time of the signature.
func (w *verification) signer(l *list) (*x509.Certificate, error) {
	chain, err := w.chain(l.sig.serial)
	if err != nil {
		return nil, err
	}
	leaf, issuers := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		issuers.AddCert(c)
	}
	if leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("the certificate is not one for signatures")
	}
	path, err := w.path(leaf, issuers, l.sig.at)
	if err != nil {
		return nil, fmt.Errorf("chain at the time of the signature: %w", err)
	}
	return leaf, w.revoked(path, l.sig.at, w.now)
}

// path leads from a signer's certificate to a root at an instant. One that was
// found for another of his signatures serves again, where all of it was valid
// then: nothing else about it depends on the time.
func (w *verification) path(leaf *x509.Certificate, issuers *x509.CertPool, at time.Time) ([]*x509.Certificate, error) {
	known := w.paths[string(leaf.Raw)]
	if known != nil && !slices.ContainsFunc(known, func(c *x509.Certificate) bool { return at.Before(c.NotBefore) || at.After(c.NotAfter) }) {
		return known, nil
	}
	verify := func(roots, issuers *x509.CertPool) ([]*x509.Certificate, error) {
		paths, err := leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: issuers, CurrentTime: at,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err != nil {
			return nil, err
		}
		return paths[0], nil
	}
	// An issuer that was found to lead to a root need not be led there again:
	// the root's key is the slow one.
	for _, known := range w.paths {
		if len(known) < 2 || !bytes.Equal(known[1].RawSubject, leaf.RawIssuer) ||
			slices.ContainsFunc(known[1:], func(c *x509.Certificate) bool { return at.Before(c.NotBefore) || at.After(c.NotAfter) }) {
			continue
		}
		if path, err := verify(identity.Pool(known[1]), nil); err == nil && len(path) == 2 {
			path = append(path, known[2:]...)
			w.paths[string(leaf.Raw)] = path
			return path, nil
		}
	}
	path, err := verify(w.Roots, issuers)
	if err == nil {
		w.paths[string(leaf.Raw)] = path
	}
	return path, err
}

// chain gives the certificate with a serial number and what may be its
// issuers, from the record or, where it leaves them out, from the Verifier.
func (w *verification) chain(serial string) ([]*x509.Certificate, error) {
	if c, ok := w.chains[serial]; ok {
		return c, nil
	}
	var out []*x509.Certificate
	if entry, ok := w.record.certs[serial]; ok {
		c, err := parseCertificate(serial, entry[0])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		for _, s := range entry[1:] {
			e, ok := w.record.certs[s]
			if !ok {
				continue // the chain check says what is missing, if anything is
			}
			c, err := parseCertificate(s, e[0])
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	} else {
		n, _ := new(big.Int).SetString(serial, 10)
		i := slices.IndexFunc(w.Certificates, func(c *x509.Certificate) bool { return c.SerialNumber.Cmp(n) == 0 })
		if i < 0 {
			return nil, errors.New("the certificate is not in the record")
		}
		out = append(out, w.Certificates[i])
	}
	out = append(out, w.Certificates...)
	w.chains[serial] = out
	return out, nil
}

// checkSignature takes DER, as the scheme writes it, and r||s, as JWS does.
func checkSignature(c *x509.Certificate, data []byte, value string) error {
	pub, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("the certificate has a %T, not an ECDSA key", c.PublicKey)
	}
	sig, err := unbase64(value)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	sum := sha256.Sum256(data)
	if ecdsa.VerifyASN1(pub, sum[:], sig) {
		return nil
	}
	if size := (pub.Curve.Params().BitSize + 7) / 8; len(sig) == 2*size {
		rr, ss := new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])
		if ecdsa.Verify(pub, sum[:], rr, ss) {
			return nil
		}
	}
	return errors.New("the signature does not fit: what it covers was changed, or another key made it")
}
