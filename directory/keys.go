package directory

import (
	"crypto"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
)

// keyKinds opens issuers' keys by the scheme of their address. A key in a
// PKCS#11 token or a key service is one more entry: all that is asked of a key
// is to be a crypto.Signer.
var keyKinds = map[string]func(rest, dir string) (crypto.Signer, error){
	"file": func(path, dir string) (crypto.Signer, error) {
		if path = strings.TrimPrefix(path, "//"); path == "" {
			return nil, fmt.Errorf("name a file: file:issuer.key or file:/run/keys/issuer.key")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		return identity.ReadKey(path)
	},
}

// OpenKey opens a private key by its address: file:PATH, where PATH is a PKCS #8
// PEM file, absolute or relative to dir.
func OpenKey(address, dir string) (crypto.Signer, error) {
	scheme, rest, ok := strings.Cut(address, ":")
	open := keyKinds[scheme]
	if !ok || open == nil {
		if !ok || len(scheme) > 20 {
			scheme = "no scheme"
		}
		return nil, fmt.Errorf("key address with %q: this program opens keys of the kinds %s only: use file:PATH", scheme, strings.Join(slices.Sorted(maps.Keys(keyKinds)), ", "))
	}
	key, err := open(rest, dir)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", scheme, err) // not the address: it may hold a PIN
	}
	return key, nil
}
