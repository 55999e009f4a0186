package provenance

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// No bytes make the reader of revocation lists panic; what it takes is the list
// that the bytes hold, as DER or as PEM.
func FuzzParseCRL(f *testing.F) {
	h := identitytest.New(f).SigningCA
	at := time.Date(2026, 3, 12, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 1),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(42), RevocationTime: at, ReasonCode: reasonKeyCompromise}}}, h.Issuer, h.IssuerKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ParseCRL(raw)
		if (l == nil) != (err != nil) {
			t.Fatalf("%v, %v", l, err)
		}
		if l != nil && !bytes.Equal(l.Raw, der) && l.CheckSignatureFrom(h.Issuer) == nil && !bytes.Equal(l.RawTBSRevocationList, mustTBS(t, der)) {
			t.Fatal("a list that the issuer did not sign")
		}
	})
}

func mustTBS(t *testing.T, der []byte) []byte {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return l.RawTBSRevocationList
}
