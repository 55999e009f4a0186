package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// KeySize is the length of Config.Key in bytes.
const KeySize = 32

func newSealer(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("need %d random bytes, got %d", KeySize, len(key))
	}
	k, err := hkdf.Key(sha256.New, key, nil, "perseus-edge directory accounts", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block) // random 96-bit nonces: good for 2^32 secrets under one key
}

// seal encrypts a secret for the database. What it is for is bound to it: a
// copy that was moved to another row does not open.
func (s *Service) seal(secret []byte, what string) []byte {
	return s.aead.Seal(nil, nil, secret, []byte(what))
}

func (s *Service) open(sealed []byte, what string) ([]byte, error) {
	b, err := s.aead.Open(nil, nil, sealed, []byte(what))
	if err != nil {
		return nil, errors.New("account: a sealed secret does not open: accounts.key is another one, or the database was altered")
	}
	return b, nil
}

// SealWay seals the address to which a person goes after signing in, for the
// session: it may be that of a one-time link, which lies nowhere else.
func (s *Service) SealWay(to string) []byte { return s.seal([]byte(to), "way") }

// OpenWay opens what SealWay sealed.
func (s *Service) OpenWay(sealed []byte) (string, error) {
	b, err := s.open(sealed, "way")
	return string(b), err
}
