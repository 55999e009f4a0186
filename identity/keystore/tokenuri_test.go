package keystore

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

func TestTokenURI(t *testing.T) {
	for text, want := range map[string]tokenURI{
		"pkcs11":  {},
		"pkcs11:": {},
		"pkcs11:token=Gateway%201;serial=88%3B27?module-path=/usr/lib/x.so&pin-source=/etc/p": {token: "Gateway 1", serial: "88;27", module: "/usr/lib/x.so", pin: "/etc/p"},
		"pkcs11:?pin-source=file:/etc/p": {pin: "/etc/p"},
		"pkcs11:token=Z%C3%A4hler":       {token: "Zähler"},
	} {
		got, err := parseToken(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if CheckKind(text) != nil {
			t.Errorf("%s: %v", text, CheckKind(text))
		}
	}
	for text, want := range map[string]string{
		"pkcs11:tokn=x":                                    `"tokn" is not known: use token=`,
		"pkcs11:token=x?module-name=opensc":                `"module-name" is not known`,
		"pkcs11:token=x&module-path=/x":                    "", // one attribute, with an ampersand in it: allowed by the RFC
		"pkcs11:module-path=/x":                            `"module-path" is not known`,
		"pkcs11:token=x?pin-value=1234":                    "a PIN does not belong there",
		"pkcs11:token=x;token=y":                           "token= is there twice",
		"pkcs11:token=":                                    "token= is empty",
		"pkcs11:token=x;":                                  "is not known",
		"pkcs11:token=%zz":                                 "token= is empty or cannot be read",
		"pkcs11:token=%0a":                                 "cannot be read",
		"pkcs11:token=x?module-path=x.so":                  "the whole path",
		"pkcs11:token=x?pin-source=%7Ccat":                 "the whole path",
		"pkcs11:id=%00;object=x":                           "it names a key",
		"pkcs11:token=" + strings.Repeat("x", maxTokenURI): "not a PKCS#11 URI",
		"pkcs12:x":                                         "use auto, file, tpm or pkcs11",
	} {
		err := CheckKind(text)
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := Open(text, ""); err == nil || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s was opened, or told: %v", text, err)
		}
	}
}

// As OpenSC 0.23 lists them: a reader with a card, SoftHSM, and an empty place.
const listing = `Available slots:
Slot 0 (0x0): Nitrokey Nitrokey HSM (DENK01051600000         ) 00 00
  token label        : Riverside: unit 4
  token manufacturer : www.CardContact.de
  token model        : PKCS#15 emulated
  token flags        : login required, rng, token initialized, PIN initialized
  hardware version   : 24.13
  firmware version   : 3.5
  serial num         : DENK0105160
  pin min/max        : 6/15
Slot 1 (0x6703f6c5): SoftHSM slot ID 0x6703f6c5
  token label        : Gateway one
  token flags        : login required, rng, token initialized, user PIN count low, PIN initialized, other flags=0x20
  serial num         : 882731ae6703f6c5
Slot 2 (0x1): SoftHSM slot ID 0x1
  token state:   uninitialized
`

func TestSlots(t *testing.T) {
	s := parseSlots(listing)
	if len(s) != 3 || s[0].id != "0x0" || s[0].token != "Riverside: unit 4" || s[0].serial != "DENK0105160" || s[1].id != "0x6703f6c5" || !s[1].has("user PIN count low") || s[2].has("token initialized") {
		t.Fatalf("%+v", s)
	}
	for u, want := range map[tokenURI]string{
		{token: "Gateway one"}:                        "0x6703f6c5",
		{serial: "DENK0105160"}:                       "0x0",
		{token: "Gateway one", serial: "DENK0105160"}: "",
		{token: "gateway one"}:                        "",
		{}:                                            "",
		{token: "Riverside: unit 4", serial: s[0].serial}: "0x0",
	} {
		got, err := choose(s, u)
		if got.id != want || (err == nil) != (want != "") {
			t.Errorf("%+v: %+v, %v", u, got, err)
		}
	}
}

func FuzzSlots(f *testing.F) {
	f.Add(listing)
	f.Add("Slot 0 (0x0): x\n  token label : \xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSlots(text) {
			if strings.Trim(s.id, "0123456789abcdefABCDEFx") != "" || !strings.HasPrefix(s.id, "0x") {
				t.Errorf("slot %q goes onto a command line", s.id)
			}
		}
	})
}

// What is read is written again as it means, once and for all.
func FuzzTokenURI(f *testing.F) {
	f.Add("pkcs11:token=Gateway%201;serial=88%3B27?module-path=/usr/lib/x.so&pin-source=/etc/p")
	f.Add("pkcs11:object=x;id=%00%ff;type=private?pin-source=file:/p")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseTokenURI(text)
		if err != nil {
			return
		}
		again, err := parseTokenURI(u.String())
		if len(u.String()) <= maxTokenURI && (err != nil || again != u) {
			t.Errorf("%q: %+v, then %q: %+v, %v", text, u, u.String(), again, err)
		}
	})
}

// What stands in the file of a token's key may be anything; it must not break,
// and never name a key that this program cannot have made.
func FuzzTokenFile(f *testing.F) {
	key, err := identity.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	id := strings.Repeat("\x07", keyID)
	whole, err := encodeTokenKey(tokenURI{token: "Gateway 1", serial: "1", module: "/m", pin: "/p", id: id, object: labelOf(id)}, &key.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	if u, pub, ours, err := decodeTokenKey(whole); err != nil || !ours || !pub.Equal(&key.PublicKey) || u.id != id || u.pin != "/p" {
		f.Fatalf("%+v, %v", u, err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, text []byte) {
		u, pub, ours, err := decodeTokenKey(text)
		if err == nil && (!ours || u.object != labelOf(u.id) || len(u.id) != keyID) {
			t.Errorf("%+v of %q", u, text)
		}
		if pub != nil {
			if _, err := x509.MarshalPKIXPublicKey(pub); err != nil {
				t.Error(err)
			}
		}
	})
}

// The file's parts are as OpenSSL's tools read them: the DER by asn1parse, the
// public half by pkey.
func TestTokenFileByOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	tok := keystoretest.NewToken(t, "Gateway 1")
	key, path := made(t, tok.Kind, "")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"asn1parse", "-in", path}, []string{"VISIBLESTRING     :PKCS#11 Provider URI v1.0", "UTF8STRING        :pkcs11:token=Gateway%201;serial=", ";object=perseus-edge-", ";type=private?module-path=/", "&pin-source=/"}},
		{[]string{"pkey", "-pubin", "-in", path, "-noout", "-text"}, []string{"NIST CURVE: P-256"}},
	} {
		out, err := exec.Command("openssl", c.args...).CombinedOutput()
		for _, w := range c.want {
			if err != nil || !strings.Contains(string(out), w) {
				t.Errorf("openssl %q: %v: %s, want %s", c.args, err, out, w)
			}
		}
	}
	out, err := exec.Command("openssl", "pkey", "-pubin", "-in", path).Output()
	if block, _ := pem.Decode(out); err != nil || block == nil {
		t.Errorf("%v: %s", err, out)
	} else if pub, err := publicP256(block.Bytes); err != nil || !pub.Equal(key.Public().(*ecdsa.PublicKey)) {
		t.Errorf("another key: %v", err)
	}
}

func BenchmarkSign(b *testing.B) {
	for name, kind := range map[string]func() string{
		"file": func() string { return File }, "tpm": func() string { return keystoretest.SoftwareTPM(b) },
		"pkcs11": func() string { return keystoretest.NewToken(b, "Gateway 1").Kind },
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(kind(), b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			key, err := s.Make(filepath.Join(b.TempDir(), "a.key"))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := Check(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
