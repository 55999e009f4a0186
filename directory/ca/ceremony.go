package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

// RootCRLLife is how long a root's list of revoked issuers holds: the CA/Browser
// Forum's baseline requirements (4.9.7) allow twelve months. So the roots are
// taken out once a year.
const RootCRLLife = 365 * 24 * time.Hour

// RequestIssuers makes the issuers' keys in the folder of authorities dir, where
// there are none, and a certificate request for each, <hierarchy>/issuer.csr.
// The requests go to the ceremony; the keys stay.
func RequestIssuers(dir string) error {
	for _, h := range Hierarchies {
		key, _, err := EnsureKey(IssuerKey(nil, h), dir)
		if err != nil {
			return err
		}
		if err := RequestIssuer(dir, h, key); err != nil {
			return err
		}
	}
	return nil
}

// RequestIssuer writes the certificate request of one issuer, whose key may be
// anywhere.
func RequestIssuer(dir string, h Hierarchy, key crypto.Signer) error {
	csr, err := identity.NewCSR(key, titles[h]+" Issuer")
	if err != nil {
		return err
	}
	sub := filepath.Join(dir, string(h))
	if err := os.MkdirAll(sub, 0o700); err != nil {
		return err
	}
	return identity.WriteFile(filepath.Join(sub, requestFile), csr, 0o644)
}

// Ceremony is the occasion on which roots are made and used, on a machine
// without a network. It makes the roots that are not in Offline yet, signs a
// certificate for each issuer's request, and a list of the issuers that each
// root has revoked. The same ceremony again renews: the roots stay, the issuers
// and the lists are signed anew.
type Ceremony struct {
	Organisation string              // the trust framework's name, at most 48 characters
	StatusURL    string              // where revocation lists and roots' certificates will be (Config.StatusURL); empty: not named
	Offline      string              // folder of the roots' keys, on a medium that is taken out
	Requests     string              // folder with <hierarchy>/issuer.csr; empty: no issuers, the lists alone
	Out          string              // folder for what is public: <hierarchy>/root.pem, root.crl, issuer.pem
	Revoke       []*x509.Certificate // issuers to be revoked for good
	Now          time.Time
}

// Step is one thing that a ceremony did.
type Step struct {
	Hierarchy   Hierarchy
	What        string // such as "made the root"
	Certificate *x509.Certificate
	CRL         *x509.RevocationList
}

// rootRecord is what the medium knows of a root besides its key.
type rootRecord struct {
	Root      string      `json:"root"` // PEM
	CRLNumber int64       `json:"crlNumber"`
	Issued    []rootIssue `json:"issued"`
}

type rootIssue struct {
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"notAfter"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// Hold does all of it, and says what it did. Nothing is signed when a request
// or an issuer to be revoked is wrong.
func (c Ceremony) Hold() ([]Step, error) {
	if err := form.Text("organisation", c.Organisation, 48); err != nil {
		return nil, err
	}
	if c.StatusURL != "" {
		if _, err := form.BaseURL(c.StatusURL); err != nil {
			return nil, fmt.Errorf("status URL: %w", err)
		}
		c.StatusURL = strings.TrimRight(c.StatusURL, "/")
	}
	requests := map[Hierarchy]crypto.PublicKey{}
	if c.Requests != "" {
		for _, h := range Hierarchies {
			path := filepath.Join(c.Requests, string(h), requestFile)
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if requests[h], err = RequestKey(b); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		for i, h := range Hierarchies {
			for _, other := range Hierarchies[:i] {
				if requests[h].(*ecdsa.PublicKey).Equal(requests[other]) {
					return nil, fmt.Errorf("the requests of the %s and the %s issuer have one key: each needs its own", other, h)
				}
			}
		}
	}
	if err := os.MkdirAll(c.Offline, 0o700); err != nil {
		return nil, err
	}
	var steps []Step
	var roots []*openRoot
	for _, h := range Hierarchies {
		r, made, err := c.openRoot(h)
		if err != nil {
			return nil, fmt.Errorf("%s root: %w", h, err)
		}
		what := "used the root"
		if made {
			what = "made the root"
		}
		steps = append(steps, Step{Hierarchy: h, What: what, Certificate: r.cert})
		roots = append(roots, r)
	}
	for _, gone := range c.Revoke {
		i := slices.IndexFunc(roots, func(r *openRoot) bool { return gone.CheckSignatureFrom(r.cert) == nil })
		if i < 0 {
			return nil, fmt.Errorf("issuer %s (serial %s): none of these roots signed it, so none can revoke it", gone.Subject, gone.SerialNumber)
		}
		roots[i].revoke(gone, c.Now)
		steps = append(steps, Step{Hierarchy: roots[i].h, What: "revoked the issuer", Certificate: gone})
	}
	for _, r := range roots {
		more, err := c.sign(r, requests[r.h])
		if err != nil {
			return nil, fmt.Errorf("%s root: %w", r.h, err)
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// openRoot is a root whose key is at hand.
type openRoot struct {
	h      Hierarchy
	cert   *x509.Certificate
	key    crypto.Signer
	record rootRecord
}

func (c Ceremony) openRoot(h Hierarchy) (r *openRoot, made bool, err error) {
	keyPath, recordPath := c.rootPaths(h)
	r = &openRoot{h: h}
	b, err := os.ReadFile(recordPath)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &r.record); err != nil {
			return nil, false, fmt.Errorf("%s: %w", recordPath, err)
		}
		cs, err := identity.ParseCertificates([]byte(r.record.Root))
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", recordPath, err)
		}
		r.cert = cs[0]
		if r.key, err = identity.ReadKey(keyPath); err != nil {
			return nil, false, err
		}
		if !r.cert.PublicKey.(*ecdsa.PublicKey).Equal(r.key.Public()) {
			return nil, false, fmt.Errorf("%s does not belong to the root in %s", keyPath, recordPath)
		}
		if c.Now.Before(r.cert.NotBefore) || c.Now.After(r.cert.NotAfter) {
			return nil, false, fmt.Errorf("the root is valid from %s to %s, and it is %s by this machine's clock", r.cert.NotBefore.Format(time.DateOnly), r.cert.NotAfter.Format(time.DateOnly), c.Now.Format(time.DateOnly))
		}
		return r, false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	}
	if _, err := os.Stat(keyPath); err == nil {
		return nil, false, fmt.Errorf("%s is there without %s: it is not overwritten. Use an empty medium, or the one of the last ceremony", keyPath, filepath.Base(recordPath))
	}
	key, err := newkey.Make(elliptic.P384())
	if err != nil {
		return nil, false, err
	}
	t := rootTemplate(h, c.Organisation, c.Now)
	if r.cert, err = sign(t, t, &key.PublicKey, key); err != nil {
		return nil, false, err
	}
	r.key = key
	r.record.Root = string(identity.EncodeCertificates(r.cert))
	return r, true, errors.Join(identity.WriteKey(keyPath, key), c.keepRecord(r))
}

func (c Ceremony) rootPaths(h Hierarchy) (key, record string) {
	return filepath.Join(c.Offline, string(h)+"-root.key"), filepath.Join(c.Offline, string(h)+"-root.json")
}

func (c Ceremony) keepRecord(r *openRoot) error {
	b, err := json.MarshalIndent(r.record, "", "  ")
	if err != nil {
		return err
	}
	_, path := c.rootPaths(r.h)
	return identity.WriteFile(path, append(b, '\n'), 0o600)
}

func (r *openRoot) revoke(gone *x509.Certificate, now time.Time) {
	serial := gone.SerialNumber.String()
	i := slices.IndexFunc(r.record.Issued, func(x rootIssue) bool { return x.Serial == serial })
	if i < 0 { // signed by this root, but on a medium that was lost
		i = len(r.record.Issued)
		r.record.Issued = append(r.record.Issued, rootIssue{Serial: serial, NotAfter: gone.NotAfter})
	}
	if r.record.Issued[i].Revoked.IsZero() {
		r.record.Issued[i].Revoked = now.UTC().Truncate(time.Second)
	}
}

// sign signs the issuer's certificate, unless there is no request, and the
// root's list, and writes what is public. What the medium must remember is on it
// before anything leaves.
func (c Ceremony) sign(r *openRoot, request crypto.PublicKey) (steps []Step, err error) {
	var issuer *x509.Certificate
	if request != nil {
		t := issuerTemplate(r.h, c.Organisation, c.Now)
		if c.StatusURL != "" {
			t.CRLDistributionPoints = []string{c.StatusURL + "/crl/" + string(r.h) + "-root.crl"}
			t.IssuingCertificateURL = []string{c.StatusURL + "/ca/" + string(r.h) + "-root.cer"}
		}
		if issuer, err = sign(t, r.cert, request, r.key); err != nil {
			return nil, err
		}
		r.record.Issued = append(r.record.Issued, rootIssue{Serial: issuer.SerialNumber.String(), NotAfter: issuer.NotAfter})
		steps = append(steps, Step{Hierarchy: r.h, What: "signed the issuer", Certificate: issuer})
	}
	r.record.CRLNumber++
	var revoked []x509.RevocationListEntry
	for _, x := range r.record.Issued {
		n, ok := new(big.Int).SetString(x.Serial, 10)
		if !ok {
			return nil, fmt.Errorf("serial %q on the medium is not a number", x.Serial)
		}
		if !x.Revoked.IsZero() && (r.h == Signing || c.Now.Before(x.NotAfter.Add(CRLKeep))) {
			revoked = append(revoked, x509.RevocationListEntry{SerialNumber: n, RevocationTime: x.Revoked})
		}
	}
	at := c.Now.UTC().Truncate(time.Second)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(r.record.CRLNumber), ThisUpdate: at, NextUpdate: at.Add(RootCRLLife),
		RevokedCertificateEntries: revoked}, r.cert, r.key)
	if err != nil {
		return nil, err
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	steps = append(steps, Step{Hierarchy: r.h, What: "signed the list of revoked issuers", CRL: crl})
	if err := c.keepRecord(r); err != nil {
		return nil, err
	}
	sub := filepath.Join(c.Out, string(r.h))
	if err := os.MkdirAll(sub, 0o700); err != nil {
		return nil, err
	}
	err = errors.Join(identity.WriteFile(filepath.Join(sub, rootFile), identity.EncodeCertificates(r.cert), 0o644),
		identity.WriteFile(filepath.Join(sub, rootCRLFile), der, 0o644))
	if issuer != nil {
		err = errors.Join(err, identity.WriteFile(filepath.Join(sub, issuerFile), identity.EncodeCertificates(issuer), 0o644))
	}
	return steps, err
}
