package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/identity"
)

// tokenType is the PEM type of the file of a key in a token: its URI, in the form
// in which the PKCS#11 provider of OpenSSL has it. Its public half follows in a
// block of its own; without it the key was not finished.
const (
	tokenType  = "PKCS#11 PROVIDER URI"
	tokenTitle = "PKCS#11 Provider URI v1.0"
	publicType = "PUBLIC KEY"
)

type tokenFile struct {
	Title asn1.RawValue // VisibleString
	URI   string        `asn1:"utf8"`
}

const visibleString = 26 // tag of X.680

func encodeTokenKey(u tokenURI, public *ecdsa.PublicKey) ([]byte, error) {
	der, err := asn1.Marshal(tokenFile{asn1.RawValue{Tag: visibleString, Bytes: []byte(tokenTitle)}, u.String()})
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: tokenType, Bytes: der})
	if public == nil {
		return out, nil
	}
	der, err = x509.MarshalPKIXPublicKey(public)
	return append(out, pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: der})...), err
}

// decodeTokenKey reads the file of a key in a token; public is nil where the key
// was not finished. ours says whether it is such a file at all.
func decodeTokenKey(text []byte) (u tokenURI, public *ecdsa.PublicKey, ours bool, err error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != tokenType {
		return u, nil, false, errors.New("not the file of a key in a token")
	}
	var f tokenFile
	left, err := asn1.Unmarshal(block.Bytes, &f)
	if err == nil && (len(left) > 0 || f.Title.Tag != visibleString || string(f.Title.Bytes) != tokenTitle) {
		err = errors.New("a key of another kind than this program makes")
	}
	if err != nil {
		return u, nil, true, err
	}
	if u, err = parseTokenURI(f.URI); err == nil && (len(u.id) != keyID || u.object != labelOf(u.id) || u.serial == "") {
		err = errors.New("it names no key that this program made")
	}
	if err != nil {
		return tokenURI{}, nil, true, err
	}
	if block, _ = pem.Decode(rest); block == nil {
		return u, nil, true, nil
	}
	public, err = publicP256(block.Bytes)
	return u, public, true, err
}

// keyID is how many random bytes name a key: no two are ever the same.
const keyID = 16

// labelOf is the label of the key with an id: whoever lists what a token holds
// sees whose it is.
func labelOf(id string) string { return "perseus-edge-" + hex.EncodeToString([]byte(id)) }

// publicP256 reads a public key as SubjectPublicKeyInfo.
func publicP256(der []byte) (*ecdsa.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("not a key on P-256")
	}
	return k, nil
}

// tokenKey is a key in a token.
type tokenKey struct {
	path, notes string
	uri         tokenURI
	key         *ecdsa.PublicKey
}

func (k *tokenKey) Public() crypto.PublicKey { return k.key }

// Unusable is the error of a key in a token that cannot sign now; it says why.
type Unusable struct{ Err error }

func (u *Unusable) Error() string { return "the gateway's key cannot be used: " + u.Err.Error() }
func (u *Unusable) Unwrap() error { return u.Err }

// Sign signs a SHA-256 digest, in the form of ASN.1. What the token gives is
// checked before it is given on. The error is an Unusable.
func (k *tokenKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) (out []byte, err error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, &Unusable{fmt.Errorf("a token signs SHA-256 digests only, not %s", opts.HashFunc())}
	}
	err = withToken(k.uri, k.notes, func(t *token) error {
		rs, err := t.sign(k.uri, digest)
		if err == nil {
			out, err = signatureDER(rs, digest, k.key)
		}
		return err
	})
	if err != nil {
		return nil, &Unusable{err}
	}
	return out, nil
}

// signatureDER turns r and s into the form of ASN.1, if they are a signature.
func signatureDER(rs, digest []byte, key *ecdsa.PublicKey) ([]byte, error) {
	if len(rs) != 64 {
		return nil, fmt.Errorf("the token's signature has %d bytes, not 64", len(rs))
	}
	out, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(rs[:32]), new(big.Int).SetBytes(rs[32:])})
	if err == nil && !ecdsa.VerifyASN1(key, digest, out) {
		err = errors.New("the token's signature is wrong: its key is not the one that the file beside the certificate names")
	}
	return out, err
}

// makeToken makes a key in the token that u names. The file comes first and
// names what will be made: whenever the program ends, it tells what to destroy.
func makeToken(u tokenURI, notes, path string) (crypto.Signer, error) {
	k := &tokenKey{path: path, notes: notes, uri: u}
	err := withToken(u, notes, func(t *token) error {
		id := make([]byte, keyID)
		rand.Read(id)
		k.uri.token, k.uri.serial = t.slot.token, t.slot.serial
		k.uri.id, k.uri.object = string(id), labelOf(string(id))
		if k.uri.pin == "" {
			k.uri.pin = pinByDefault
		}
		b, err := encodeTokenKey(k.uri, nil)
		if err != nil {
			return err
		}
		if err := identity.WriteFile(path, b, 0o600); err != nil {
			return err
		}
		if err := t.generate(k.uri); err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		der, err := t.public(k.uri)
		if err != nil {
			return fmt.Errorf("reading the new key's public half: %w", err)
		}
		if k.key, err = publicP256(der); err != nil {
			return fmt.Errorf("the new key's public half: %w", err)
		}
		if b, err = encodeTokenKey(k.uri, k.key); err != nil {
			return err
		}
		return identity.WriteFile(path, b, 0o600)
	})
	if err == nil {
		err = Check(k)
	}
	if err != nil {
		return nil, errors.Join(err, Forget(path, PKCS11, notes))
	}
	return k, nil
}

// readToken reads the file of a key in a token. Where kind, under which keys are
// made now, means that token, its module and its PIN are taken: they may have
// moved since.
func readToken(path, kind, notes string, text []byte) (*tokenKey, error) {
	u, public, _, err := decodeTokenKey(text)
	if err == nil && public == nil {
		err = errors.New("the key was not finished when the program ended")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &tokenKey{path, notes, u.reached(kind), public}, nil
}

// reached is the key as it is reached now.
func (u tokenURI) reached(kind string) tokenURI {
	if now, err := parseToken(kind); err == nil && now.covers(u) {
		if now.module != "" {
			u.module = now.module
		}
		if now.pin != "" {
			u.pin = now.pin
		}
	}
	return u
}

// remainsFolder, in the folder of notes, has the files of keys that could not be
// destroyed because their token was not there.
const remainsFolder = "token-remains"

// Forget gives up a key that Make made at path, or had begun to make, and
// removes its file; that of a token is destroyed there. Where the token is not
// there, that is left for Tidy. It is no error that there is no key. kind and
// notes are those of Read.
func Forget(path, kind, notes string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	u, _, ours, _ := decodeTokenKey(text)
	if ours && u.id != "" { // its public half may be damaged
		u = u.reached(kind)
		if err := withToken(u, notes, func(t *token) error { return t.destroy(u) }); err != nil {
			if notes == "" {
				return err
			}
			return bury(path, notes, u)
		}
	}
	return os.Remove(path)
}

func bury(path, notes string, u tokenURI) error {
	dir := filepath.Join(notes, remainsFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(dir, u.object+".key")); err != nil {
		return err
	}
	identity.SyncDir(dir)
	return nil
}

// Tidy destroys what Forget had to leave, where the token is back. left is how
// many keys are left still, and err why the last one is.
func Tidy(kind, notes string) (left int, err error) {
	dir := filepath.Join(notes, remainsFolder)
	es, readErr := os.ReadDir(dir)
	if readErr != nil {
		return 0, nil // nothing was ever left
	}
	for _, e := range es {
		path := filepath.Join(dir, e.Name())
		text, one := os.ReadFile(path)
		if one == nil {
			var u tokenURI
			if u, _, _, one = decodeTokenKey(text); one == nil {
				u = u.reached(kind)
				one = withToken(u, notes, func(t *token) error { return t.destroy(u) })
			}
		}
		if one == nil {
			one = os.Remove(path)
		}
		if one != nil {
			left, err = left+1, fmt.Errorf("%s: %w", path, one)
		}
	}
	if left == 0 {
		return 0, os.Remove(dir)
	}
	return left, err
}
