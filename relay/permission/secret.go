package permission

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// newSecret makes 256 random bits as 43 characters that need no escaping in an
// address: tokens, codes, request_uris, evidence keys.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// newName makes the name of a permission, a grant or a message. It is no secret
// and stands in logs: who has only the name gets nothing for it.
func newName() string { return newSecret() }

// hashOf is the form in which secrets are stored and looked up. Looking up by
// hash also means that no comparison's timing depends on the secret.
func hashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// challengeOf is the PKCE S256 challenge of a verifier (RFC 7636).
func challengeOf(verifier string) string {
	h := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// sealer keeps the copies of refresh tokens that a withdrawal message must
// carry, and derives account identifiers.
type sealer struct {
	aead    cipher.AEAD
	account []byte
}

func newSealer(key []byte) (*sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("need 32 bytes, got %d", len(key))
	}
	k, err := hkdf.Key(sha256.New, key, nil, "perseus-edge refresh token copies", 32)
	if err != nil {
		return nil, err
	}
	account, err := hkdf.Key(sha256.New, key, nil, "perseus-edge account identifiers", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	// Random 96-bit nonces: good for 2^32 tokens under one key.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead, account}, nil
}

// sealed encrypts a token. The permission's id is bound to it: a copy moved to
// another permission's row does not open.
func (s *sealer) sealed(token, permission string) []byte {
	return s.aead.Seal(nil, nil, []byte(token), []byte(permission))
}

func (s *sealer) open(sealed []byte, permission string) (string, error) {
	b, err := s.aead.Open(nil, nil, sealed, []byte(permission))
	if err != nil {
		return "", errors.New("stored token does not open: the seal key is another one, or the row was altered")
	}
	return string(b), nil
}

// accountOf is the opaque account identifier of a gateway's business: stable
// for one client, different for each client, so that two of them cannot match
// their customers by it; and another for the next business that has the site,
// since when it has it.
func (s *sealer) accountOf(gateway, client string, since time.Time) string {
	m := hmac.New(sha256.New, s.account)
	fmt.Fprintf(m, "%d:%s%s", len(gateway), gateway, client)
	if !since.IsZero() {
		fmt.Fprintf(m, " %d", since.Unix()) // no URL has a space
	}
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:15])
}
