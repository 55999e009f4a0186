package identitytest

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

// Passkey is a passkey (WebAuthn) as a person's telephone keeps one, in
// software. A copy of the struct is a copy of the passkey.
type Passkey struct {
	Key    *ecdsa.PrivateKey
	ID     []byte
	Handle []byte // of the account, once it is made
	Count  uint32
	Host   string // the website that it believes to be at
	Origin string
	Flags  byte // 1 present, 4 verified, 8 and 16 may be and is backed up

	t testing.TB
}

// NewPasskey is a telephone with nothing for a website yet; it verifies the person.
func NewPasskey(t testing.TB, host, origin string) *Passkey {
	t.Helper()
	k, err := newkey.Make(elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	return &Passkey{Key: k, ID: []byte(rand.Text()), Host: host, Origin: origin, Flags: 1 | 4, t: t}
}

// Create answers the options by which a passkey is made (JSON, as is the answer).
func (p *Passkey) Create(options string) string {
	p.t.Helper()
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	p.must(json.Unmarshal([]byte(options), &o))
	var err error
	p.Handle, err = base64.RawURLEncoding.DecodeString(o.User.ID)
	p.must(err)
	point, err := p.Key.PublicKey.Bytes() // 4, x, y
	p.must(err)
	cose := append([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}, cborBytes(point[1:33])...)
	cose = append(append(cose, 0x22), cborBytes(point[33:])...)
	data := append(p.data(p.Flags|0x40), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(p.ID))), p.ID...)
	data = append(data, cose...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"), cborBytes(data)...)
	return p.answer(map[string]string{"clientDataJSON": b64(p.client("create", o.Challenge)), "attestationObject": b64(object)})
}

// Get answers the options by which a passkey is shown (JSON, as is the answer).
func (p *Passkey) Get(options string) string {
	p.t.Helper()
	var o struct{ Challenge string }
	p.must(json.Unmarshal([]byte(options), &o))
	client, data := p.client("get", o.Challenge), p.data(p.Flags)
	h := sha256.Sum256(client)
	h = sha256.Sum256(append(data[:len(data):len(data)], h[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, p.Key, h[:])
	p.must(err)
	return p.answer(map[string]string{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(p.Handle)})
}

var b64 = base64.RawURLEncoding.EncodeToString

func (p *Passkey) client(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": "webauthn." + kind, "challenge": challenge, "origin": p.Origin, "crossOrigin": false})
	p.must(err)
	return b
}

func (p *Passkey) data(flags byte) []byte {
	p.Count++
	h := sha256.Sum256([]byte(p.Host))
	return binary.BigEndian.AppendUint32(append(h[:], flags), p.Count)
}

// cborBytes writes a CBOR byte string.
func cborBytes(b []byte) []byte {
	if len(b) < 24 {
		return append([]byte{0x40 | byte(len(b))}, b...)
	}
	return append(append([]byte{0x59}, binary.BigEndian.AppendUint16(nil, uint16(len(b)))...), b...)
}

func (p *Passkey) answer(response map[string]string) string {
	b, err := json.Marshal(map[string]any{"id": b64(p.ID), "rawId": b64(p.ID), "type": "public-key", "clientExtensionResults": struct{}{}, "response": response})
	p.must(err)
	return string(b)
}

func (p *Passkey) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
