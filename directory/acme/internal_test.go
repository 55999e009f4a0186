package acme

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "11.0.0.1": true, "172.32.0.1": true, "100.128.0.1": true, "192.0.1.1": true, "2606:4700::1": true, "2a00:1450::1": true,
		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false,
		"100.64.0.1": false, "100.127.255.255": false, "169.254.169.254": false, "192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.9": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.88.99.1": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1%eth0": false, "fc00::1": false, "fd12::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false,
		"2001::1": false, "2001:0:7f00:1::": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false, "4000::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: public %t", address, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// FuzzEnvelope: no bytes make the reader panic; what it takes is in the one form
// that is permitted, and a signature holds for no other key.
func FuzzEnvelope(f *testing.F) {
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		f.Fatal(err)
	}
	other, err := newkey.Make(elliptic.P256())
	if err != nil {
		f.Fatal(err)
	}
	for _, o := range []*jose.SignerOptions{
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("url", "https://x.example/").WithHeader("nonce", "n"),
		(&jose.SignerOptions{}).WithHeader("url", "https://x.example/").WithHeader("nonce", "n").WithHeader("kid", "k"),
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("crit", []string{"b64"}).WithHeader("b64", false),
	} {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, o)
		if err != nil {
			f.Fatal(err)
		}
		jws, err := s.Sign([]byte(`{}`))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(jws.FullSerialize()))
	}
	for _, s := range []string{"", "{}", "null", `{"protected":"e30","payload":"","signature":""}`, `{"payload":"","signatures":[{"protected":"e30"}]}`,
		`{"protected":"eyJhbGciOiJFUzI1NiIsImp3ayI6eyJrdHkiOiJvY3QiLCJrIjoiQUEifX0","payload":"","signature":""}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEnvelope(body)
		if err != nil {
			p := new(problem)
			if !errors.As(err, &p) || p.Detail == "" || p.Status < 400 || p.Status >= 500 {
				t.Fatalf("%v", err)
			}
			return
		}
		var m map[string]json.RawMessage
		if json.Unmarshal(body, &m) != nil || m["header"] != nil || m["signatures"] != nil || e.url == "" || e.nonce == "" || (e.kid == "") == (e.key == nil) {
			t.Fatalf("taken: %s", body)
		}
		if e.key != nil && !e.key.IsPublic() {
			t.Fatal("a private key was taken")
		}
		if _, err := e.verify(&jose.JSONWebKey{Key: &other.PublicKey}); err == nil {
			t.Fatal("the signature holds for a key that signed nothing")
		}
	})
}

// FuzzRequest: no bytes make the reader panic; what it takes has a P-256 key and
// the order's names.
func FuzzRequest(f *testing.F) {
	key, err := newkey.Make(elliptic.P256())
	if err != nil {
		f.Fatal(err)
	}
	for _, tpl := range []x509.CertificateRequest{{}, {DNSNames: []string{"a.example"}}, {DNSNames: []string{"a.example", "A.Example", "b.example"}}} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &tpl, key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := checkRequest(der, []string{"a.example"}, nil)
		if err != nil {
			p := new(problem)
			if k != nil || !errors.As(err, &p) || p.kind() != badCSR || p.Status != http.StatusBadRequest {
				t.Fatalf("%v with %v", err, k)
			}
			return
		}
		req, err := x509.ParseCertificateRequest(der)
		if err != nil || k.Curve != elliptic.P256() {
			t.Fatalf("%v", err)
		}
		for _, n := range append(req.DNSNames, req.Subject.CommonName) {
			if n != "" && strings.ToLower(n) != "a.example" {
				t.Fatalf("%q was taken", n)
			}
		}
	})
}

// FuzzName: what passes for a DNS name can stand in a list with spaces between,
// in an address, and is no IP address.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a.example", "a..b", "-a", "127.1", "1.2.3.4", "xn--bcher-kva.example", "a b", "a\x00b", "[::1]", "A.example", strings.Repeat("a", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !dnsName(s) {
			return
		}
		if _, err := netip.ParseAddr(s); err == nil || len(strings.Fields(s)) != 1 || strings.ToLower(s) != s || strings.ContainsAny(s, "/:@?#%\\*_") || len(s) > 253 {
			t.Fatalf("%q", s)
		}
	})
}

// FuzzCertificateID: one certificate has one identifier: what is read encodes to
// the same text.
func FuzzCertificateID(f *testing.F) {
	for _, s := range []string{"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "AA.AQ", "AA.AIA", "AA.gA", "AA.AAE", ".", "AA.", "AA.AA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		issuer, serial, ok := parseCertificateID(id)
		if !ok {
			return
		}
		der, err := asn1.Marshal(serial)
		if err != nil || serial.Sign() <= 0 {
			t.Fatalf("%v %v", serial, err)
		}
		if again := base64.RawURLEncoding.EncodeToString(issuer) + "." + base64.RawURLEncoding.EncodeToString(der[2:]); again != id {
			t.Fatalf("%q was read as %q", id, again)
		}
	})
}
