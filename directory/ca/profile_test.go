package ca_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

func extension(c *x509.Certificate, id asn1.ObjectIdentifier) *pkix.Extension {
	for i, e := range c.Extensions {
		if e.Id.Equal(id) {
			return &c.Extensions[i]
		}
	}
	return nil
}

func TestMemberLeaves(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		for h, issue := range map[ca.Hierarchy]func() (directory.Certificate, error){
			ca.Client: func() (directory.Certificate, error) {
				_, csr := dirtest.NewKeyCSR(t)
				return w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr))
			},
			ca.Signing: func() (directory.Certificate, error) {
				_, csr := dirtest.NewKeyCSR(t)
				return w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr))
			},
		} {
			cert := dirtest.Must(issue())(t)
			c, authority := cert.Leaf, w.Authorities.Of(h)
			p := dirtest.Must(identity.PeerOf(c))(t)
			if p.Application != dirtest.Base+"/a/"+w.ProviderApp.ID || p.Member != dirtest.Base+"/m/"+w.Provider.ID || p.Organisation != "Perse Energy Ltd" ||
				!slices.Equal(p.Roles, []string{w.Scheme.Role(scheme.EDP)}) {
				t.Errorf("%s: profile %+v", h, p)
			}
			if s := c.Subject; s.CommonName != p.Application || !slices.Equal(s.Country, []string{"GB"}) {
				t.Errorf("%s: subject %s", h, s)
			}
			if want := c.NotBefore.AddDate(1, 0, 0).Add(-time.Second); !c.NotAfter.Equal(want) {
				t.Errorf("%s: until %s, want %s", h, c.NotAfter, want)
			}
			if c.IsCA || !c.BasicConstraintsValid || c.KeyUsage != x509.KeyUsageDigitalSignature {
				t.Errorf("%s: CA %t, key usage %b", h, c.IsCA, c.KeyUsage)
			}
			if len(c.SubjectKeyId) != 20 || !bytes.Equal(c.AuthorityKeyId, authority.Issuer.SubjectKeyId) {
				t.Errorf("%s: key identifiers", h)
			}
			if h == ca.Signing && extension(c, asn1.ObjectIdentifier{2, 5, 29, 37}) != nil {
				t.Error("a signing certificate has an extended key usage")
			}
			if h == ca.Client && !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
				t.Error("a client certificate must be for client authentication, and nothing else")
			}
			if !slices.Equal(c.CRLDistributionPoints, []string{dirtest.Base + "/crl/" + string(h) + ".crl"}) {
				t.Errorf("%s: distribution point %v", h, c.CRLDistributionPoints)
			}
			for _, id := range []asn1.ObjectIdentifier{identity.OIDRoles, identity.OIDMember} {
				if e := extension(c, id); e == nil || e.Critical {
					t.Errorf("%s: extension %s missing or critical", h, id)
				}
			}
			for _, other := range ca.Hierarchies {
				_, err := c.Verify(x509.VerifyOptions{Roots: w.Authorities.Of(other).Pool(), Intermediates: identity.Pool(cert.Issuer),
					CurrentTime: dirtest.Start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
				if (err == nil) != (other == h) {
					t.Errorf("%s certificate under the %s root: %v", h, other, err)
				}
			}
			if bundle := dirtest.Must(identity.ParseCertificates(cert.PEM()))(t); len(bundle) != 2 || !bundle[0].Equal(c) || !bundle[1].Equal(authority.Issuer) {
				t.Errorf("%s: bundle is not leaf and issuer", h)
			}
		}
	})
}

func TestServerLeaves(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	key := dirtest.Must(identity.NewKey())(t)
	cert := dirtest.Must(w.IssueServer(t.Context(), key.Public(), []string{"localhost", "127.0.0.1", "::1", "relay.example.org"}))(t)
	c := cert.Leaf
	if life := c.NotAfter.Sub(c.NotBefore) + time.Second; life > 24*time.Hour {
		t.Errorf("lives %s, first and last second included", life)
	}
	if !c.NotBefore.Before(dirtest.Start) {
		t.Error("not backdated")
	}
	if !slices.Equal(c.DNSNames, []string{"localhost", "relay.example.org"}) || len(c.IPAddresses) != 2 || len(c.URIs) != 0 {
		t.Errorf("names %v %v %v", c.DNSNames, c.IPAddresses, c.URIs)
	}
	if !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || len(c.SubjectKeyId) != 20 {
		t.Error("profile")
	}
	for _, name := range []string{"relay.example.org", "localhost", "127.0.0.1"} {
		if _, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: w.Authorities.Server.Pool(), Intermediates: identity.Pool(cert.Issuer), CurrentTime: dirtest.Start}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, hosts := range [][]string{
		nil, {""}, {"*.example.org"}, {"Example.org"}, {"10.0.0.5"}, {"8.8.8.8"}, {"example.org."}, {"-a.org"}, {"a..b"},
		{"exämple.org"}, {"example.org:443"}, {"https://example.org"}, {"999.1.1.1"}, {strings.Repeat("a", 64) + ".org"},
		{"example.org", "evil.org\x00.example.org"}, slices.Repeat([]string{"a.org"}, 21),
	} {
		if _, err := w.IssueServer(t.Context(), key.Public(), hosts); err == nil {
			t.Errorf("issued for %q", hosts)
		}
	}
}

// TestLongNames: a legal name may be longer than a subject may be.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("ÿ", 150)
	tpl := dirtest.Must(ca.MemberTemplate(ca.Signing, ca.Subject{URL: dirtest.Base + "/a/x", Member: dirtest.Base + "/m/x", Organisation: long}, dirtest.Start, ca.StatusURLs{}))(t)
	key := dirtest.Must(identity.NewKey())(t)
	c := dirtest.Must(dirtest.Must(dirtest.Authorities())(t).Signing.Leaf(tpl, key.Public(), dirtest.Start))(t)
	if got := c.Subject.Organization[0]; got != strings.Repeat("ÿ", 64) {
		t.Errorf("organisation %q", got)
	}
	if url := "https://directory.core.sandbox.trust.ib1.org/g/" + form.NewID(); len(url) > ca.MaxNameLength {
		t.Errorf("%s is longer than a common name", url)
	}
}

// TestLongHosts: a name of more than 64 characters stands among the names only.
func TestLongHosts(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	key := dirtest.Must(identity.NewKey())(t)
	long := strings.Repeat("long-label-", 5) + "x." + strings.Repeat("another-", 4) + "x.example.org"
	for want, hosts := range map[string][]string{"": {long}, "short.example.org": {long, "short.example.org"}} {
		c := dirtest.Must(w.IssueServer(t.Context(), key.Public(), hosts))(t)
		if c.Leaf.Subject.CommonName != want || !slices.Equal(c.Leaf.DNSNames, hosts) {
			t.Errorf("%s, %v", c.Leaf.Subject, c.Leaf.DNSNames)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: long, Roots: w.Authorities.Server.Pool(), Intermediates: identity.Pool(c.Issuer), CurrentTime: dirtest.Start}); err != nil {
			t.Error(err)
		}
	}
}

func TestSerials(t *testing.T) {
	seen := map[string]bool{}
	all := new(big.Int)
	for range 1000 {
		n := ca.NewSerial()
		if n.Sign() <= 0 || n.BitLen() > 128 || seen[n.String()] {
			t.Fatalf("serial %s", n)
		}
		seen[n.String()] = true
		all.Or(all, n)
	}
	if all.BitLen() != 128 {
		t.Errorf("only %d bits are ever set", all.BitLen())
	}
}
