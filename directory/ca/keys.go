package ca

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// keyKind opens and makes keys of one kind of address. All that is asked of a
// key is to be a crypto.Signer: one in a PKCS#11 token or in a key service is
// one more entry of keyKinds.
type keyKind struct {
	open func(path, device string) (crypto.Signer, error)
	make func(path, device string) (crypto.Signer, error)
}

var keyKinds = map[string]keyKind{
	"file": {
		func(path, _ string) (crypto.Signer, error) { return identity.ReadKey(path) },
		func(path, _ string) (crypto.Signer, error) {
			key, err := identity.NewKey()
			if err != nil {
				return nil, err
			}
			return key, identity.WriteKey(path, key)
		},
	},
	"tpm": { // the file holds the key sealed, of use to that TPM alone
		func(path, device string) (crypto.Signer, error) {
			key, err := keystore.Read(path, keystore.TPM+":"+device, "")
			if err == nil {
				err = keystore.Check(key)
			}
			return key, err
		},
		func(path, device string) (crypto.Signer, error) {
			store, err := keystore.Open(keystore.TPM+":"+device, "")
			if err != nil {
				return nil, err
			}
			return store.Make(path)
		},
	},
}

// keyAddress reads an address: file:PATH or tpm:PATH[?device=DEVICE]. PATH is
// absolute or relative to dir.
func keyAddress(address, dir string) (kind keyKind, path, device string, err error) {
	scheme, rest, ok := strings.Cut(address, ":")
	kind, known := keyKinds[scheme]
	if !ok || !known {
		if !ok || len(scheme) > 20 {
			scheme = "no scheme"
		}
		return kind, "", "", fmt.Errorf("key address with %q: this program opens keys of the kinds %s only: use file:PATH or tpm:PATH", scheme, strings.Join(slices.Sorted(maps.Keys(keyKinds)), ", "))
	}
	path, device, named := strings.Cut(strings.TrimPrefix(rest, "//"), "?device=")
	if !named {
		device = keystore.DefaultDevice
	}
	if path == "" || device == "" {
		return kind, "", "", fmt.Errorf("key address with %q: name a file: %s:issuer.key or %s:/var/lib/keys/issuer.key", scheme, scheme, scheme)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return kind, path, device, nil
}

// OpenKey opens a private key by its address: file:PATH, a PKCS #8 PEM file, or
// tpm:PATH, a key of the machine's TPM (?device=/dev/tpmrm0 names another).
// PATH is absolute or relative to dir.
func OpenKey(address, dir string) (crypto.Signer, error) {
	kind, path, device, err := keyAddress(address, dir)
	if err != nil {
		return nil, err
	}
	return kind.open(path, device)
}

// EnsureKey opens the key of an address, and makes it where there is none.
func EnsureKey(address, dir string) (key crypto.Signer, made bool, err error) {
	kind, path, device, err := keyAddress(address, dir)
	if err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		key, err := kind.open(path, device)
		return key, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, err
	}
	key, err = kind.make(path, device)
	return key, true, err
}
