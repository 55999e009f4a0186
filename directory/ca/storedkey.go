package ca

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// storedKey is a key in a TPM or a token. What package keystore says of one that
// cannot be used is about a gateway's; this says it of an issuer's.
type storedKey struct {
	crypto.Signer
	path string
}

func (k *storedKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := k.Signer.Sign(random, digest, opts)
	u := new(keystore.Unusable)
	switch {
	case err == nil:
		return sig, nil
	case errors.Is(err, keystore.ErrLost):
		return nil, fmt.Errorf("the issuer's key that %s names is no longer in its token, which was initialised anew: where it is lost, make a new one (move that file away) and hold a ceremony", k.path)
	case errors.As(err, &u):
		return nil, fmt.Errorf("the issuer's key that %s names cannot be used: %w", k.path, u.Err)
	}
	return nil, err
}
