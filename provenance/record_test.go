package provenance_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// doc is a record taken apart, for tampering.
type doc struct {
	TrustFramework string              `json:"ib1:provenance"`
	Origins        []string            `json:"origins"`
	Steps          []any               `json:"steps"`
	Certificates   map[string][]string `json:"certificates"`
}

func (w *world) doc(t *testing.T) *doc {
	var d doc
	if err := json.Unmarshal(encode(t, w.emissions(t)), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

func (d *doc) inner() []any { return d.Steps[0].([]any) }

// edit changes a step within its base64.
func edit(t *testing.T, text any, f func(map[string]any)) string {
	t.Helper()
	b, err := base64.URLEncoding.DecodeString(text.(string))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	b, _ = json.Marshal(m)
	return base64.URLEncoding.EncodeToString(b)
}

// sign signs a list as its owner would: steps and a new signature.
func sign(t *testing.T, list []any, key *ecdsa.PrivateKey, serial, at string, raw bool) []any {
	t.Helper()
	list = append([]any{}, list...)
	var parts []string
	var walk func(l []any)
	walk = func(l []any) {
		for _, e := range l {
			switch e := e.(type) {
			case []any:
				parts = append(parts, "%")
				walk(e)
				parts = append(parts, "&")
			default:
				parts = append(parts, fmt.Sprint(e))
			}
		}
	}
	parts = append(parts, framework)
	walk(list)
	parts = append(parts, "0", serial, at)
	sum := sha256.Sum256([]byte(strings.Join(parts, ".")))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	if raw {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &rs); err != nil {
			t.Fatal(err)
		}
		sig = append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}
	return append(list, []any{0, serial, at, base64.URLEncoding.EncodeToString(sig)})
}

func TestTampering(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t) // another hierarchy, with the same names
	at := start.Format(time.RFC3339)
	inSerial := w.leaves[0].Cert().SerialNumber.String()
	outSerial := w.leaves[1].Cert().SerialNumber.String()
	issuer := w.pki.SigningCA.Issuer.SerialNumber.String()
	cases := []struct {
		name string
		do   func(d *doc)
		want string // in the error
	}{
		{"step changed", func(d *doc) {
			d.inner()[1] = edit(t, d.inner()[1], func(m map[string]any) { m["external"] = true })
		}, "steps"},
		{"last step changed", func(d *doc) {
			d.Steps[4] = edit(t, d.Steps[4], func(m map[string]any) { m["to"] = "https://directory.example/a/9" })
		}, "does not fit"},
		{"steps swapped", func(d *doc) { d.Steps[1], d.Steps[4] = d.Steps[4], d.Steps[1] }, "does not fit"},
		{"step dropped", func(d *doc) { d.Steps = append(d.Steps[:4:4], d.Steps[5]) }, "does not fit"},
		{"inner step dropped", func(d *doc) { d.Steps[0] = append(d.inner()[:2:2], d.inner()[3]) }, "does not fit"},
		{"included record dropped", func(d *doc) { d.Steps = d.Steps[1:]; d.Origins = d.Origins[1:] }, "does not fit"},
		{"step moved out of the inner list", func(d *doc) {
			in := d.inner()
			d.Steps = append([]any{append(in[:2:2], in[3]), in[2]}, d.Steps[1:]...)
		}, "does not fit"},
		{"origin dropped from the list", func(d *doc) { d.Origins = d.Origins[:1] }, "origins"},
		{"origins in another order", func(d *doc) { d.Origins[0], d.Origins[1] = d.Origins[1], d.Origins[0] }, "origins"},
		{"signing time changed", func(d *doc) { d.Steps[5].([]any)[2] = "2026-03-12T10:00:01Z" }, "does not fit"},
		{"signature of another list", func(d *doc) { d.Steps[5] = d.inner()[3] }, "does not fit"},
		{"other signer named", func(d *doc) {
			d.Steps[5].([]any)[1] = inSerial
		}, "does not fit"},
		{"inner list re-signed by the outer signer", func(d *doc) {
			d.Steps[0] = sign(t, d.inner()[:3], w.leaves[1].Key, outSerial, at, false)
		}, "steps (signed by https://directory.example/a/1"},
		{"inner list changed and re-signed, the outer list too, by strangers", func(d *doc) {
			s := other.leaves[1].Cert().SerialNumber.String()
			d.Steps = sign(t, d.Steps[:5], other.leaves[1].Key, s, at, false)
			d.Certificates[s] = []string{string(other.leaves[1].PEM()), issuer}
		}, "chain"},
		{"stranger brings his issuer and root", func(d *doc) {
			s := other.leaves[1].Cert().SerialNumber.String()
			i, r := other.pki.SigningCA.Issuer, other.pki.SigningCA.Root
			d.Steps = sign(t, d.Steps[:5], other.leaves[1].Key, s, at, false)
			d.Certificates[s] = []string{pemOf(other.leaves[1].Cert()), i.SerialNumber.String(), r.SerialNumber.String()}
			d.Certificates[i.SerialNumber.String()] = []string{pemOf(i)}
			d.Certificates[r.SerialNumber.String()] = []string{pemOf(r)}
		}, "chain"},
		{"certificate under another number", func(d *doc) { d.Certificates[outSerial] = d.Certificates[inSerial] }, "serial number"},
		{"certificate missing", func(d *doc) { delete(d.Certificates, outSerial) }, "not in the record"},
		{"issuer missing", func(d *doc) { delete(d.Certificates, issuer) }, "chain"},
		{"a client certificate signs", func(d *doc) {
			l := w.pki.Client("https://directory.example/a/1", "Carbon & Co", "https://directory.example/m/1", "r")
			s, i := l.Cert().SerialNumber.String(), l.Chain[1].SerialNumber.String()
			d.Steps = sign(t, d.Steps[:5], l.Key, s, at, false)
			d.Certificates[s], d.Certificates[i] = []string{pemOf(l.Cert()), i}, []string{pemOf(l.Chain[1])}
		}, "chain"},
		{"the issuer itself signs", func(d *doc) {
			d.Steps = sign(t, d.Steps[:5], w.pki.SigningCA.IssuerKey, issuer, at, false)
		}, "not one for signatures"},
		{"serial number with a leading zero", func(d *doc) { d.Steps[5].([]any)[1] = "0" + outSerial }, "decimal"},
		{"unknown version", func(d *doc) { d.Steps[5].([]any)[0] = 1 }, "version"},
		{"stray characters in a step", func(d *doc) { d.Steps[1] = d.Steps[1].(string) + "\n" }, "base64url"},
		{"other trust framework", func(d *doc) { d.TrustFramework = "https://registry.evil/trust-framework" }, "trust framework"},
		{"signed in the future", func(d *doc) {
			d.Steps = sign(t, d.Steps[:5], w.leaves[1].Key, outSerial, "2026-03-12T11:00:00Z", false)
		}, "future"},
		{"signed before what it includes", func(d *doc) {
			d.Steps = sign(t, d.Steps[:5], w.leaves[1].Key, outSerial, "2026-03-12T09:00:00Z", false)
		}, "claims to include it"},
		{"two steps with one identifier", func(d *doc) {
			id := ""
			edit(t, d.Steps[1], func(m map[string]any) { id = m["id"].(string) })
			d.Steps[4] = edit(t, d.Steps[4], func(m map[string]any) { m["id"] = id })
			d.Steps = sign(t, d.Steps[:5], w.leaves[1].Key, outSerial, at, false)
		}, "taken by another step"},
	}
	v := w.verifier()
	v.Now = func() time.Time { return start }
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := w.doc(t)
			raw, _ := json.Marshal(d)
			if _, err := parseVerify(raw, v); err != nil {
				t.Fatalf("untouched: %v", err)
			}
			c.do(d)
			raw, _ = json.Marshal(d)
			steps, err := parseVerify(raw, v)
			if err == nil {
				t.Fatalf("accepted:\n%s", provenance.Explain(steps))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

// JWS writes signatures as r||s; the specification speaks of ES256. Both read.
func TestRawSignature(t *testing.T) {
	w := newWorld(t)
	d := w.doc(t)
	d.Steps = sign(t, d.Steps[:5], w.leaves[1].Key, w.leaves[1].Cert().SerialNumber.String(), start.Format(time.RFC3339), true)
	raw, _ := json.Marshal(d)
	w.verify(t, raw)
}

// A signature holds when its certificate was valid then, not only now.
func TestValidityAtSigning(t *testing.T) {
	w := newWorld(t)
	w.pki.NotBefore, w.pki.NotAfter = start.Add(-time.Hour), start.Add(time.Hour)
	w.leaves[1] = w.pki.Signing("https://directory.example/a/1", "Carbon & Co", "https://directory.example/m/1", "r")
	raw := encode(t, w.emissions(t))
	v := w.verifier() // its clock is the machine's: long after the certificate's end
	if _, err := parseVerify(raw, v); err != nil {
		t.Errorf("valid at its time: %v", err)
	}
	for _, at := range []time.Time{start.Add(-2 * time.Hour), start.Add(2 * time.Hour)} {
		w.now = at
		_, err := parseVerify(encode(t, w.emissions(t)), v)
		var e *provenance.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "chain at the time") || !strings.Contains(e.Signer, "https") && !strings.Contains(e.Signer, "certificate") {
			t.Errorf("signed at %s: %v", at, err)
		}
	}
}

func TestRevoked(t *testing.T) {
	w := newWorld(t)
	raw := encode(t, w.emissions(t))
	for _, c := range []struct {
		name string
		cert *x509.Certificate
	}{{"inner signer", w.leaves[0].Cert()}, {"outer signer", w.leaves[1].Cert()}, {"issuer", w.pki.SigningCA.Issuer}} {
		v := w.verifier()
		v.Revoked = func(x *x509.Certificate, at time.Time) bool {
			if !at.Equal(start) {
				t.Errorf("asked about %s, signed at %s", at, start)
			}
			return x.Equal(c.cert)
		}
		if _, err := parseVerify(raw, v); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s revoked: %v", c.name, err)
		}
	}
}

// A record may leave the certificates out; the reader brings them.
func TestCertificatesLeftOut(t *testing.T) {
	w := newWorld(t)
	d := w.doc(t)
	d.Certificates = nil
	raw, _ := json.Marshal(d)
	v := w.verifier()
	if _, err := parseVerify(raw, v); err == nil {
		t.Error("verified without any certificate")
	}
	v.Certificates = []*x509.Certificate{w.leaves[0].Cert(), w.leaves[1].Cert(), w.pki.SigningCA.Issuer}
	if _, err := parseVerify(raw, v); err != nil {
		t.Error(err)
	}
}

func pemOf(c *x509.Certificate) string {
	return "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(c.Raw) + "\n-----END CERTIFICATE-----\n"
}
