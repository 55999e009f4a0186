package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	peer "golang.org/x/crypto/ocsp"

	"github.com/perseus-edge/perseus-edge/identity/newkey"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
)

var at = time.Date(2026, 11, 22, 9, 30, 0, 5, time.UTC)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, curve elliptic.Curve) authority {
	t.Helper()
	key, err := newkey.Make(curve)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Issuer"}, NotBefore: at, NotAfter: at.AddDate(1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{c, key}
}

func ask(t testing.TB, a authority, serial int64, h crypto.Hash) []byte {
	t.Helper()
	der, err := peer.CreateRequest(&x509.Certificate{SerialNumber: big.NewInt(serial)}, a.cert, &peer.RequestOptions{Hash: h})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// with puts what x/crypto cannot into a request: more certificates, and
// extensions.
func with(t testing.TB, der []byte, times int, extensions ...pkix.Extension) []byte {
	t.Helper()
	var in ocspRequest
	if _, err := asn1.Unmarshal(der, &in); err != nil {
		t.Fatal(err)
	}
	list := in.TBS.List
	for range times - 1 {
		list = append(list, in.TBS.List[0])
	}
	type plain struct {
		List       []request
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional,omitempty"`
	}
	out, err := asn1.Marshal(struct{ TBS plain }{plain{list, extensions}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func nonce(n int) pkix.Extension {
	v, err := asn1.Marshal(bytes.Repeat([]byte{7}, n))
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: oidNonce, Value: v}
}

// TestBesideXCrypto: x/crypto reads our answers as we meant them.
func TestBesideXCrypto(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		a, stranger := newAuthority(t, curve), newAuthority(t, elliptic.P256())
		for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			for _, x := range []struct {
				status Status
				want   int
			}{{Status{Known: true}, peer.Good}, {Status{Known: true, Revoked: at.Add(-time.Hour)}, peer.Revoked}, {Status{}, peer.Unknown}} {
				r, err := ParseRequest(ask(t, a, 42, h))
				if err != nil {
					t.Fatal(err)
				}
				if c := r.Certificates[0]; c.Serial.Int64() != 42 || !c.Issued(a.cert) || c.Issued(stranger.cert) || r.HasNonce() {
					t.Errorf("request read as %+v", r)
				}
				der, err := Answer(r, []Status{x.status}, at, at.Add(-time.Minute), at.Add(time.Hour), a.cert, a.key)
				if err != nil {
					t.Fatal(err)
				}
				got, err := peer.ParseResponse(der, a.cert) // checks the signature
				if err != nil {
					t.Fatal(err)
				}
				if got.Status != x.want || got.SerialNumber.Int64() != 42 || !got.ProducedAt.Equal(at.Truncate(time.Second)) || !got.ThisUpdate.Equal(at.Add(-time.Minute).Truncate(time.Second)) ||
					!got.NextUpdate.Equal(at.Add(time.Hour).Truncate(time.Second)) || got.IssuerHash != h || !bytes.Equal(got.ResponderKeyHash, a.cert.SubjectKeyId) {
					t.Errorf("%v: %+v", h, got)
				}
				if x.want == peer.Revoked && !got.RevokedAt.Equal(at.Add(-time.Hour).Truncate(time.Second)) {
					t.Errorf("revoked at %s", got.RevokedAt)
				}
				if _, err := peer.ParseResponse(der, stranger.cert); err == nil {
					t.Error("a stranger's signature is taken")
				}
			}
		}
	}
	for refusal, want := range map[Refusal]peer.ResponseStatus{Malformed: peer.Malformed, InternalError: peer.InternalError, TryLater: peer.TryLater, Unauthorized: peer.Unauthorized} {
		if _, err := peer.ParseResponse(refusal.DER(), nil); err == nil || err.(peer.ResponseError).Status != want {
			t.Errorf("refusal %d: %v", refusal, err)
		}
	}
}

func TestSeveralAndNonce(t *testing.T) {
	a := newAuthority(t, elliptic.P256())
	r, err := ParseRequest(with(t, ask(t, a, 42, crypto.SHA1), 3, nonce(32)))
	if err != nil || len(r.Certificates) != 3 || !r.HasNonce() {
		t.Fatal(r, err)
	}
	der, err := Answer(r, []Status{{Known: true}, {}, {Known: true, Revoked: at}}, at, at, at, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(der, nonce(32).Value) {
		t.Error("the nonce is not in the answer")
	}
	if _, err := Answer(r, []Status{{}}, at, at, at, a.cert, a.key); err == nil {
		t.Error("an answer with too few statuses")
	}
}

func TestParseRequestRefuses(t *testing.T) {
	a := newAuthority(t, elliptic.P256())
	good := ask(t, a, 42, crypto.SHA1)
	critical := nonce(8)
	critical.Id, critical.Critical = asn1.ObjectIdentifier{1, 2, 3}, true
	for want, der := range map[string][]byte{
		"request: asn1":         good[:len(good)-1],
		"trailing bytes":        append(bytes.Clone(good), 0),
		"need 1 to 50":          with(t, good, MaxCertificates+1),
		"1 to 128 bytes":        with(t, good, 1, nonce(129)),
		"octet string of":       with(t, good, 1, nonce(0)),
		"critical":              with(t, good, 1, critical),
		"request of 17000 byte": make([]byte, 17000),
	} {
		if _, err := ParseRequest(der); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := ParseRequest(with(t, good, MaxCertificates, nonce(128))); err != nil {
		t.Error(err)
	}
}

// FuzzParseRequest: no request makes the reader fall over, and what it takes it
// can answer, with an answer that x/crypto reads.
func FuzzParseRequest(f *testing.F) {
	a := newAuthority(f, elliptic.P256())
	good := ask(f, a, 42, crypto.SHA1)
	f.Add(good)
	f.Add(with(f, good, 3, nonce(32)))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseRequest(der)
		if err != nil {
			return
		}
		for _, c := range r.Certificates {
			c.Issued(a.cert)
		}
		out, err := Answer(r, make([]Status, len(r.Certificates)), at, at, at, a.cert, a.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(out, new(asn1.RawValue)); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
	})
}
