package ca

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ocsp"
)

// A list is made anew at once after a revocation, else every CRLRefresh, and
// says that the next comes within CRLLife: a reader has most of a day to get
// over an outage.
const (
	CRLRefresh = time.Hour
	CRLLife    = 24 * time.Hour
	// CRLKeep is how long an expired certificate still stands in the list:
	// RFC 5280, 3.3 wants it in at least one more. Signing certificates stay
	// for good, since signatures are checked long after they expired.
	CRLKeep = 7 * 24 * time.Hour
)

// OCSPLife is how long an answer about a certificate's status holds: eight hours is
// the least that the CA/Browser Forum's baseline requirements (4.9.10) allow.
const OCSPLife = 8 * time.Hour

// RevocationList signs a list with a number of its own, made at an instant (whole
// seconds, UTC).
func (a *Authority) RevocationList(number int64, at time.Time, revoked []x509.RevocationListEntry) ([]byte, error) {
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: at, NextUpdate: at.Add(CRLLife), RevokedCertificateEntries: revoked,
	}, a.Issuer, a.key)
}

// ListedSince says since when a revoked certificate must have ended to stand in
// the lists of now no longer.
func ListedSince(h Hierarchy, now time.Time) time.Time {
	if h == Signing {
		return time.Unix(0, 0)
	}
	return now.Add(-CRLKeep)
}

// AnswerOCSP signs an answer about certificates' status, made at an instant (whole
// seconds, UTC).
func (a *Authority) AnswerOCSP(r ocsp.Request, statuses []ocsp.Status, at time.Time) ([]byte, error) {
	return ocsp.Answer(r, statuses, at, at, at.Add(OCSPLife), a.Issuer, a.key)
}
