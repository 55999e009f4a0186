package identity

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzPeerOf: no certificate makes the reader of the scheme's profile panic;
// what it reads of roles and member is what encodes to the same bytes, so that
// nothing can stand there beside what is read.
func FuzzPeerOf(f *testing.F) {
	roles, err := RolesExtension([]string{"https://registry.example/role/a", "https://registry.example/role/é"})
	if err != nil {
		f.Fatal(err)
	}
	member, err := MemberExtension("https://directory.example/m/1")
	if err != nil {
		f.Fatal(err)
	}
	none, err := RolesExtension(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(roles.Value, member.Value)
	f.Add(none.Value, member.Value)
	f.Add(append(slices.Clone(roles.Value), 0), member.Value)
	f.Add([]byte{0x30, 0x03, 0x13, 0x01, 'a'}, []byte{0x13, 0x01, 'a'}) // PrintableString
	f.Add([]byte{0x30, 0x80, 0, 0}, []byte{0x0c, 0x81, 0x01, 'a'})      // lengths that DER does not have
	f.Add([]byte{}, []byte{})
	uri := &url.URL{Scheme: "https", Host: "directory.example", Path: "/a/1"}
	f.Fuzz(func(t *testing.T, rolesDER, memberDER []byte) {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), URIs: []*url.URL{uri},
			Extensions: []pkix.Extension{{Id: OIDRoles, Value: rolesDER}, {Id: OIDMember, Value: memberDER}}}
		p, err := PeerOf(c)
		if err != nil {
			return
		}
		again, err := RolesExtension(p.Roles)
		if err != nil {
			t.Fatal(err)
		}
		m, err := MemberExtension(p.Member)
		if err != nil {
			t.Fatal(err)
		}
		if string(again.Value) != string(rolesDER) || string(m.Value) != string(memberDER) {
			t.Fatalf("%x and %x were read as %q and %q", rolesDER, memberDER, p.Roles, p.Member)
		}
		for _, s := range append(slices.Clone(p.Roles), p.Member) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not UTF-8", s)
			}
		}
	})
}

// FuzzCertificates: no text makes the reader of certificates or requests panic,
// and what it takes it writes again.
func FuzzCertificates(f *testing.F) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	csr, err := NewCSR(key, "x")
	if err != nil {
		f.Fatal(err)
	}
	one := EncodeCertificates(c)
	f.Add(one)
	f.Add(append(append([]byte("text before\n"), one...), one...))
	f.Add(csr)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if cs, err := ParseCertificates(text); err == nil {
			if len(cs) == 0 {
				t.Fatal("no certificate and no error")
			}
			again, err := ParseCertificates(EncodeCertificates(cs...))
			if err != nil || len(again) != len(cs) || !again[0].Equal(cs[0]) {
				t.Fatalf("%d certificates, %d again, %v", len(cs), len(again), err)
			}
		}
		if pub, err := ParseCSR(text); err == nil && CheckPublicKey(pub) != nil {
			t.Fatalf("a key of the kind %T was taken", pub)
		}
	})
}
