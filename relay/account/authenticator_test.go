package account

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

// authenticator is a passkey as a person's telephone keeps one, in software.
type authenticator struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	count  uint32
	host   string // relying party
	origin string
	flags  byte // 1 present, 4 verified, 8 and 16 may be and is backed up
}

func newAuthenticator(t *testing.T) *authenticator {
	k, err := newkey.Make(elliptic.P256())
	must(t, err)
	return &authenticator{t: t, key: k, id: []byte(rand.Text()), host: "localhost", origin: "https://localhost:8441", flags: 1 | 4}
}

var b64 = base64.RawURLEncoding.EncodeToString

func (a *authenticator) client(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": "webauthn." + kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	must(a.t, err)
	return b
}

func (a *authenticator) data(flags byte) []byte {
	a.count++
	h := sha256.Sum256([]byte(a.host))
	return binary.BigEndian.AppendUint32(append(h[:], flags), a.count)
}

// bytes writes a CBOR byte string.
func cborBytes(b []byte) []byte {
	if len(b) < 24 {
		return append([]byte{0x40 | byte(len(b))}, b...)
	}
	return append(append([]byte{0x59}, binary.BigEndian.AppendUint16(nil, uint16(len(b)))...), b...)
}

// create answers the options of an Offer.
func (a *authenticator) create(options string) string {
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	must(a.t, json.Unmarshal([]byte(options), &o))
	var err error
	a.handle, err = base64.RawURLEncoding.DecodeString(o.User.ID)
	must(a.t, err)
	point, err := a.key.PublicKey.Bytes() // 4, x, y
	must(a.t, err)
	cose := append([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, cborBytes(point[1:33])...)
	cose = append(append(cose, 0x22), cborBytes(point[33:])...)
	data := append(a.data(a.flags|0x40), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.id))), a.id...)
	data = append(data, cose...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), cborBytes(data)...)
	return a.answer(map[string]string{"clientDataJSON": b64(a.client("create", o.Challenge)), "attestationObject": b64(object)})
}

// get answers the options of a Challenge.
func (a *authenticator) get(options string) string {
	var o struct{ Challenge string }
	must(a.t, json.Unmarshal([]byte(options), &o))
	client, data := a.client("get", o.Challenge), a.data(a.flags)
	h := sha256.Sum256(client)
	h = sha256.Sum256(append(data[:len(data):len(data)], h[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, a.key, h[:])
	must(a.t, err)
	return a.answer(map[string]string{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(a.handle)})
}

func (a *authenticator) answer(response map[string]string) string {
	b, err := json.Marshal(map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": struct{}{}, "response": response})
	must(a.t, err)
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
