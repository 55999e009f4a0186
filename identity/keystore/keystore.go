// Package keystore is where a gateway's private keys live: in files that one
// account can read, or in the machine's TPM 2.0, which never gives them away.
// A key has a file in either case: that of a TPM key holds it sealed, of use to
// that TPM alone. Nothing of the TPM is held open or in memory between uses.
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
	Auto = "auto" // the TPM where there is one that this account can use, else files
	File = "file"
	TPM  = "tpm" // "tpm:PATH" names another device, or the socket of a software TPM
)

// DefaultDevice is the TPM behind the kernel's resource manager, which keeps
// several users of it apart.
const DefaultDevice = "/dev/tpmrm0"

// Store makes keys.
type Store struct {
	kind   string // File or TPM
	device string
	why    string
}

// Open gives the store of a kind: auto (also ""), file, tpm or tpm:PATH. A TPM
// is tried first, by a key that is made, used and forgotten: auto turns to files
// where that fails (Why tells), tpm fails.
func Open(kind string) (*Store, error) {
	name, device, named := strings.Cut(kind, ":")
	if !named {
		device = DefaultDevice
	}
	switch {
	case kind == File:
		return &Store{kind: File, why: "as configured"}, nil
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
	return nil, fmt.Errorf("key_store %q: use auto, file, tpm, or tpm:PATH for a TPM elsewhere than %s", kind, DefaultDevice)
}

// CheckKind checks a kind of Open without looking at the machine.
func CheckKind(kind string) error {
	name, device, named := strings.Cut(kind, ":")
	if kind == "" || kind == Auto || kind == File || kind == TPM || name == TPM && named && device != "" {
		return nil
	}
	return fmt.Errorf("%q: use auto, file or tpm", kind)
}

// Kind is file or tpm.
func (s *Store) Kind() string { return s.kind }

// Why says what led to the kind, for status and log.
func (s *Store) Why() string { return s.why }

// Make makes a P-256 key and keeps it under path, readable by its owner alone.
func (s *Store) Make(path string) (crypto.Signer, error) {
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
// keys. A TPM is not asked before the key is used.
func Read(path, kind string) (crypto.Signer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != sealedType {
		return identity.ReadKey(path)
	}
	device := DefaultDevice
	if name, d, named := strings.Cut(kind, ":"); named && name == TPM {
		device = d
	}
	return readTPM(device, path, block.Bytes)
}

// KindOf says where a key lives: file or tpm.
func KindOf(key crypto.Signer) string {
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return File
	}
	return TPM
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
