package ca_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

func csrOf(t testing.TB, key crypto.Signer, tpl *x509.CertificateRequest) string {
	t.Helper()
	der := dirtest.Must(x509.CreateCertificateRequest(rand.Reader, tpl, key))(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// badCSRs are requests that must get no certificate.
func badCSRs(t testing.TB) map[string]string {
	t.Helper()
	rsaKey := dirtest.Must(rsa.GenerateKey(rand.Reader, 2048))(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224 := dirtest.Must(newkey.Make(elliptic.P224()))(t)
	p384 := dirtest.Must(newkey.Make(elliptic.P384()))(t)
	p521 := dirtest.Must(newkey.Make(elliptic.P521()))(t)
	empty := &x509.CertificateRequest{}
	_, good := dirtest.NewKeyCSR(t)
	block, _ := pem.Decode([]byte(good))
	forged := slices.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	huge := &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", identity.MaxPEM)}}
	key := dirtest.Must(identity.NewKey())(t)
	return map[string]string{
		"RSA": csrOf(t, rsaKey, empty), "Ed25519": csrOf(t, edKey, empty), "P-224": csrOf(t, p224, empty),
		"P-384": csrOf(t, p384, empty), "P-521": csrOf(t, p521, empty),
		"huge":                csrOf(t, key, huge),
		"proof of possession": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: forged})),
		"not PEM":             "hello", "empty": "", "DER": string(block.Bytes),
		"wrong label": strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE"),
		"cut":         good[:len(good)/2],
	}
}

func TestBadCSRs(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	_, good := dirtest.NewKeyCSR(t)
	_, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	for name, csr := range badCSRs(t) {
		for _, issue := range []func() error{
			func() error { _, err := w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)); return err },
			func() error { _, err := w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)); return err },
			func() error { _, err := w.Enroll(t.Context(), code, []byte(csr), []byte(good)); return err },
			func() error { _, err := w.Enroll(t.Context(), code, []byte(good), []byte(csr)); return err },
		} {
			if err := issue(); !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := http.StatusBadRequest
		if name == "huge" {
			want = http.StatusRequestEntityTooLarge
		}
		dirtest.Answer(t, w.Enrol(code, csr, good), want)
		dirtest.Answer(t, w.Call(http.MethodPost, "/members/applications/"+w.ProviderApp.ID+"/certificates",
			map[string]string{"type": "client", "csr": csr}, "Authorization", "Bearer "+w.Owner), want)
	}
	dirtest.Answer(t, w.Enrol(code, good, good), http.StatusBadRequest) // one key for both
	_, other := dirtest.NewKeyCSR(t)
	dirtest.Answer(t, w.Enrol(code, good, other), http.StatusCreated) // none of it used up the code
}

// TestNamesInCSR: whatever a request asks for, only its key counts.
func TestNamesInCSR(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	key := dirtest.Must(identity.NewKey())(t)
	roles := dirtest.Must(identity.RolesExtension([]string{"https://registry.example.org/role/king"}))(t)
	member := dirtest.Must(identity.MemberExtension(dirtest.Base + "/m/" + w.Bank.ID))(t)
	ca := dirtest.Must(asn1.Marshal(struct{ IsCA bool }{true}))(t)
	evil := dirtest.Must(url.Parse(dirtest.Base + "/a/" + w.BankApp.ID))(t)
	csr := csrOf(t, key, &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: evil.String(), Organization: []string{"Bank of Examples plc"}, Country: []string{"FR"}, SerialNumber: "1"},
		DNSNames:    []string{"relay.example.org"},
		URIs:        []*url.URL{evil},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtraExtensions: []pkix.Extension{roles, member,
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: ca}},
	})
	c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t).Leaf
	p := dirtest.Must(identity.PeerOf(c))(t)
	if p.Application != dirtest.Base+"/a/"+w.ProviderApp.ID || p.Member != dirtest.Base+"/m/"+w.Provider.ID || p.Organisation != "Perse Energy Ltd" ||
		p.HasRole("https://registry.example.org/role/king") || c.IsCA || c.Subject.SerialNumber != "" || c.Subject.Country[0] != "GB" {
		t.Errorf("the request's names came through: %+v, CA %t, %s", p, c.IsCA, c.Subject)
	}
	if !key.PublicKey.Equal(c.PublicKey) {
		t.Error("not the request's key")
	}
	if c.SerialNumber.Cmp(big.NewInt(1)) == 0 {
		t.Error("serial")
	}
}

// FuzzCSR: no bytes make the parser panic, and what it accepts is a P-256 key
// that can be certified.
func FuzzCSR(f *testing.F) {
	_, good := dirtest.NewKeyCSR(f)
	f.Add([]byte(good))
	for _, csr := range badCSRs(f) {
		f.Add([]byte(csr))
	}
	a := dirtest.Must(dirtest.Authorities())(f)
	f.Fuzz(func(t *testing.T, csr []byte) {
		key, err := ca.RequestKey(csr)
		if err != nil {
			if !errors.Is(err, fault.ErrInvalid) || key != nil {
				t.Fatalf("error %v with key %v", err, key)
			}
			return
		}
		tpl := dirtest.Must(ca.MemberTemplate(ca.Client, ca.Subject{URL: dirtest.Base + "/a/x", Member: dirtest.Base + "/m/x", Organisation: "O"}, dirtest.Start, ca.StatusURLs{}))(t)
		c := dirtest.Must(a.Client.Leaf(tpl, key, dirtest.Start))(t)
		if !key.Equal(c.PublicKey) || c.CheckSignatureFrom(a.Client.Issuer) != nil {
			t.Fatal("bad certificate")
		}
	})
}
