package search

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func searcher(t *testing.T, es ...record.Entry) *Searcher {
	t.Helper()
	s := NewSearcher()
	for _, e := range es {
		x, ok, err := secretOf(e)
		if err != nil || !ok || !s.Add(x) {
			t.Fatalf("%+v is no secret: %v, %v", e, ok, err)
		}
	}
	return s
}

// found looks for exactly one secret of a kind, and that the report does not
// give away what it says must be in no log.
func found(t *testing.T, s *Searcher, kind, text string) {
	t.Helper()
	fs := s.In(record.Line{Package: "there", Test: "TestThere", Log: "log", Text: "before\n" + text + "\nafter\n"})
	if len(fs) == 0 {
		t.Errorf("%s is not found in %q", kind, text)
	}
	for _, f := range fs {
		if f.Secret.Kind != kind || f.Line.Test != "TestThere" {
			t.Errorf("%q: found %+v", text, f)
		}
		if again := s.In(f.Line); len(again) > 0 {
			t.Errorf("%q: the report gives it away: %s", text, f.Line.Text)
		}
	}
}

func quiet(t *testing.T, s *Searcher, text string) {
	t.Helper()
	if fs := s.In(record.Line{Text: text}); len(fs) > 0 {
		t.Errorf("%+v is found in %q", fs[0], text)
	}
}

// logged is a value as slog writes it.
func logged(v any) string {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("request failed", "value", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("request failed", "value", v)
	return b.String()
}

func TestTokenInEverySpelling(t *testing.T) {
	raw := []byte("\xfb\xef\xbe\xff\x00\x10\x83 seventeen bytes, and five more")[:32]
	token := base64.RawURLEncoding.EncodeToString(raw)
	s := searcher(t, record.Entry{Maker: "relay/permission.newSecret", For: "relay/permission.Service.newToken.func2", Raw: raw})
	for _, text := range []string{
		token, "Bearer " + token, `{"access_token":"` + token + `"}`, token[:30] + "...",
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		url.QueryEscape(base64.StdEncoding.EncodeToString(raw)), url.QueryEscape(token),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), base32.StdEncoding.EncodeToString(raw),
		fmt.Sprint(raw), fmt.Sprintf("%q", raw), fmt.Sprintf("%x", token),
		base64.StdEncoding.EncodeToString([]byte("me:" + token)), base64.StdEncoding.EncodeToString([]byte("user:" + token)), base64.RawURLEncoding.EncodeToString([]byte("x" + token)),
		logged(token), logged(raw), logged(map[string]string{"a": token}),
	} {
		found(t, s, "OAuth token", text)
	}
	quiet(t, s, token[:12]+" "+token[20:35])
	quiet(t, s, strings.ToLower(token))
}

func TestKeyInEverySpelling(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, _ := x509.MarshalPKCS8PrivateKey(key)
		sec1, _ := x509.MarshalECPrivateKey(key)
		scalar, _ := key.Bytes()
		s := searcher(t, record.Entry{Kind: record.KeyKind, Raw: der})
		for _, text := range []string{
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})),
			logged(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), logged(der), logged(sec1), fmt.Sprintf("%x", sec1),
			hex.EncodeToString(scalar), base64.StdEncoding.EncodeToString(scalar), `{"kty":"EC","d":"` + base64.RawURLEncoding.EncodeToString(scalar) + `"}`,
		} {
			found(t, s, record.KeyKind, text)
		}

		// What is public is in logs all the time.
		csr, err := identity.NewCSR(key, "x")
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1)}
		cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		point, _ := key.PublicKey.Bytes()
		spki, _ := x509.MarshalPKIXPublicKey(key.Public())
		for _, public := range [][]byte{cert, point, spki} {
			quiet(t, s, logged(public))
			quiet(t, s, string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: public})))
		}
		quiet(t, s, string(csr))
	}
	_, seed, _ := ed25519.GenerateKey(rand.Reader)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []any{seed, r} {
		der, _ := x509.MarshalPKCS8PrivateKey(k)
		found(t, searcher(t, record.Entry{Kind: record.KeyKind, Raw: der}), record.KeyKind, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	}
}

func TestPasswordsSeedsAndTexts(t *testing.T) {
	s := searcher(t, record.Entry{Kind: "password", Text: "pässword & 100%"}, record.Entry{Kind: "short", Text: "hunter22"})
	for _, text := range []string{"pässword & 100%", url.QueryEscape("pässword & 100%"), url.PathEscape("pässword & 100%"), logged("pässword & 100%"), fmt.Sprintf("%+q", "pässword & 100%")} {
		if strings.Contains(text, `\u00e4`) {
			continue // %+q is not a way in which anything here logs
		}
		found(t, s, "password", text)
	}
	found(t, s, "password", base64.StdEncoding.EncodeToString([]byte("me:pässword & 100%")))
	found(t, s, "short", "postgres://me:hunter22@db/x")
	s = searcher(t, record.Entry{Maker: "github.com/pquerna/otp/totp.Generate", Raw: []byte("twenty bytes of seed")})
	found(t, s, "TOTP seed", "otpauth://totp/x?secret="+base32.StdEncoding.EncodeToString([]byte("twenty bytes of seed")))
}

// draws gives what crypto/rand gave while f ran.
func draws(t *testing.T, f func()) []byte {
	t.Helper()
	var b bytes.Buffer
	was := rand.Reader
	rand.Reader = io.TeeReader(was, &b)
	defer func() { rand.Reader = was }()
	f()
	return b.Bytes()
}

// What the list of makers says a function makes of its random bytes is what it
// makes, and people's ways to write a code do not hide it.
func TestCodesAsPeopleWriteThem(t *testing.T) {
	for name, makes := range map[string]func() string{"identity.NewCode": identity.NewCode, "identity.NewEnrolCode": identity.NewEnrolCode} {
		for range 100 {
			var code string
			raw := draws(t, func() { code = makes() })
			s := searcher(t, record.Entry{Maker: name, Raw: raw})
			kind := s.secrets[0].Kind
			if s.secrets[0].text != code {
				t.Fatalf("%s made %s, the search spells %s", name, code, s.secrets[0].text)
			}
			bare := strings.ReplaceAll(code, "-", "")
			for _, text := range []string{code, strings.ToLower(code), bare, strings.ToLower(bare), strings.ReplaceAll(code, "-", " "), "code=" + code + "&x", "#" + code, `"` + bare + `"`} {
				found(t, s, kind, text)
			}
			quiet(t, s, code[:9]+"...")
		}
	}
	raw := draws(t, func() { rand.Text() })
	text := randText(raw)
	found(t, searcher(t, record.Entry{Maker: "agent/web.newToken", Raw: raw, AsText: true}), "token of a gateway's page", "/enrol?token="+text)
	var drawn string
	if raw := draws(t, func() { drawn = rand.Text() }); randText(raw) != drawn {
		t.Errorf("rand.Text gave %s, the search spells %s", drawn, randText(raw))
	}
}
