package ca_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// TestOpenSSL: openssl accepts what we issue, in its strict mode and with the
// revocation list, and refuses what is revoked or for another purpose.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: certificates not checked with it")
	}
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	crl := func(h ca.Hierarchy) string {
		l := dirtest.Must(w.CRL(t.Context(), h))(t)
		return write(string(h)+".crl", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.DER}))
	}
	issue := func(h ca.Hierarchy) directory.Certificate {
		key, csr := dirtest.NewKeyCSR(t)
		switch h {
		case ca.Client:
			return dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
		case ca.Signing:
			return dirtest.Must(w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
		}
		return dirtest.Must(w.IssueServer(t.Context(), key.Public(), []string{"localhost", "127.0.0.1"}))(t)
	}
	_, gatewayCode, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := dirtest.NewKeyCSR(t)
	_, b := dirtest.NewKeyCSR(t)
	gateway := dirtest.Must(w.Enroll(t.Context(), gatewayCode, []byte(a), []byte(b)))(t)
	revoked := map[ca.Hierarchy]directory.Certificate{}
	for _, h := range ca.Hierarchies {
		revoked[h] = issue(h)
		if err := w.Revoke(t.Context(), revoked[h].Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name    string
		h       ca.Hierarchy
		cert    directory.Certificate
		purpose string
		want    string // part of openssl's complaint; "" accepts
	}{
		{"client", ca.Client, issue(ca.Client), "sslclient", ""},
		{"gateway's client", ca.Client, gateway.Client, "sslclient", ""},
		{"gateway's signing", ca.Signing, gateway.Signing, "any", ""},
		{"signing", ca.Signing, issue(ca.Signing), "any", ""},
		{"signing as S/MIME signer", ca.Signing, issue(ca.Signing), "smimesign", ""},
		{"server", ca.Server, issue(ca.Server), "sslserver", ""},
		{"client as server", ca.Client, issue(ca.Client), "sslserver", "purpose"},
		{"server as client", ca.Server, issue(ca.Server), "sslclient", "purpose"},
		{"revoked client", ca.Client, revoked[ca.Client], "sslclient", "certificate revoked"},
		{"revoked signing", ca.Signing, revoked[ca.Signing], "any", "certificate revoked"},
		{"revoked server", ca.Server, revoked[ca.Server], "sslserver", "certificate revoked"},
	} {
		authority := w.Authorities.Of(x.h)
		// The leaf by its issuer's list, the issuer by its root's.
		lists := write("lists.crl", slices.Concat(dirtest.Must(os.ReadFile(crl(x.h)))(t), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: authority.RootCRL.Raw})))
		out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", x.purpose, "-crl_check_all", "-attime",
			strconv.FormatInt(dirtest.Start.Add(time.Minute).Unix(), 10), "-CAfile", write("root.pem", identity.EncodeCertificates(authority.Root)),
			"-untrusted", write("issuer.pem", identity.EncodeCertificates(authority.Issuer)),
			"-CRLfile", lists, write("leaf.pem", identity.EncodeCertificates(x.cert.Leaf))).CombinedOutput()
		switch {
		case x.want == "" && (err != nil || !strings.Contains(string(out), ": OK")):
			t.Errorf("%s refused: %s", x.name, out)
		case x.want != "" && (err == nil || !strings.Contains(string(out), x.want)):
			t.Errorf("%s: %v: %s, want a complaint of %q", x.name, err, out, x.want)
		}
	}
}

// python finds the interpreter with ib1-directory and ib1-provenance.
func python(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("PERSEUS_PEERS_PYTHON"); p != "" {
		return p
	}
	dir := dirtest.Must(os.Getwd())(t)
	for {
		p := filepath.Join(dir, ".peers", "python", "bin", "python")
		if _, err := os.Stat(p); err == nil {
			return p
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no Python with ib1-directory and ib1-provenance: run make peers")
		}
		dir = up
	}
}

// peerAnswer is what the scheme's own Python packages read in a certificate.
type peerAnswer struct {
	Roles       []string
	Member      string
	RequireRole string // "" or the error
	Signer      struct {
		Member, Name, Application string
		Roles                     []string
	}
	Verify string // "" or the error
}

// TestPython: the scheme's own packages read roles and member, and accept our
// signing certificates as a record's signer.
func TestPython(t *testing.T) {
	interpreter := python(t)
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	ctx := t.Context()
	nonASCII := w.Scheme.Role("données-é")
	m := dirtest.Must(w.AddMember(ctx, directory.Member{LegalName: "Énergie & Söhne " + strings.Repeat("x", 60), Roles: []string{nonASCII, w.Scheme.Role(scheme.EDP), w.Scheme.Role(scheme.CAP)}}))(t)
	app := dirtest.Must(w.AddApplication(ctx, directory.Application{Member: m.ID, Name: "A", Roles: m.Roles}))(t)
	_, code, err := w.AddGateway(ctx, directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	clientKey, clientCSR := dirtest.NewKeyCSR(t)
	signingKey, signingCSR := dirtest.NewKeyCSR(t)
	gateway := dirtest.Must(w.Enroll(ctx, code, []byte(clientCSR), []byte(signingCSR)))(t)
	ask := func(h ca.Hierarchy, c directory.Certificate, key any, role string, at time.Time) peerAnswer {
		t.Helper()
		in := dirtest.Must(json.Marshal(map[string]string{
			"leaf": string(identity.EncodeCertificates(c.Leaf)), "issuer": string(identity.EncodeCertificates(c.Issuer)),
			"root": string(identity.EncodeCertificates(w.Authorities.Of(h).Root)),
			"key":  dirtest.KeyPEM(t, key), "role": role, "at": at.Format("2006-01-02T15:04:05Z"),
		}))(t)
		cmd := exec.Command(interpreter, filepath.Join("testdata", "peer.py"))
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		if x := new(exec.ExitError); errors.As(err, &x) {
			t.Fatalf("%v: %s", err, x.Stderr)
		} else if err != nil {
			t.Fatal(err)
		}
		var a peerAnswer
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	key, csr := dirtest.NewKeyCSR(t)
	for h, c := range map[ca.Hierarchy]directory.Certificate{
		ca.Client:  dirtest.Must(w.IssueClient(ctx, app.ID, []byte(csr)))(t),
		ca.Signing: dirtest.Must(w.IssueSigning(ctx, app.ID, []byte(csr)))(t),
	} {
		got := ask(h, c, key, nonASCII, dirtest.Start)
		if !slices.Equal(got.Roles, app.Roles) || got.Member != dirtest.Base+"/m/"+m.ID || got.RequireRole != "" {
			t.Errorf("%s: ib1-directory reads %+v", h, got)
		}
		if got.Verify != "" || got.Signer.Application != dirtest.Base+"/a/"+app.ID || got.Signer.Member != dirtest.Base+"/m/"+m.ID ||
			!slices.Equal(got.Signer.Roles, app.Roles) || got.Signer.Name != form.Cut(m.LegalName, 64) {
			t.Errorf("%s: ib1-provenance says %+v", h, got)
		}
		if got := ask(h, c, key, w.Scheme.Role(scheme.FSP), dirtest.Start); got.RequireRole == "" {
			t.Errorf("%s: ib1-directory finds a role that is not there", h)
		}
		for what, at := range map[string]time.Time{"before": c.Leaf.NotBefore.Add(-time.Second), "after": c.Leaf.NotAfter.Add(time.Second)} {
			if got := ask(h, c, key, "", at); got.Verify == "" {
				t.Errorf("%s: a signature from %s its time is accepted", h, what)
			}
		}
	}
	for h, x := range map[ca.Hierarchy]struct {
		c   directory.Certificate
		key any
	}{ca.Client: {gateway.Client, clientKey}, ca.Signing: {gateway.Signing, signingKey}} {
		if got := ask(h, x.c, x.key, "", dirtest.Start); got.Verify != "" || len(got.Roles) != 0 || got.Signer.Application != gateway.Gateway.URL || got.Signer.Member != dirtest.Base+"/m/"+w.Provider.ID {
			t.Errorf("gateway's %s certificate: %+v", h, got)
		}
		if got := ask(ca.Server, x.c, x.key, "", dirtest.Start); got.Verify == "" {
			t.Errorf("gateway's %s certificate is accepted under the server root", h)
		}
	}
}
