package directory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Hierarchy names one of the three certificate hierarchies.
type Hierarchy string

// The hierarchies. They share no key: a client certificate can never pass for
// a signature's or a server's.
const (
	Client  Hierarchy = "client"
	Signing Hierarchy = "signing"
	Server  Hierarchy = "server"
)

// Hierarchies lists the three.
var Hierarchies = []Hierarchy{Client, Signing, Server}

// Authority is one hierarchy: a root that others trust, the issuer below it,
// and the issuer's key. The root's key is not here: it is offline.
type Authority struct {
	Hierarchy Hierarchy
	Root      *x509.Certificate
	Issuer    *x509.Certificate
	key       crypto.Signer
}

// Pool holds the root alone, as a verifier trusts it.
func (a *Authority) Pool() *x509.CertPool { return identity.Pool(a.Root) }

// NewAuthority joins certificates and the issuer's key, which may live in a
// file, a token or a key service. It fails when they do not belong together.
func NewAuthority(h Hierarchy, root, issuer *x509.Certificate, key crypto.Signer) (*Authority, error) {
	pub, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok || !pub.Equal(key.Public()) {
		return nil, fmt.Errorf("%s issuer: the key does not belong to the certificate", h)
	}
	if err := issuer.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("%s issuer: not signed by the root beside it: %w", h, err)
	}
	if !issuer.IsCA || issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, fmt.Errorf("%s issuer: not a certificate authority that may sign certificates and revocation lists", h)
	}
	return &Authority{Hierarchy: h, Root: root, Issuer: issuer, key: key}, nil
}

// Authorities are the three hierarchies of a directory.
type Authorities struct {
	Client, Signing, Server *Authority
}

// Of returns one hierarchy; nil when there is none of that name.
func (a *Authorities) Of(h Hierarchy) *Authority {
	switch h {
	case Client:
		return a.Client
	case Signing:
		return a.Signing
	case Server:
		return a.Server
	}
	return nil
}

// Files of a folder of authorities: <hierarchy>/root.pem, issuer.pem and
// issuer.key, and offline/<hierarchy>-root.key. The folder offline is meant to
// be moved to a safe at once: nothing here reads it again.
const (
	rootFile   = "root.pem"
	issuerFile = "issuer.pem"
	keyFile    = "issuer.key"
	offlineDir = "offline"
)

// CreateAuthorities makes the three hierarchies in the folder dir, which must
// not exist or be empty, and loads them. Roots are P-384 and last 25 years,
// issuers are P-256 and last ten. organisation is the trust framework's name;
// it is part of every authority's name and at most 48 characters long.
// The folder appears complete or not at all.
func CreateAuthorities(dir, organisation string, now time.Time) (*Authorities, error) {
	if err := checkText("organisation", organisation, 48); err != nil {
		return nil, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("create authorities: %s is not an empty folder: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp) // after the rename: no effect
	if err := os.Mkdir(filepath.Join(tmp, offlineDir), 0o700); err != nil {
		return nil, err
	}
	for _, h := range Hierarchies {
		if err := createAuthority(tmp, h, organisation, now); err != nil {
			return nil, fmt.Errorf("create %s authority: %w", h, err)
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return LoadAuthorities(dir)
}

func createAuthority(dir string, h Hierarchy, organisation string, now time.Time) error {
	rootKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	issuerKey, err := identity.NewKey()
	if err != nil {
		return err
	}
	t := rootTemplate(h, organisation, now)
	root, err := sign(t, t, &rootKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	issuer, err := sign(issuerTemplate(h, organisation, now), root, &issuerKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	sub := filepath.Join(dir, string(h))
	if err := os.Mkdir(sub, 0o700); err != nil {
		return err
	}
	return errors.Join(
		identity.WriteKey(filepath.Join(dir, offlineDir, string(h)+"-root.key"), rootKey),
		identity.WriteKey(filepath.Join(sub, keyFile), issuerKey),
		identity.WriteFile(filepath.Join(sub, rootFile), identity.EncodeCertificates(root), 0o644),
		identity.WriteFile(filepath.Join(sub, issuerFile), identity.EncodeCertificates(issuer), 0o644),
	)
}

// LoadAuthorities reads the hierarchies that CreateAuthorities made. The
// folder offline may be gone.
func LoadAuthorities(dir string) (*Authorities, error) {
	var a Authorities
	for _, x := range []struct {
		h   Hierarchy
		dst **Authority
	}{{Client, &a.Client}, {Signing, &a.Signing}, {Server, &a.Server}} {
		sub := filepath.Join(dir, string(x.h))
		root, err := identity.ReadCertificates(filepath.Join(sub, rootFile))
		if err != nil {
			return nil, err
		}
		issuer, err := identity.ReadCertificates(filepath.Join(sub, issuerFile))
		if err != nil {
			return nil, err
		}
		key, err := identity.ReadKey(filepath.Join(sub, keyFile))
		if err != nil {
			return nil, err
		}
		if *x.dst, err = NewAuthority(x.h, root[0], issuer[0], key); err != nil {
			return nil, fmt.Errorf("%s: %w", sub, err)
		}
	}
	return &a, nil
}
