package provenance_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// list makes a revocation list of a hierarchy's issuer.
func list(t *testing.T, h *identitytest.Hierarchy, from time.Time, entries ...x509.RevocationListEntry) *x509.RevocationList {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(24 * time.Hour), RevokedCertificateEntries: entries,
	}, h.Issuer, h.IssuerKey)
	if err != nil {
		t.Fatal(err)
	}
	raw := der
	if len(entries) > 0 { // both forms are read
		raw = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	}
	l, err := provenance.ParseCRL(raw)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRevocationLists(t *testing.T) {
	w := newWorld(t)
	stranger := newWorld(t)
	raw := encode(t, w.emissions(t)) // signed at start
	now := start.AddDate(0, 0, 3)
	fresh := now.Add(-time.Hour)
	entry := func(c *x509.Certificate, at time.Time, reason int) x509.RevocationListEntry {
		return x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: reason}
	}
	inner := w.leaves[0].Cert()
	for _, c := range []struct {
		name  string
		lists []*x509.RevocationList
		need  bool
		want  string // "": good
	}{
		{"none is needed", nil, false, ""},
		{"none, one is needed", nil, true, "no revocation list"},
		{"nobody is on it", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh)}, true, ""},
		{"another is on it", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh, entry(w.leaves[2].Cert(), start.Add(-time.Hour), 0))}, true, ""},
		{"revoked after it signed", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh, entry(inner, start.Add(time.Hour), 0))}, true, ""},
		{"revoked before it signed", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh, entry(inner, start.Add(-time.Hour), 0))}, true, "was revoked at"},
		{"revoked as it signed", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh, entry(inner, start, 0))}, true, "was revoked at"},
		{"the key is in other hands since", []*x509.RevocationList{list(t, w.pki.SigningCA, fresh, entry(inner, start.Add(time.Hour), 1))}, true, "in other hands"},
		{"out of date", []*x509.RevocationList{list(t, w.pki.SigningCA, now.Add(-25*time.Hour))}, true, "out of date"},
		{"of the client hierarchy", []*x509.RevocationList{list(t, w.pki.ClientCA, fresh, entry(inner, start.Add(-time.Hour), 0))}, true, "no revocation list"},
		{"of a stranger with the same name", []*x509.RevocationList{list(t, stranger.pki.SigningCA, fresh, entry(inner, start.Add(-time.Hour), 0))}, false, ""},
		{"of a stranger, one is needed", []*x509.RevocationList{list(t, stranger.pki.SigningCA, fresh)}, true, "no revocation list"},
	} {
		v := w.verifier()
		v.Now, v.CRLs, v.NeedCRL = func() time.Time { return now }, c.lists, c.need
		_, err := parseVerify(raw, v)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := provenance.ParseCRL([]byte("no list")); err == nil {
		t.Error("what is no list was read")
	}
}

// actors gives three members the roles of the scheme.
func actors(t *testing.T) *world {
	w := newWorld(t)
	for i, role := range []string{"energy-data-provider", "carbon-accounting-provider", "financial-service-provider"} {
		uri := fmt.Sprintf("https://directory.example/a/%d", i)
		w.leaves[i] = w.pki.Signing(uri, "Actor", fmt.Sprintf("https://directory.example/m/%d", i), schemeURL+"/role/"+role)
	}
	return w
}

func TestCheckScheme(t *testing.T) {
	const license = schemeURL + "/license/x"
	for _, c := range []struct {
		name string
		make func(w *world) *provenance.Record
		want string // "": nothing is wrong
	}{
		{"the whole way", func(w *world) *provenance.Record { return w.emissions(t) }, ""},
		{"an accountant serves readings", func(w *world) *provenance.Record { w.leaves[0] = w.leaves[1]; r, _ := w.consumption(t); return r }, "energy-data-provider"},
		{"a bank calculates", func(w *world) *provenance.Record { w.leaves[1] = w.leaves[2]; return w.emissions(t) }, "carbon-accounting-provider"},
		{"a provider calculates", func(w *world) *provenance.Record { w.leaves[1] = w.leaves[0]; return w.emissions(t) }, "carbon-accounting-provider"},
		{"what another was given", func(w *world) *provenance.Record {
			w.leaves[1] = w.pki.Signing("https://directory.example/a/7", "Other", "https://directory.example/m/7", schemeURL+"/role/carbon-accounting-provider")
			return w.emissions(t)
		}, `was given to "https://directory.example/a/1"`},
		{"roles of another scheme", func(w *world) *provenance.Record {
			w.leaves[0] = w.pki.Signing("https://directory.example/a/0", "Relay", "https://directory.example/m/0", "https://other.example/scheme/perseus/role/energy-data-provider")
			r, _ := w.consumption(t)
			return r
		}, "does not carry the role"},
		{"after its permission ended", func(w *world) *provenance.Record {
			w.now = start.AddDate(2, 0, 0)
			r, _ := w.consumption(t)
			return r
		}, "after its permission ended"},
		{"before it was granted", func(w *world) *provenance.Record {
			w.now = start.AddDate(-2, 0, 0)
			r, _ := w.consumption(t)
			return r
		}, "before its permission was granted"},
		{"under another licence", func(w *world) *provenance.Record {
			r := provenance.New(framework)
			p := r.Add(provenance.Permission{Scheme: schemeURL, Allows: provenance.Allows{Licenses: []string{license}}, Expires: start.AddDate(1, 0, 0)})
			o := r.Add(provenance.Origin{Scheme: schemeURL, SourceType: schemeURL + "/source-type/Meter", Permissions: []string{p}})
			r.Add(provenance.Transfer{Scheme: schemeURL, Of: o, License: license + "2", Permissions: []string{p}})
			if err := r.Sign(w.signer(0)); err != nil {
				t.Fatal(err)
			}
			return r
		}, "allows the licenses"},
		{"another scheme", func(w *world) *provenance.Record {
			r := provenance.New(framework)
			r.Add(provenance.Receipt{Scheme: "https://other.example/scheme/x"})
			if err := r.Sign(w.signer(1)); err != nil {
				t.Fatal(err)
			}
			return r
		}, "of the scheme"},
		{"half-hours of another gateway", func(w *world) *provenance.Record {
			r := provenance.New(framework)
			r.Add(provenance.Other{"type": month.StepType, "gateway": "https://directory.example/g/1"})
			if err := r.Sign(w.signer(0)); err != nil {
				t.Fatal(err)
			}
			return r
		}, "of the gateway"},
	} {
		w := actors(t)
		v := w.verifier()
		v.Now = func() time.Time { return start.AddDate(3, 0, 0) }
		steps, err := parseVerify(encode(t, c.make(w)), v)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		errs := provenance.CheckScheme(steps, schemeURL)
		text := fmt.Sprint(errs)
		if c.want == "" && errs != nil || c.want != "" && !strings.Contains(text, c.want) {
			t.Errorf("%s: %v, want %q", c.name, errs, c.want)
		}
	}
}
