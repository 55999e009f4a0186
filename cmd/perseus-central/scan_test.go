package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// askStatus asks with openssl at the address that the certificates name.
func askStatus(t *testing.T, desk string, port int, certs map[string]string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("openssl is not installed: OCSP not asked with it")
		return
	}
	for name, want := range map[string]string{"good": "good", "bad": "revoked"} {
		bundle := filepath.Join(desk, name+"-bundle.pem")
		where, err := exec.Command("openssl", "x509", "-in", bundle, "-noout", "-ocsp_uri").Output()
		if err != nil || strings.TrimSpace(string(where)) != fmt.Sprintf("http://localhost:%d/ocsp", port) {
			t.Errorf("the certificate names %s, %v", where, err)
		}
		out, err := exec.Command("openssl", "ocsp", "-issuer", filepath.Join(desk, "signed", "client", "issuer.pem"), "-cert", bundle, "-CAfile", filepath.Join(desk, "signed", "client", "root.pem"),
			"-url", strings.TrimSpace(string(where))).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Response verify OK") || !strings.Contains(string(out), name+"-bundle.pem: "+want) {
			t.Errorf("%s (%s): %v %s", name, certs[name], err, out)
		}
	}
}

var agreed = regexp.MustCompile(`Server Temp Key: ([^\n]+)`)

// scanTLS tries what a server must take and what it must refuse (baseline TLS
// configuration 1.0): TLS 1.3 alone, key exchange on P-256 and P-384 alone.
func scanTLS(t *testing.T, port int) {
	t.Helper()
	address := fmt.Sprintf("localhost:%d", port)
	// What this openssl does not know, Go does.
	for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP521, tls.CurveP256, tls.CurveP384} {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{group}})
		if err == nil {
			c.Close()
		}
		if allowed := group == tls.CurveP256 || group == tls.CurveP384; allowed != (err == nil) {
			t.Errorf("port %d, group %s: %v", port, group, err)
		}
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("openssl is not installed: TLS is scanned with Go alone")
		return
	}
	for _, x := range []struct {
		args string
		want string // the key exchange; empty: refused
	}{
		{"-tls1_3 -groups P-256", "ECDH, prime256v1, 256 bits"}, {"-tls1_3 -groups P-384", "ECDH, secp384r1, 384 bits"}, {"-tls1_3 -groups P-521:X25519:P-384", "ECDH, secp384r1, 384 bits"},
		{"-tls1_3 -groups X25519", ""}, {"-tls1_3 -groups X448", ""}, {"-tls1_3 -groups P-521", ""}, {"-tls1_3 -groups ffdhe2048:ffdhe3072", ""},
		{"-tls1_2", ""}, {"-tls1_1 -cipher ALL:@SECLEVEL=0", ""}, {"-tls1 -cipher ALL:@SECLEVEL=0", ""}, {"-tls1_2 -cipher ALL:eNULL:@SECLEVEL=0", ""},
		{"-tls1_3 -groups P-256 -sigalgs RSA-PSS+SHA256", ""},
	} {
		cmd := exec.Command("openssl", append([]string{"s_client", "-connect", address, "-servername", "localhost"}, strings.Fields(x.args)...)...)
		out, _ := cmd.CombinedOutput() // its exit code tells of the chain too
		got := ""
		if m := agreed.FindSubmatch(out); m != nil && bytes.Contains(out, []byte("New, TLSv1.3")) {
			got = string(m[1])
		}
		if got != x.want {
			t.Errorf("port %d, %s: agreed on %q, want %q", port, x.args, got, x.want)
		}
		if x.want == "" && bytes.Contains(out, []byte("New, TLSv1")) && !bytes.Contains(out, []byte("Cipher is (NONE)")) {
			t.Errorf("port %d, %s: connected: %s", port, x.args, out)
		}
	}
}
