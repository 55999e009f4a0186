package directory

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// TestOpenSSL: openssl accepts what we issue, in its strict mode and with the
// revocation list, and refuses what is revoked or for another purpose.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: certificates not checked with it")
	}
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	crl := func(h Hierarchy) string {
		l := must(w.CRL(t.Context(), h))(t)
		return write(string(h)+".crl", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.DER}))
	}
	issue := func(h Hierarchy) Certificate {
		key, csr := newKeyCSR(t)
		switch h {
		case Client:
			return must(w.IssueClient(t.Context(), w.providerApp.ID, []byte(csr)))(t)
		case Signing:
			return must(w.IssueSigning(t.Context(), w.providerApp.ID, []byte(csr)))(t)
		}
		return must(w.IssueServer(t.Context(), key.Public(), []string{"localhost", "127.0.0.1"}))(t)
	}
	_, gatewayCode, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	gateway := must(w.Enroll(t.Context(), gatewayCode, []byte(a), []byte(b)))(t)
	revoked := map[Hierarchy]Certificate{}
	for _, h := range Hierarchies {
		revoked[h] = issue(h)
		if err := w.Revoke(t.Context(), revoked[h].Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name    string
		h       Hierarchy
		cert    Certificate
		purpose string
		want    string // part of openssl's complaint; "" accepts
	}{
		{"client", Client, issue(Client), "sslclient", ""},
		{"gateway's client", Client, gateway.Client, "sslclient", ""},
		{"gateway's signing", Signing, gateway.Signing, "any", ""},
		{"signing", Signing, issue(Signing), "any", ""},
		{"signing as S/MIME signer", Signing, issue(Signing), "smimesign", ""},
		{"server", Server, issue(Server), "sslserver", ""},
		{"client as server", Client, issue(Client), "sslserver", "purpose"},
		{"server as client", Server, issue(Server), "sslclient", "purpose"},
		{"revoked client", Client, revoked[Client], "sslclient", "certificate revoked"},
		{"revoked signing", Signing, revoked[Signing], "any", "certificate revoked"},
		{"revoked server", Server, revoked[Server], "sslserver", "certificate revoked"},
	} {
		authority := w.Authorities.Of(x.h)
		// The leaf by its issuer's list, the issuer by its root's.
		lists := write("lists.crl", slices.Concat(must(os.ReadFile(crl(x.h)))(t), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: authority.RootCRL.Raw})))
		out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", x.purpose, "-crl_check_all", "-attime",
			itoa(start.Add(time.Minute).Unix()), "-CAfile", write("root.pem", identity.EncodeCertificates(authority.Root)),
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
	dir := must(os.Getwd())(t)
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
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	ctx := t.Context()
	nonASCII := w.scheme.Role("données-é")
	m := must(w.AddMember(ctx, Member{LegalName: "Énergie & Söhne " + strings.Repeat("x", 60), Roles: []string{nonASCII, w.scheme.Role(scheme.EDP), w.scheme.Role(scheme.CAP)}}))(t)
	app := must(w.AddApplication(ctx, Application{Member: m.ID, Name: "A", Roles: m.Roles}))(t)
	_, code, err := w.AddGateway(ctx, Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	clientKey, clientCSR := newKeyCSR(t)
	signingKey, signingCSR := newKeyCSR(t)
	gateway := must(w.Enroll(ctx, code, []byte(clientCSR), []byte(signingCSR)))(t)
	ask := func(h Hierarchy, c Certificate, key any, role string, at time.Time) peerAnswer {
		t.Helper()
		in := must(json.Marshal(map[string]string{
			"leaf": string(identity.EncodeCertificates(c.Leaf)), "issuer": string(identity.EncodeCertificates(c.Issuer)),
			"root": string(identity.EncodeCertificates(w.Authorities.Of(h).Root)),
			"key":  keyPEM(t, key), "role": role, "at": at.Format("2006-01-02T15:04:05Z"),
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
	key, csr := newKeyCSR(t)
	for h, c := range map[Hierarchy]Certificate{
		Client:  must(w.IssueClient(ctx, app.ID, []byte(csr)))(t),
		Signing: must(w.IssueSigning(ctx, app.ID, []byte(csr)))(t),
	} {
		got := ask(h, c, key, nonASCII, start)
		if !slices.Equal(got.Roles, app.Roles) || got.Member != base+"/m/"+m.ID || got.RequireRole != "" {
			t.Errorf("%s: ib1-directory reads %+v", h, got)
		}
		if got.Verify != "" || got.Signer.Application != base+"/a/"+app.ID || got.Signer.Member != base+"/m/"+m.ID ||
			!slices.Equal(got.Signer.Roles, app.Roles) || got.Signer.Name != cut(m.LegalName, 64) {
			t.Errorf("%s: ib1-provenance says %+v", h, got)
		}
		if got := ask(h, c, key, w.scheme.Role(scheme.FSP), start); got.RequireRole == "" {
			t.Errorf("%s: ib1-directory finds a role that is not there", h)
		}
		for what, at := range map[string]time.Time{"before": c.Leaf.NotBefore.Add(-time.Second), "after": c.Leaf.NotAfter.Add(time.Second)} {
			if got := ask(h, c, key, "", at); got.Verify == "" {
				t.Errorf("%s: a signature from %s its time is accepted", h, what)
			}
		}
	}
	for h, x := range map[Hierarchy]struct {
		c   Certificate
		key any
	}{Client: {gateway.Client, clientKey}, Signing: {gateway.Signing, signingKey}} {
		if got := ask(h, x.c, x.key, "", start); got.Verify != "" || len(got.Roles) != 0 || got.Signer.Application != gateway.Gateway.URL || got.Signer.Member != base+"/m/"+w.provider.ID {
			t.Errorf("gateway's %s certificate: %+v", h, got)
		}
		if got := ask(Server, x.c, x.key, "", start); got.Verify == "" {
			t.Errorf("gateway's %s certificate is accepted under the server root", h)
		}
	}
}

func keyPEM(t *testing.T, key any) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))(t)}))
}
