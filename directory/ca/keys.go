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

// keyPlace is where a key is: a file, which has it, or has it sealed for a TPM,
// or names it in a token.
type keyPlace struct {
	path  string
	store string // kind for package keystore: tpm:DEVICE, or a PKCS#11 URI
	notes string // folder for what must outlive the program; see keystore.Open
}

// keyKind opens and makes keys of one kind of address. All that is asked of a
// key is to be a crypto.Signer: one in a key service is one more entry of
// keyKinds.
type keyKind struct {
	open func(keyPlace) (crypto.Signer, error)
	make func(keyPlace) (crypto.Signer, error)
}

var keyKinds = map[string]keyKind{
	"file": {
		func(p keyPlace) (crypto.Signer, error) { return identity.ReadKey(p.path) },
		func(p keyPlace) (crypto.Signer, error) {
			key, err := identity.NewKey()
			if err != nil {
				return nil, err
			}
			return key, identity.WriteKey(p.path, key)
		},
	},
	keystore.TPM:    {openStored, makeStored},
	keystore.PKCS11: {openStored, makeStored},
}

func openStored(p keyPlace) (crypto.Signer, error) {
	key, err := keystore.Read(p.path, p.store, p.notes)
	if err != nil {
		return nil, err
	}
	if is, want := keystore.KindOf(key), kindOf(p.store); is != want {
		return nil, fmt.Errorf("%s: the key is of the kind %s, but its address says %s: move the file away so that a new key is made (an issuer's takes a ceremony), or correct the address", p.path, is, want)
	}
	return check(&storedKey{key, p.path})
}

func makeStored(p keyPlace) (crypto.Signer, error) {
	store, err := keystore.Open(p.store, p.notes)
	if err != nil {
		return nil, err
	}
	key, err := store.Make(p.path)
	if err != nil {
		return nil, err
	}
	return &storedKey{key, p.path}, nil
}

func check(key crypto.Signer) (crypto.Signer, error) {
	if err := keystore.Check(key); err != nil {
		return nil, err
	}
	return key, nil
}

// kindOf is the kind of an address of package keystore.
func kindOf(store string) string {
	kind, _, _ := strings.Cut(store, ":")
	return kind
}

// keyAddress reads an address: file:PATH, tpm:PATH[?device=DEVICE], or a PKCS#11
// URI that names a token (RFC 7512), or pkcs11 alone, with #PATH behind it. PATH
// is absolute or relative to dir.
func keyAddress(address, dir string) (kind keyKind, p keyPlace, err error) {
	scheme, rest, ok := strings.Cut(address, ":")
	token, path, named := strings.Cut(address, "#")
	if kindOf(token) == keystore.PKCS11 {
		scheme, rest, ok = keystore.PKCS11, path, true
	}
	kind, known := keyKinds[scheme]
	if !ok || !known {
		if !ok || len(scheme) > 20 {
			scheme = "no scheme"
		}
		return kind, p, fmt.Errorf("key address with %q: this program opens keys of the kinds %s only: use file:PATH, tpm:PATH, or pkcs11:token=LABEL for one in a token", scheme, strings.Join(slices.Sorted(maps.Keys(keyKinds)), ", "))
	}
	switch scheme {
	case keystore.PKCS11:
		if err := keystore.CheckKind(token); err != nil {
			return kind, p, fmt.Errorf("key address with %w", err)
		}
		if !named || path == "" {
			return kind, p, errors.New(`key address with "pkcs11": name the file that says which key of the token it is: #client/issuer.key at its end`)
		}
		p = keyPlace{path, token, dir}
	case keystore.TPM:
		path, device, named := strings.Cut(strings.TrimPrefix(rest, "//"), "?device=")
		if !named {
			device = keystore.DefaultDevice
		}
		p = keyPlace{path: path, store: keystore.TPM + ":" + device}
		if device == "" {
			p.path = ""
		}
	default:
		p = keyPlace{path: strings.TrimPrefix(rest, "//")}
	}
	if p.path == "" {
		return kind, p, fmt.Errorf("key address with %q: name a file: %s:issuer.key or %s:/var/lib/keys/issuer.key", scheme, scheme, scheme)
	}
	if !filepath.IsAbs(p.path) {
		p.path = filepath.Join(dir, p.path)
	}
	return kind, p, nil
}

// IssuerKey is the address of an issuer's key. keys has those that are elsewhere
// than in its file in the folder of authorities; one in a token needs no #PATH
// there: that file then names the key.
func IssuerKey(keys map[Hierarchy]string, h Hierarchy) string {
	address, file := keys[h], filepath.Join(string(h), keyFile)
	switch {
	case address == "":
		return "file:" + file
	case kindOf(address) == keystore.PKCS11 && !strings.Contains(address, "#"):
		return address + "#" + file
	}
	return address
}

// OpenKey opens a private key by its address: file:PATH, a PKCS #8 PEM file,
// tpm:PATH, a key of the machine's TPM (?device=/dev/tpmrm0 names another), or
// pkcs11:token=LABEL?pin-source=FILE#PATH, a key in a PKCS#11 token, which the
// file names. PATH is absolute or relative to dir.
func OpenKey(address, dir string) (crypto.Signer, error) {
	kind, p, err := keyAddress(address, dir)
	if err != nil {
		return nil, err
	}
	return kind.open(p)
}

// EnsureKey opens the key of an address, and makes it where there is none.
func EnsureKey(address, dir string) (key crypto.Signer, made bool, err error) {
	kind, p, err := keyAddress(address, dir)
	if err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(p.path); !errors.Is(err, fs.ErrNotExist) {
		key, err := kind.open(p)
		return key, false, err
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return nil, false, err
	}
	key, err = kind.make(p)
	return key, true, err
}
