// Package ca is the certificate authority: three hierarchies (client, signing, server),
// their keys, the profiles of their certificates, revocation lists and OCSP answers, and
// the ceremony at which their roots are made and used. It knows neither database nor
// HTTP nor accounts: who may have which certificate is package directory's matter.
//
// It follows IB1's member-identity-digital-certificates 1.0.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/form"
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
	RootCRL   *x509.RevocationList // issuers that the root has revoked, signed by the root; nil: the authorities were made before there were such lists
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

// Files of a folder of authorities: <hierarchy>/root.pem, root.crl, issuer.pem
// and issuer.key, and offline/<hierarchy>-root.key. The folder offline is meant
// to be moved to a safe at once, or never to be on this machine: nothing that
// serves reads it.
const (
	rootFile    = "root.pem"
	rootCRLFile = "root.crl"
	issuerFile  = "issuer.pem"
	keyFile     = "issuer.key"
	requestFile = "issuer.csr"
	offlineDir  = "offline"
)

// CreateAuthorities makes the three hierarchies in the folder dir, which must
// not exist or be empty, and loads them: roots and issuers on one machine, for
// a first try and for sandboxes. A trust framework keeps its roots elsewhere:
// see Ceremony. organisation is the trust framework's name; it is part of every
// authority's name and at most 48 characters long. statusURL is where the
// revocation lists will be (Config.StatusURL); empty: the authorities name none.
// The folder appears complete or not at all.
func CreateAuthorities(dir, organisation string, now time.Time, statusURL ...string) (*Authorities, error) {
	if err := form.Text("organisation", organisation, 48); err != nil {
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
	if err := RequestIssuers(tmp); err != nil {
		return nil, fmt.Errorf("create authorities: %w", err)
	}
	c := Ceremony{Organisation: organisation, Offline: filepath.Join(tmp, offlineDir), Requests: tmp, Out: tmp, Now: now}
	if len(statusURL) > 0 {
		c.StatusURL = statusURL[0]
	}
	if _, err := c.Hold(); err != nil {
		return nil, fmt.Errorf("create authorities: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return LoadAuthorities(dir)
}

// LoadAuthorities reads the hierarchies of a folder. The roots' keys are not
// needed, and not looked for.
func LoadAuthorities(dir string) (*Authorities, error) { return OpenAuthorities(dir, nil) }

// OpenAuthorities is LoadAuthorities with issuers' keys that may be elsewhere:
// keys has their addresses (see OpenKey); a hierarchy that is not in it has its
// key in the folder.
func OpenAuthorities(dir string, keys map[Hierarchy]string) (*Authorities, error) {
	var a Authorities
	for _, x := range []struct {
		h   Hierarchy
		dst **Authority
	}{{Client, &a.Client}, {Signing, &a.Signing}, {Server, &a.Server}} {
		key, err := OpenKey(IssuerKey(keys, x.h), dir)
		if err != nil {
			return nil, fmt.Errorf("%s issuer: %w", x.h, err)
		}
		if *x.dst, err = readAuthority(filepath.Join(dir, string(x.h)), x.h, key); err != nil {
			return nil, err
		}
	}
	return &a, nil
}

// readAuthority reads what of an authority is public, and joins it with its
// key.
func readAuthority(dir string, h Hierarchy, key crypto.Signer) (*Authority, error) {
	root, err := identity.ReadCertificates(filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	issuer, err := identity.ReadCertificates(filepath.Join(dir, issuerFile))
	if err != nil {
		return nil, err
	}
	a, err := NewAuthority(h, root[0], issuer[0], key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	path := filepath.Join(dir, rootCRLFile)
	der, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	} else if err != nil {
		return nil, err
	}
	if a.RootCRL, err = x509.ParseRevocationList(der); err == nil {
		err = a.RootCRL.CheckSignatureFrom(a.Root)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not a revocation list of the root beside it: %w", path, err)
	}
	for _, e := range a.RootCRL.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(a.Issuer.SerialNumber) == 0 {
			return nil, fmt.Errorf("%s: the root has revoked the issuer beside it: hold a ceremony for a new one", dir)
		}
	}
	return a, nil
}

// RootKeysHere reports whether the folder of roots' keys is still beside the
// authorities.
func RootKeysHere(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, offlineDir, "*.key"))
	return len(found) > 0
}
