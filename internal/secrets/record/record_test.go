package record

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recording records to a folder of the test's own while f runs, and gives what
// is in the files of a kind.
func recording(t *testing.T, kind string, f func()) string {
	t.Helper()
	was, reader := dir, rand.Reader
	secrets, lines := files.secrets, files.lines
	dir, files.secrets, files.lines = t.TempDir(), nil, nil
	if w, ok := reader.(*watched); ok {
		rand.Reader = w.Reader // once is enough
	}
	rand.Reader = &watched{rand.Reader}
	defer func() { dir, rand.Reader, files.secrets, files.lines = was, reader, secrets, lines }()
	f()
	names, err := filepath.Glob(filepath.Join(dir, kind+"-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	return out.String()
}

func TestDrawsAreNamed(t *testing.T) {
	said := recording(t, "secrets", func() { rand.Text() })
	if !strings.HasPrefix(said, `{"p":"internal/secrets/record","t":"TestDrawsAreNamed","m":"test",`) || !strings.Contains(said, `"x":true,"r":"`) || strings.Count(said, "\n") != 1 {
		t.Errorf("rand.Text: %s", said)
	}
	said = recording(t, "secrets", func() { rand.Read(make([]byte, 3)) })
	if !strings.Contains(said, `"m":"test"`) || strings.Contains(said, `"x":true`) {
		t.Errorf("rand.Read: %s", said)
	}
	// What the standard library draws for itself is none of ours.
	said = recording(t, "secrets", func() {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key); err != nil {
			t.Fatal(err)
		}
	})
	if said != "" {
		t.Errorf("a key and a signature: %s", said)
	}
	for name, want := range map[string]string{module + "relay/permission.(*Service).newToken": "relay/permission.Service.newToken", "main.run": own + ".run"} {
		if at, ours := within(name); !ours || strings.NewReplacer("(*", "", ")", "").Replace(at) != want {
			t.Errorf("%s: %s, %v", name, at, ours)
		}
	}
	for name, want := range map[string]bool{"crypto/tls.(*Conn).Handshake": true, "runtime.goexit": true, "net/http.(*conn).serve": true, "github.com/alexedwards/scs/v2.generateToken": false} {
		if standard(name) != want {
			t.Errorf("standard(%s) is %v", name, !want)
		}
	}
}

func TestLogsArePassedOnAndKept(t *testing.T) {
	var seen bytes.Buffer
	said := recording(t, "lines", func() {
		l := slog.New(Handler(t, slog.NewTextHandler(&seen, nil)))
		l.Debug("not for the test")
		l.With("k", 1).Info("for both")
		Writer(t, "errors", &seen).Write([]byte("printed\n"))
		Logger(nil).Info("of a package")
	})
	if got := seen.String(); strings.Contains(got, "not for the test") || !strings.Contains(got, "for both") || !strings.Contains(got, "printed\n") {
		t.Errorf("the test sees %s", got)
	}
	for _, want := range []string{`"t":"TestLogsArePassedOnAndKept","l":"log `, "not for the test", `msg=\"for both\" k=1`, `"l":"errors `, `printed\n`, "of a package"} {
		if !strings.Contains(said, want) {
			t.Errorf("%s is not in the record:\n%s", want, said)
		}
	}
}

func TestSecretsHandedOver(t *testing.T) {
	said := recording(t, "secrets", func() { Secret(t, "password", "long enough") })
	if !strings.Contains(said, `"t":"TestSecretsHandedOver","k":"password","v":"long enough"`) {
		t.Errorf("recorded %s", said)
	}
	defer func() {
		if recover() == nil {
			t.Error("a short one is taken")
		}
	}()
	Secret(t, "PIN", "1234")
}

func TestKeysInFiles(t *testing.T) {
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sec1, _ := x509.MarshalECPrivateKey(e)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(e)
	said := recording(t, "secrets", func() {
		folder := t.TempDir()
		t.Run("world", func(t *testing.T) {
			Keys(t, folder)
			var b bytes.Buffer
			for kind, der := range map[string][]byte{"EC PRIVATE KEY": sec1, "PRIVATE KEY": pkcs8, "RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(r), "CERTIFICATE": {1}} {
				pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
			}
			if err := os.WriteFile(filepath.Join(folder, "all.pem"), b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	})
	if strings.Count(said, `"t":"TestKeysInFiles/world","k":"private key"`) != 3 {
		t.Errorf("recorded %s", said)
	}
}

func TestNothingIsRecordedUnasked(t *testing.T) {
	was := dir
	dir = ""
	defer func() { dir = was }()
	var seen bytes.Buffer
	h := slog.NewTextHandler(&seen, nil)
	if Logger(t).Handler() != slog.DiscardHandler || Handler(t, h) != h || Writer(t, "x", &seen) != &seen {
		t.Error("something is put between")
	}
	if flags, err := BuildFlags(); flags != nil || err != nil {
		t.Errorf("flags %q, %v", flags, err)
	}
}
