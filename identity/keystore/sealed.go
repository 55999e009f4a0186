package keystore

import (
	"encoding/asn1"
	"errors"
)

// sealedType is the PEM type of a key file that a TPM made, as the TPM 2.0
// engine and provider of OpenSSL have it ("ASN.1 Specification for TPM 2.0 Key
// Files").
const sealedType = "TSS2 PRIVATE KEY"

// oidLoadable is the kind of key that TPM2_Load takes.
var oidLoadable = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}

// ownerHierarchy as parent means: under the primary key of the standard ECC
// template in the owner hierarchy, which the TPM works out anew each time.
const ownerHierarchy = 0x40000001

type sealedKey struct {
	Type      asn1.ObjectIdentifier
	EmptyAuth bool `asn1:"optional,explicit,tag:0"`
	Parent    int64
	Public    []byte // TPM2B_PUBLIC
	Private   []byte // TPM2B_PRIVATE: encrypted by the parent
}

func encodeSealed(public, private []byte) ([]byte, error) {
	return asn1.Marshal(sealedKey{oidLoadable, true, ownerHierarchy, public, private})
}

func decodeSealed(der []byte) (public, private []byte, err error) {
	var k sealedKey
	rest, err := asn1.Unmarshal(der, &k)
	switch {
	case err != nil:
		return nil, nil, err
	case len(rest) > 0:
		return nil, nil, errors.New("bytes after the end of the key")
	case !k.Type.Equal(oidLoadable) || k.Parent != ownerHierarchy || !k.EmptyAuth:
		return nil, nil, errors.New("a TPM key of another kind than this program makes")
	}
	return k.Public, k.Private, nil
}
