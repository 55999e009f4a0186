//go:build !windows

package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/perseus-edge/perseus-edge/identity"
)

// one lets this program ask the TPM one thing at a time: it has room for few.
var one sync.Mutex

// tpmPatience bounds how long a software TPM is waited for at its socket.
const tpmPatience = 30 * time.Second

// with opens the TPM for one piece of work.
func with(device string, work func(transport.TPM) error) error {
	one.Lock()
	defer one.Unlock()
	fi, err := os.Stat(device)
	if err != nil {
		return fmt.Errorf("there is no TPM at %s: %w", device, err)
	}
	var rw io.ReadWriteCloser
	if fi.Mode()&os.ModeSocket != 0 {
		conn, err := net.DialTimeout("unix", device, tpmPatience)
		if err != nil {
			return fmt.Errorf("TPM: %w", err)
		}
		conn.SetDeadline(time.Now().Add(tpmPatience))
		rw = conn
	} else if rw, err = os.OpenFile(device, os.O_RDWR, 0); errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("this account may not use the TPM: put it into the group that owns %s (often tss): %w", device, err)
	} else if err != nil {
		return fmt.Errorf("TPM: %w", err)
	}
	t := transport.FromReadWriteCloser(rw)
	defer t.Close()
	return work(t)
}

// parentTemplate is the P-256 storage key that key files of type "TSS2 PRIVATE
// KEY" are sealed under: as the TCG has it, but with an empty unique field.
var parentTemplate = func() tpm2.TPMTPublic {
	t := tpm2.ECCSRKTemplate
	t.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return t
}()

// underParent derives the storage key that the gateway's keys are sealed under.
func underParent(t transport.TPM, work func(parent tpm2.NamedHandle) error) error {
	p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(parentTemplate)}.Execute(t)
	if err != nil {
		return fmt.Errorf("TPM: its storage key: %w (is the owner hierarchy protected by a password?)", err)
	}
	defer tpm2.FlushContext{FlushHandle: p.ObjectHandle}.Execute(t)
	return work(tpm2.NamedHandle{Handle: p.ObjectHandle, Name: p.Name})
}

// signingTemplate is a P-256 key that signs SHA-256 digests, never leaves the
// TPM, and needs no password: it is bound to the machine, not to a person.
var signingTemplate = tpm2.TPMTPublic{
	Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
	ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
	Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
		Scheme:  tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})},
		CurveID: tpm2.TPMECCNistP256,
	}),
}

// makeTPM makes a key in the TPM and keeps it, sealed, in a file.
func makeTPM(device, path string) (crypto.Signer, error) {
	k, err := newTPMKey(device)
	if err != nil {
		return nil, err
	}
	der, err := encodeSealed(tpm2.Marshal(k.public), tpm2.Marshal(k.private))
	if err != nil {
		return nil, err
	}
	k.path = path
	return k, identity.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: der}), 0o600)
}

// tryTPM makes a key, uses it, and forgets it.
func tryTPM(device string) error {
	k, err := newTPMKey(device)
	if err != nil {
		return err
	}
	return Check(k)
}

func newTPMKey(device string) (*tpmKey, error) {
	k := &tpmKey{device: device}
	err := with(device, func(t transport.TPM) error {
		return underParent(t, func(parent tpm2.NamedHandle) error {
			c, err := tpm2.Create{ParentHandle: parent, InPublic: tpm2.New2B(signingTemplate)}.Execute(t)
			if err != nil {
				return fmt.Errorf("TPM: making a key: %w", err)
			}
			k.public, k.private = c.OutPublic, c.OutPrivate
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	k.key, err = publicOf(k.public)
	return k, err
}

func readTPM(device, path string, der []byte) (crypto.Signer, error) {
	public, private, err := decodeSealed(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k := &tpmKey{device: device, path: path}
	pub, err := tpm2.Unmarshal[tpm2.TPM2BPublic](public)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	priv, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](private)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	k.public, k.private = *pub, *priv
	if k.key, err = publicOf(k.public); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// publicOf reads the point of a key's public area.
func publicOf(b tpm2.TPM2BPublic) (*ecdsa.PublicKey, error) {
	p, err := b.Contents()
	if err != nil {
		return nil, err
	}
	parms, err := p.Parameters.ECCDetail()
	if err != nil || parms.CurveID != tpm2.TPMECCNistP256 {
		return nil, errors.New("not a TPM key on P-256")
	}
	at, err := p.Unique.ECC()
	if err != nil {
		return nil, err
	}
	point := make([]byte, 65) // uncompressed (SEC 1, 2.3.3)
	point[0] = 4
	if len(at.X.Buffer) > 32 || len(at.Y.Buffer) > 32 {
		return nil, errors.New("not a point of P-256")
	}
	copy(point[33-len(at.X.Buffer):33], at.X.Buffer)
	copy(point[65-len(at.Y.Buffer):], at.Y.Buffer)
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

// tpmKey is a key that a TPM has sealed.
type tpmKey struct {
	device, path string
	public       tpm2.TPM2BPublic
	private      tpm2.TPM2BPrivate
	key          *ecdsa.PublicKey
}

func (k *tpmKey) Public() crypto.PublicKey { return k.key }

// Sign signs a SHA-256 digest, in the form of ASN.1.
func (k *tpmKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, fmt.Errorf("a key in the TPM signs SHA-256 digests only, not %s", opts.HashFunc())
	}
	var out []byte
	err := with(k.device, func(t transport.TPM) error {
		return underParent(t, func(parent tpm2.NamedHandle) error {
			l, err := tpm2.Load{ParentHandle: parent, InPrivate: k.private, InPublic: k.public}.Execute(t)
			if err != nil {
				return fmt.Errorf("the key %s belongs to another TPM, or the TPM was cleared: enrol this gateway again with a new code: %w", k.path, err)
			}
			defer tpm2.FlushContext{FlushHandle: l.ObjectHandle}.Execute(t)
			s, err := tpm2.Sign{
				KeyHandle: tpm2.NamedHandle{Handle: l.ObjectHandle, Name: l.Name}, Digest: tpm2.TPM2BDigest{Buffer: digest},
				InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})},
				Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
			}.Execute(t)
			if err != nil {
				return fmt.Errorf("TPM: signing: %w", err)
			}
			sig, err := s.Signature.Signature.ECDSA()
			if err != nil {
				return err
			}
			out, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig.SignatureR.Buffer), new(big.Int).SetBytes(sig.SignatureS.Buffer)})
			return err
		})
	})
	return out, err
}
