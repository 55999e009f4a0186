// Package keystore is where a gateway's private keys live: in files that one
// account can read, in the machine's TPM 2.0, or in a PKCS#11 token (a smart
// card, a USB stick, a network's security module), which never give them away.
// A key has a file in any case: that of a TPM key holds it sealed, of use to
// that TPM alone; that of a token's key says which one it is. Nothing of the TPM
// or the token is held open or in memory between uses.
package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Kinds of store.
const (
	Auto   = "auto" // a token where its PIN is laid down at DefaultPIN, else the TPM where there is one that this account can use, else files
	File   = "file"
	TPM    = "tpm"    // "tpm:PATH" names another device, or the socket of a software TPM
	PKCS11 = "pkcs11" // "pkcs11:..." is a PKCS#11 URI (RFC 7512): token=, serial=; module-path=, pin-source=
)

// DefaultDevice is the TPM behind the kernel's resource manager, which keeps
// several users of it apart.
const DefaultDevice = "/dev/tpmrm0"

// Store makes keys.
type Store struct {
	kind   string // File, TPM or PKCS11
	device string
	token  tokenURI
	notes  string
	why    string
}

// Open gives the store of a kind: auto (also ""), file, tpm, tpm:PATH, pkcs11 or
// a PKCS#11 URI. A TPM is tried first, by a key that is made, used and
// forgotten: auto turns to files where that fails (Why tells), tpm fails. A
// token must be there, and not have refused its PIN, or Open fails, with auto as
// well: whoever has laid down
// its PIN does not want keys in files because it is out for a moment.
//
// notes is a folder, by itself for one user of keys, where is kept what must
// outlive the program: that a token has refused its PIN, which keys in it are
// still to be destroyed. Empty: that is kept in memory, or an error.
func Open(kind, notes string) (*Store, error) {
	name, device, named := strings.Cut(kind, ":")
	if !named {
		device = DefaultDevice
	}
	switch {
	case kind == File:
		return &Store{kind: File, why: "as configured"}, nil
	case tokenKind(kind):
		why := "as configured"
		if name != PKCS11 {
			kind, why = PKCS11, "a token's PIN is at "+pinByDefault
		}
		if err := CheckKind(kind); err != nil {
			return nil, fmt.Errorf("key_store %w", err)
		}
		u, err := parseToken(kind)
		if err == nil {
			err = tokenReady(u, notes)
		}
		if err != nil {
			return nil, fmt.Errorf("key_store: %w", err)
		}
		return &Store{kind: PKCS11, token: u, notes: notes, why: why}, nil
	case kind == "" || kind == Auto:
		if _, err := os.Stat(device); err != nil {
			return &Store{kind: File, why: "this machine has no TPM at " + device}, nil
		}
		if err := tryTPM(device); err != nil {
			return &Store{kind: File, why: "the TPM cannot be used: " + err.Error()}, nil
		}
		return &Store{kind: TPM, device: device, why: "this machine has one"}, nil
	case name == TPM && device != "":
		if err := tryTPM(device); err != nil {
			return nil, fmt.Errorf("key_store: %s: %w", kind, err)
		}
		return &Store{kind: TPM, device: device, why: "as configured"}, nil
	}
	return nil, fmt.Errorf("key_store %q: use auto, file, tpm, tpm:PATH for a TPM elsewhere than %s, or pkcs11", kind, DefaultDevice)
}

// CheckKind checks a kind of Open without looking at the machine.
func CheckKind(kind string) error {
	name, device, named := strings.Cut(kind, ":")
	if kind == "" || kind == Auto || kind == File || kind == TPM || name == TPM && named && device != "" {
		return nil
	}
	if name == PKCS11 {
		if _, err := parseToken(kind); err != nil {
			return fmt.Errorf(`"%s:...": %w`, PKCS11, err) // somebody may have written a PIN into it
		}
		return nil
	}
	return fmt.Errorf("%q: use auto, file, tpm or pkcs11", kind)
}

// Kind is file, tpm or pkcs11.
func (s *Store) Kind() string { return s.kind }

// Why says what led to the kind, for status and log.
func (s *Store) Why() string { return s.why }

// kindNow is the kind for Forget.
func (s *Store) kindNow() string {
	if s.kind == PKCS11 {
		return s.token.String()
	}
	return s.kind
}

// Make makes a P-256 key and keeps it under path, readable by its owner alone.
// A key that was there is given up first, as by Forget.
func (s *Store) Make(path string) (crypto.Signer, error) {
	if s.kind == PKCS11 { // or the key before would go for nothing
		if err := tokenReady(s.token, s.notes); err != nil {
			return nil, err
		}
	}
	if err := Forget(path, s.kindNow(), s.notes); err != nil {
		return nil, err
	}
	if s.kind == PKCS11 {
		return makeToken(s.token, s.notes, path)
	}
	if s.kind == TPM {
		return makeTPM(s.device, path)
	}
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	return key, identity.WriteKey(path, key)
}

// Read reads a key that Make made, whatever the kind. kind is that of Open under
// which keys are made now: where it names a TPM's device, that is used for TPM
// keys, and likewise a token's module and PIN. Neither is asked before the key is
// used. notes is that of Open.
func Read(path, kind, notes string) (crypto.Signer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block != nil && block.Type == tokenType {
		k, err := readToken(path, kind, notes, b)
		if err != nil {
			return nil, err
		}
		return k, nil
	}
	if block == nil || block.Type != sealedType {
		return identity.ReadKey(path)
	}
	device := DefaultDevice
	if name, d, named := strings.Cut(kind, ":"); named && name == TPM {
		device = d
	}
	return readTPM(device, path, block.Bytes)
}

// KindOf says where a key lives: file, tpm or pkcs11.
func KindOf(key crypto.Signer) string {
	switch key.(type) {
	case *ecdsa.PrivateKey:
		return File
	case *tokenKey:
		return PKCS11
	}
	return TPM
}

// TokenOf names the token that a key lives in, by label and serial number; empty
// where it is in none.
func TokenOf(key crypto.Signer) string {
	k, ok := key.(*tokenKey)
	if !ok {
		return ""
	}
	return k.uri.token + ", serial number " + k.uri.serial
}

// Check makes sure that a key can be used: that the TPM still has what it needs,
// say.
func Check(key crypto.Signer) error {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return errors.New("not an ECDSA key")
	}
	digest := sha256.Sum256([]byte("can this key be used?"))
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(pub, digest[:], sig) {
		err = errors.New("the key makes signatures that are wrong")
	}
	return err
}
