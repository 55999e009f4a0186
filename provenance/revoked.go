package provenance

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"time"
)

// CRL reason codes (RFC 5280, 5.3.1) after which no signature holds, whatever
// time it gives: whoever has the key writes the time he likes.
const (
	reasonKeyCompromise = 1
	reasonCACompromise  = 2
)

// ParseCRL reads a revocation list, DER or PEM.
func ParseCRL(raw []byte) (*x509.RevocationList, error) {
	if b, _ := pem.Decode(raw); b != nil && b.Type == "X509 CRL" {
		raw = b.Bytes
	}
	l, err := x509.ParseRevocationList(raw)
	if err != nil {
		return nil, fmt.Errorf("provenance: not a revocation list: %w", err)
	}
	return l, nil
}

// revoked checks a path (the signer's certificate, its issuers, the root)
// against the lists at hand, for a signature made at an instant.
func (v Verifier) revoked(path []*x509.Certificate, at, now time.Time) error {
	for i, c := range path[:max(len(path)-1, 1)] { // the root is trusted or not: nobody revokes it
		if v.Revoked != nil && v.Revoked(c, at) {
			return fmt.Errorf("certificate %s of %s is revoked", c.SerialNumber, c.Subject)
		}
		if i+1 >= len(path) {
			continue
		}
		found, err := v.listed(c, path[i+1], at, now)
		if err != nil {
			return err
		}
		if !found && i == 0 && v.NeedCRL {
			return fmt.Errorf("there is no revocation list of %s at hand: get the signing hierarchy's from the directory", path[i+1].Subject)
		}
	}
	return nil
}

// listed looks a certificate up in the lists of its issuer. found reports
// whether there is one.
func (v Verifier) listed(c, issuer *x509.Certificate, at, now time.Time) (found bool, err error) {
	for _, l := range v.CRLs {
		if !bytes.Equal(l.RawIssuer, issuer.RawSubject) || l.CheckSignatureFrom(issuer) != nil {
			continue // of another issuer, or of one with its name
		}
		for _, e := range l.Extensions {
			if e.Critical {
				return false, fmt.Errorf("the revocation list of %s has the critical extension %s, which is not understood", issuer.Subject, asn1.ObjectIdentifier(e.Id))
			}
		}
		if now.After(l.NextUpdate) {
			return false, fmt.Errorf("the revocation list of %s is out of date since %s: get a new one", issuer.Subject, stamp(l.NextUpdate))
		}
		found = true
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(c.SerialNumber) != 0 {
				continue
			}
			if e.ReasonCode == reasonKeyCompromise || e.ReasonCode == reasonCACompromise {
				return false, fmt.Errorf("certificate %s of %s is revoked since its key is in other hands: nothing signed with it holds", c.SerialNumber, c.Subject)
			}
			if !at.Before(e.RevocationTime) {
				return false, fmt.Errorf("certificate %s of %s was revoked at %s, before this was signed", c.SerialNumber, c.Subject, stamp(e.RevocationTime))
			}
		}
	}
	return found, nil
}
