package ca_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

const status = "http://status.example.org"

// held holds a ceremony on a medium, for the requests of an online machine.
func held(t *testing.T, offline, online string) (out string, steps []ca.Step) {
	t.Helper()
	out = t.TempDir()
	if err := ca.RequestIssuers(online); err != nil {
		t.Fatal(err)
	}
	return out, dirtest.Must(ca.Ceremony{Organisation: "Example Framework", StatusURL: status + "/", Offline: offline, Requests: online, Out: out, Now: dirtest.Start}.Hold())(t)
}

func whats(steps []ca.Step) string {
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
	if _, err := ca.LoadAuthorities(online); err == nil {
		t.Fatal("loaded before the ceremony's results were there")
	}
	installed := dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	for _, s := range installed {
		if !strings.HasPrefix(s, online) {
			t.Errorf("wrote %s", s)
		}
	}
	if ca.RootKeysHere(online) {
		t.Error("a root's key is on the machine that serves")
	}
	a := dirtest.Must(ca.LoadAuthorities(online))(t)
	first := map[ca.Hierarchy]*x509.Certificate{}
	for _, h := range ca.Hierarchies {
		x := a.Of(h)
		first[h] = x.Issuer
		if x.RootCRL == nil || x.RootCRL.Number.Int64() != 1 || !x.RootCRL.NextUpdate.Equal(dirtest.Start.Add(ca.RootCRLLife)) || len(x.RootCRL.RevokedCertificateEntries) != 0 {
			t.Errorf("%s: the root's list is %+v", h, x.RootCRL)
		}
		if !slices.Equal(x.Issuer.CRLDistributionPoints, []string{status + "/crl/" + string(h) + "-root.crl"}) || !slices.Equal(x.Issuer.IssuingCertificateURL, []string{status + "/ca/" + string(h) + "-root.cer"}) {
			t.Errorf("%s: the issuer says %v, %v", h, x.Issuer.CRLDistributionPoints, x.Issuer.IssuingCertificateURL)
		}
		fi := dirtest.Must(os.Stat(filepath.Join(offline, string(h)+"-root.key")))(t)
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("a root's key has mode %v", fi.Mode())
		}
	}
	// Again: the roots and the issuers' keys stay, the certificates are new.
	out, steps = held(t, offline, online)
	if got := whats(steps); strings.Contains(got, "made") || strings.Count(got, "used the root") != 3 {
		t.Errorf("steps: %s", got)
	}
	dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	b := dirtest.Must(ca.LoadAuthorities(online))(t)
	for _, h := range ca.Hierarchies {
		if !b.Of(h).Root.Equal(a.Of(h).Root) || b.Of(h).Issuer.Equal(first[h]) || !bytes.Equal(b.Of(h).Issuer.SubjectKeyId, first[h].SubjectKeyId) || b.Of(h).RootCRL.Number.Int64() != 2 {
			t.Errorf("%s: not renewed", h)
		}
	}
	// Revoke one issuer; no requests, so only lists are signed.
	out = t.TempDir()
	steps = dirtest.Must(ca.Ceremony{Organisation: "Example Framework", Offline: offline, Out: out, Revoke: []*x509.Certificate{first[ca.Client]}, Now: dirtest.Start}.Hold())(t)
	if got := whats(steps); strings.Count(got, "client revoked the issuer") != 1 || strings.Contains(got, "signed the issuer") {
		t.Errorf("steps: %s", got)
	}
	dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	c := dirtest.Must(ca.LoadAuthorities(online))(t)
	if l := c.Client.RootCRL; l.Number.Int64() != 3 || len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(first[ca.Client].SerialNumber) != 0 {
		t.Errorf("the list is %+v", l)
	}
	if !c.Client.Issuer.Equal(b.Client.Issuer) || len(c.Signing.RootCRL.RevokedCertificateEntries) != 0 {
		t.Error("more than the lists was changed")
	}
	// An issuer that is in use and revoked is not loaded.
	dirtest.Must(ca.Ceremony{Organisation: "Example Framework", Offline: offline, Out: out, Revoke: []*x509.Certificate{b.Server.Issuer}, Now: dirtest.Start}.Hold())(t)
	if _, err := ca.InstallAuthorities(online, out, nil); err == nil || !strings.Contains(err.Error(), "revoked the issuer") {
		t.Errorf("installed a list that revokes the issuer in use: %v", err)
	}
	if dirtest.Must(ca.LoadAuthorities(online))(t).Server.RootCRL.Number.Int64() != 3 {
		t.Error("the refused list was installed")
	}

	openssl(t, online, first[ca.Client], b.Client.Issuer)
}

// openssl checks issuers against the roots' lists.
func openssl(t *testing.T, dir string, revoked, good *x509.Certificate) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("openssl is not installed: the roots' lists are not checked with it")
		return
	}
	pemCRL := filepath.Join(t.TempDir(), "crl.pem")
	if out, err := exec.Command("openssl", "crl", "-inform", "DER", "-in", filepath.Join(dir, "client", ca.RootCRLFile), "-out", pemCRL).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for want, c := range map[string]*x509.Certificate{": OK": good, "certificate revoked": revoked} {
		path := filepath.Join(t.TempDir(), "issuer.pem")
		if err := os.WriteFile(path, identity.EncodeCertificates(c), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("openssl", "verify", "-x509_strict", "-crl_check", "-attime", strconv.FormatInt(dirtest.Start.Unix()+60, 10), "-CAfile", filepath.Join(dir, "client", ca.RootFile), "-CRLfile", pemCRL, path).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("openssl: no %q in %s", want, out)
		}
	}
}

func TestCeremonyRefuses(t *testing.T) {
	offline, online := t.TempDir(), t.TempDir()
	out, _ := held(t, offline, online)
	dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	good := ca.Ceremony{Organisation: "Example Framework", Offline: offline, Requests: online, Out: t.TempDir(), Now: dirtest.Start}
	stranger := dirtest.Must(dirtest.Authorities())(t).Client.Issuer
	doubled := t.TempDir()
	dirtest.Must(0, os.CopyFS(doubled, os.DirFS(online)))(t)
	b := dirtest.Must(os.ReadFile(filepath.Join(online, "client", ca.RequestFile)))(t)
	dirtest.Must(0, os.WriteFile(filepath.Join(doubled, "server", ca.RequestFile), b, 0o600))(t)
	damaged := t.TempDir()
	dirtest.Must(0, os.CopyFS(damaged, os.DirFS(offline)))(t)
	dirtest.Must(0, os.Remove(filepath.Join(damaged, "client-root.json")))(t)
	swapped := t.TempDir()
	dirtest.Must(0, os.CopyFS(swapped, os.DirFS(offline)))(t)
	dirtest.Must(0, identity.WriteKey(filepath.Join(swapped, "client-root.key"), dirtest.Must(identity.NewKey())(t)))(t)
	for want, change := range map[string]func(*ca.Ceremony){
		"organisation is missing":        func(c *ca.Ceremony) { c.Organisation = "" },
		"status URL: need":               func(c *ca.Ceremony) { c.StatusURL = "status.example.org" },
		"no such file":                   func(c *ca.Ceremony) { c.Requests = t.TempDir() },
		"each needs its own":             func(c *ca.Ceremony) { c.Requests = doubled },
		"none of these roots signed it":  func(c *ca.Ceremony) { c.Revoke = []*x509.Certificate{stranger} },
		"it is not overwritten":          func(c *ca.Ceremony) { c.Offline = damaged },
		"does not belong to the root in": func(c *ca.Ceremony) { c.Offline = swapped },
		"by this machine's clock":        func(c *ca.Ceremony) { c.Now = dirtest.Start.AddDate(26, 0, 0) },
	} {
		c := good
		change(&c)
		if _, err := c.Hold(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if left := dirtest.Must(os.ReadDir(c.Out))(t); len(left) != 0 {
			t.Errorf("%s: wrote %v", want, left)
		}
	}
	// Another framework's results are not installed over these.
	other, _ := held(t, t.TempDir(), online)
	if _, err := ca.InstallAuthorities(online, other, nil); err == nil || !strings.Contains(err.Error(), "another root") {
		t.Errorf("installed another root: %v", err)
	}
	elsewhere := t.TempDir()
	foreign, _ := held(t, offline, elsewhere)
	if _, err := ca.InstallAuthorities(online, foreign, nil); err == nil || !strings.Contains(err.Error(), "does not belong to the certificate") {
		t.Errorf("installed an issuer of another key: %v", err)
	}
	dirtest.Must(ca.LoadAuthorities(online))(t)
}

func TestOpenKey(t *testing.T) {
	dir := t.TempDir()
	key := dirtest.Must(identity.NewKey())(t)
	dirtest.Must(0, identity.WriteKey(filepath.Join(dir, "a.key"), key))(t)
	for _, address := range []string{"file:a.key", "file:" + filepath.Join(dir, "a.key"), "file://" + filepath.Join(dir, "a.key")} {
		if k, err := ca.OpenKey(address, dir); err != nil || !key.PublicKey.Equal(k.Public()) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"pkcs11:token=x?pin-value=hunter2": "a PIN does not belong there", "pkcs11:token=x?pin-value=hunter2#a.key": "a PIN does not belong there",
		"pkcs11:token=x": "#client/issuer.key at its end", "pkcs11": "#client/issuer.key at its end", "pkcs11:token=x#": "#client/issuer.key at its end",
		"pkcs11:token=x;object=y#a.key": "name the token alone", "pkcs11:token=x#missing.key": "no such file",
		"pkcs11:token=x#a.key": "the key is of the kind file, but its address says pkcs11", "tpm:a.key": "the key is of the kind file, but its address says tpm",
		"awskms:key/hunter2": "this program opens keys of the kinds file, pkcs11, tpm only: use file:PATH", "a.key": "no scheme", "": "no scheme", "file:": "name a file", "file:missing.key": "no such file",
	} {
		if _, err := ca.OpenKey(address, dir); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no PIN", address, err, want)
		}
	}
	online := t.TempDir()
	out, _ := held(t, t.TempDir(), online)
	dirtest.Must(ca.InstallAuthorities(online, out, nil))(t)
	elsewhere := filepath.Join(t.TempDir(), "client.key")
	dirtest.Must(0, os.Rename(filepath.Join(online, "client", ca.KeyFile), elsewhere))(t)
	if _, err := ca.LoadAuthorities(online); err == nil {
		t.Error("loaded without a key")
	}
	if _, err := ca.OpenAuthorities(online, map[ca.Hierarchy]string{ca.Client: "file:" + elsewhere}); err != nil {
		t.Error(err)
	}
}
