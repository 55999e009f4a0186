package directory

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	peer "golang.org/x/crypto/ocsp"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

const status = "http://status.example.org"

// held holds a ceremony on a medium, for the requests of an online machine.
func held(t *testing.T, offline, online string) (out string, steps []Step) {
	t.Helper()
	out = t.TempDir()
	if err := RequestIssuers(online); err != nil {
		t.Fatal(err)
	}
	return out, must(Ceremony{Organisation: "Example Framework", StatusURL: status + "/", Offline: offline, Requests: online, Out: out, Now: start}.Hold())(t)
}

func whats(steps []Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s.Hierarchy)+" "+s.What)
	}
	return strings.Join(out, "; ")
}

// TestCeremony: the issuers' keys never leave the machine that serves, the
// roots' never come to it; later ceremonies renew, and revoke.
func TestCeremony(t *testing.T) {
	offline, online := filepath.Join(t.TempDir(), "medium"), filepath.Join(t.TempDir(), "authorities")
	out, steps := held(t, offline, online)
	if got := whats(steps); strings.Count(got, "made the root") != 3 || strings.Count(got, "signed the issuer") != 3 || strings.Count(got, "signed the list") != 3 || len(steps) != 9 {
		t.Errorf("steps: %s", got)
	}
	if err := filepath.WalkDir(out, func(p string, _ os.DirEntry, err error) error {
		if filepath.Ext(p) == ".key" {
			t.Errorf("%s is among what is public", p)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthorities(online); err == nil {
		t.Fatal("loaded before the ceremony's results were there")
	}
	installed := must(InstallAuthorities(online, out, nil))(t)
	for _, s := range installed {
		if !strings.HasPrefix(s, online) {
			t.Errorf("wrote %s", s)
		}
	}
	if RootKeysHere(online) {
		t.Error("a root's key is on the machine that serves")
	}
	a := must(LoadAuthorities(online))(t)
	first := map[Hierarchy]*x509.Certificate{}
	for _, h := range Hierarchies {
		x := a.Of(h)
		first[h] = x.Issuer
		if x.RootCRL == nil || x.RootCRL.Number.Int64() != 1 || !x.RootCRL.NextUpdate.Equal(start.Add(rootCRLLife)) || len(x.RootCRL.RevokedCertificateEntries) != 0 {
			t.Errorf("%s: the root's list is %+v", h, x.RootCRL)
		}
		if !slices.Equal(x.Issuer.CRLDistributionPoints, []string{status + "/crl/" + string(h) + "-root.crl"}) || !slices.Equal(x.Issuer.IssuingCertificateURL, []string{status + "/ca/" + string(h) + "-root.cer"}) {
			t.Errorf("%s: the issuer says %v, %v", h, x.Issuer.CRLDistributionPoints, x.Issuer.IssuingCertificateURL)
		}
		fi := must(os.Stat(filepath.Join(offline, string(h)+"-root.key")))(t)
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("a root's key has mode %v", fi.Mode())
		}
	}
	// Again: the roots and the issuers' keys stay, the certificates are new.
	out, steps = held(t, offline, online)
	if got := whats(steps); strings.Contains(got, "made") || strings.Count(got, "used the root") != 3 {
		t.Errorf("steps: %s", got)
	}
	must(InstallAuthorities(online, out, nil))(t)
	b := must(LoadAuthorities(online))(t)
	for _, h := range Hierarchies {
		if !b.Of(h).Root.Equal(a.Of(h).Root) || b.Of(h).Issuer.Equal(first[h]) || !bytes.Equal(b.Of(h).Issuer.SubjectKeyId, first[h].SubjectKeyId) || b.Of(h).RootCRL.Number.Int64() != 2 {
			t.Errorf("%s: not renewed", h)
		}
	}
	// Revoke one issuer; no requests, so only lists are signed.
	out = t.TempDir()
	steps = must(Ceremony{Organisation: "Example Framework", Offline: offline, Out: out, Revoke: []*x509.Certificate{first[Client]}, Now: start}.Hold())(t)
	if got := whats(steps); strings.Count(got, "client revoked the issuer") != 1 || strings.Contains(got, "signed the issuer") {
		t.Errorf("steps: %s", got)
	}
	must(InstallAuthorities(online, out, nil))(t)
	c := must(LoadAuthorities(online))(t)
	if l := c.Client.RootCRL; l.Number.Int64() != 3 || len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(first[Client].SerialNumber) != 0 {
		t.Errorf("the list is %+v", l)
	}
	if !c.Client.Issuer.Equal(b.Client.Issuer) || len(c.Signing.RootCRL.RevokedCertificateEntries) != 0 {
		t.Error("more than the lists was changed")
	}
	// An issuer that is in use and revoked is not loaded.
	must(Ceremony{Organisation: "Example Framework", Offline: offline, Out: out, Revoke: []*x509.Certificate{b.Server.Issuer}, Now: start}.Hold())(t)
	if _, err := InstallAuthorities(online, out, nil); err == nil || !strings.Contains(err.Error(), "revoked the issuer") {
		t.Errorf("installed a list that revokes the issuer in use: %v", err)
	}
	if must(LoadAuthorities(online))(t).Server.RootCRL.Number.Int64() != 3 {
		t.Error("the refused list was installed")
	}

	openssl(t, online, first[Client], b.Client.Issuer)
}

// openssl checks issuers against the roots' lists.
func openssl(t *testing.T, dir string, revoked, good *x509.Certificate) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("openssl is not installed: the roots' lists are not checked with it")
		return
	}
	pemCRL := filepath.Join(t.TempDir(), "crl.pem")
	if out, err := exec.Command("openssl", "crl", "-inform", "DER", "-in", filepath.Join(dir, "client", rootCRLFile), "-out", pemCRL).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for want, c := range map[string]*x509.Certificate{": OK": good, "certificate revoked": revoked} {
		path := filepath.Join(t.TempDir(), "issuer.pem")
		if err := os.WriteFile(path, identity.EncodeCertificates(c), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("openssl", "verify", "-x509_strict", "-crl_check", "-attime", itoa(start.Unix()+60), "-CAfile", filepath.Join(dir, "client", rootFile), "-CRLfile", pemCRL, path).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("openssl: no %q in %s", want, out)
		}
	}
}

func TestCeremonyRefuses(t *testing.T) {
	offline, online := t.TempDir(), t.TempDir()
	out, _ := held(t, offline, online)
	must(InstallAuthorities(online, out, nil))(t)
	good := Ceremony{Organisation: "Example Framework", Offline: offline, Requests: online, Out: t.TempDir(), Now: start}
	stranger := must(authorities())(t).Client.Issuer
	doubled := t.TempDir()
	must(0, os.CopyFS(doubled, os.DirFS(online)))(t)
	b := must(os.ReadFile(filepath.Join(online, "client", requestFile)))(t)
	must(0, os.WriteFile(filepath.Join(doubled, "server", requestFile), b, 0o600))(t)
	damaged := t.TempDir()
	must(0, os.CopyFS(damaged, os.DirFS(offline)))(t)
	must(0, os.Remove(filepath.Join(damaged, "client-root.json")))(t)
	swapped := t.TempDir()
	must(0, os.CopyFS(swapped, os.DirFS(offline)))(t)
	must(0, identity.WriteKey(filepath.Join(swapped, "client-root.key"), must(identity.NewKey())(t)))(t)
	for want, change := range map[string]func(*Ceremony){
		"organisation is missing":        func(c *Ceremony) { c.Organisation = "" },
		"status URL: need":               func(c *Ceremony) { c.StatusURL = "status.example.org" },
		"no such file":                   func(c *Ceremony) { c.Requests = t.TempDir() },
		"each needs its own":             func(c *Ceremony) { c.Requests = doubled },
		"none of these roots signed it":  func(c *Ceremony) { c.Revoke = []*x509.Certificate{stranger} },
		"it is not overwritten":          func(c *Ceremony) { c.Offline = damaged },
		"does not belong to the root in": func(c *Ceremony) { c.Offline = swapped },
		"by this machine's clock":        func(c *Ceremony) { c.Now = start.AddDate(26, 0, 0) },
	} {
		c := good
		change(&c)
		if _, err := c.Hold(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if left := must(os.ReadDir(c.Out))(t); len(left) != 0 {
			t.Errorf("%s: wrote %v", want, left)
		}
	}
	// Another framework's results are not installed over these.
	other, _ := held(t, t.TempDir(), online)
	if _, err := InstallAuthorities(online, other, nil); err == nil || !strings.Contains(err.Error(), "another root") {
		t.Errorf("installed another root: %v", err)
	}
	elsewhere := t.TempDir()
	foreign, _ := held(t, offline, elsewhere)
	if _, err := InstallAuthorities(online, foreign, nil); err == nil || !strings.Contains(err.Error(), "does not belong to the certificate") {
		t.Errorf("installed an issuer of another key: %v", err)
	}
	must(LoadAuthorities(online))(t)
}

func TestOpenKey(t *testing.T) {
	dir := t.TempDir()
	key := must(identity.NewKey())(t)
	must(0, identity.WriteKey(filepath.Join(dir, "a.key"), key))(t)
	for _, address := range []string{"file:a.key", "file:" + filepath.Join(dir, "a.key"), "file://" + filepath.Join(dir, "a.key")} {
		if k, err := OpenKey(address, dir); err != nil || !key.PublicKey.Equal(k.Public()) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"pkcs11:token=x?pin-value=hunter2": `"pkcs11": this program opens keys of the kinds file, tpm only`,
		"awskms:key/hunter2":               "use file:PATH", "a.key": "no scheme", "": "no scheme", "file:": "name a file", "file:missing.key": "no such file",
	} {
		if _, err := OpenKey(address, dir); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no PIN", address, err, want)
		}
	}
	online := t.TempDir()
	out, _ := held(t, t.TempDir(), online)
	must(InstallAuthorities(online, out, nil))(t)
	elsewhere := filepath.Join(t.TempDir(), "client.key")
	must(0, os.Rename(filepath.Join(online, "client", keyFile), elsewhere))(t)
	if _, err := LoadAuthorities(online); err == nil {
		t.Error("loaded without a key")
	}
	if _, err := OpenAuthorities(online, map[Hierarchy]string{Client: "file:" + elsewhere}); err != nil {
		t.Error(err)
	}
}

// TestIssuerInATPM: an issuer's key that no file has: made by the request, used
// for certificates, lists and OCSP.
func TestIssuerInATPM(t *testing.T) {
	_, socket, _ := strings.Cut(keystoretest.SoftwareTPM(t), ":")
	online, medium, out, requests := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	keys := map[Hierarchy]string{Client: "tpm:client.key?device=" + socket}
	for _, h := range Hierarchies {
		address := keys[h]
		if address == "" {
			address = "file:" + string(h) + "/issuer.key"
		}
		key, made, err := EnsureKey(address, online)
		if err != nil || !made {
			t.Fatal(made, err)
		}
		again, made, err := EnsureKey(address, online)
		if err != nil || made || !again.Public().(*ecdsa.PublicKey).Equal(key.Public()) {
			t.Fatal("made again", err)
		}
		must(0, RequestIssuer(requests, h, key))(t)
	}
	must(Ceremony{Organisation: "Example Framework", Offline: medium, Requests: requests, Out: out, Now: start}.Hold())(t)
	must(InstallAuthorities(online, out, keys))(t)
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	w.Service.Authorities = must(OpenAuthorities(online, keys))(t)
	if _, ok := w.Authorities.Client.key.(*ecdsa.PrivateKey); ok {
		t.Fatal("the key is not in the TPM")
	}
	_, csr := newKeyCSR(t)
	c := must(w.IssueClient(t.Context(), w.providerApp.ID, []byte(csr)))(t)
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: w.Authorities.Client.Pool(), Intermediates: identity.Pool(c.Issuer), CurrentTime: start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	must(0, w.Revoke(t.Context(), c.Leaf.SerialNumber))(t)
	if l := w.readCRL(t, Client); len(l.RevokedCertificateEntries) != 1 {
		t.Error("not in the list")
	}
	der := must(peer.CreateRequest(c.Leaf, c.Issuer, nil))(t)
	r := w.call("GET", "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(der)), nil)
	if got, err := peer.ParseResponseForCert(r.Body.Bytes(), c.Leaf, c.Issuer); err != nil || got.Status != peer.Revoked {
		t.Errorf("%+v, %v", got, err)
	}
}
