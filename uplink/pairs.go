package uplink

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// kind is what a certificate is for. It is also the name of its files and the
// label of its renewal in EST.
type kind string

const (
	clientKind  kind = "client"
	signingKind kind = "signing"
)

var kinds = []kind{clientKind, signingKind}

// A certificate and its key are a pair, and must be replaced as one. Those of
// the enrolment stand in its folder itself; each renewed pair has a folder of
// its own there:
//
//	client.pem, client.key                        from the enrolment
//	client-new/client.key, client-new/client.pem  on its way: not used yet
//	client-2/client.pem, client-2/client.key      renewed once
//
// The pair with the highest number is the one in use. A new one is made in
// client-new, file by file, and comes into use by one rename of its folder,
// after it has worked; only then those before it are removed. So a power cut
// leaves the old pair or the new one, whole, at any moment.
const newFolder = "-new"

// pair is a certificate, with its chain, and its key.
type pair struct {
	dir   string
	chain []*x509.Certificate // leaf first
	key   crypto.Signer
}

func (p *pair) leaf() *x509.Certificate { return p.chain[0] }

func (p *pair) tls() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: p.key, Leaf: p.chain[0]}
	for _, x := range p.chain {
		c.Certificate = append(c.Certificate, x.Raw)
	}
	return c
}

// current loads the pair in use.
func (f *folder) current(k kind) (*pair, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, dir, err := f.newest(k)
	if err != nil {
		return nil, err
	}
	return f.load(k, dir)
}

// waiting loads the pair that is to come into use; nil where there is none, or
// its certificate has not come yet.
func (f *folder) waiting(k kind) (*pair, error) {
	dir := f.path(string(k) + newFolder)
	if _, err := os.Stat(filepath.Join(dir, string(k)+".pem")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f.load(k, dir)
}

func (f *folder) load(k kind, dir string) (*pair, error) {
	path := filepath.Join(dir, string(k)+".pem")
	chain, err := identity.ReadCertificates(path)
	if err != nil {
		return nil, fmt.Errorf("%s certificate: %w", k, err)
	}
	key, err := keystore.Read(filepath.Join(dir, string(k)+".key"), f.keys, f.home)
	if err != nil {
		return nil, fmt.Errorf("%s certificate: %w", k, err)
	}
	if err := matches(chain[0], key, f.Gateway); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &pair{dir, chain, key}, nil
}

// newest gives the number and the folder of the pair in use.
func (f *folder) newest(k kind) (n int, dir string, err error) {
	numbers, err := renewals(f.dir, k)
	n, dir = 1, f.dir
	for _, m := range numbers {
		if m > n {
			n, dir = m, f.path(fmt.Sprintf("%s-%d", k, m))
		}
	}
	return n, dir, err
}

// renewals lists the numbers of the renewed pairs of an enrolment.
func renewals(dir string, k kind) (numbers []int, err error) {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		text, ok := strings.CutPrefix(e.Name(), string(k)+"-")
		if n, err := strconv.Atoi(text); ok && err == nil && n > 1 && strconv.Itoa(n) == text && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// newKey gives the key of the pair on its way: the one of an earlier attempt,
// whose answer may have been lost, or one that is made and kept now.
func (f *folder) newKey(k kind) (crypto.Signer, error) {
	dir := f.path(string(k) + newFolder)
	path := filepath.Join(dir, string(k)+".key")
	if key, err := keystore.Read(path, f.keys, f.home); err == nil && keystore.Check(key) == nil {
		return key, nil
	}
	if err := privateFolder(dir); err != nil {
		return nil, err
	}
	store, err := keystore.Open(f.keys, f.home)
	if err != nil {
		return nil, err
	}
	return store.Make(path)
}

// keep puts the certificate beside the new key.
func (f *folder) keep(k kind, chain []*x509.Certificate) (*pair, error) {
	dir := f.path(string(k) + newFolder)
	if err := identity.WriteFile(filepath.Join(dir, string(k)+".pem"), identity.EncodeCertificates(chain...), 0o644); err != nil {
		return nil, err
	}
	return f.load(k, dir)
}

// discard gives up the pair on its way.
func (f *folder) discard(k kind) error {
	return f.drop(f.path(string(k) + newFolder))
}

func (f *folder) drop(dir string) error { return removeKeys(dir, f.keys, f.home) }

// removeKeys removes a folder with all in it. Keys that live in a token are
// destroyed there, now or when it is back (keystore.Forget).
func removeKeys(dir, keys, home string) error {
	var errs []error
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".key" {
			errs = append(errs, keystore.Forget(path, keys, home))
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// adopt brings the new pair into use, in one step.
func (f *folder) adopt(k kind) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, _, err := f.newest(k)
	if err != nil {
		return err
	}
	if err := os.Rename(f.path(string(k)+newFolder), f.path(fmt.Sprintf("%s-%d", k, n+1))); err != nil {
		return err
	}
	identity.SyncDir(f.dir)
	return nil
}

// tidy removes the pairs before the one in use, keys first: nobody needs them.
func (f *folder) tidy(k kind) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	in, _, err := f.newest(k)
	if err != nil || in == 1 {
		return err
	}
	numbers, err := renewals(f.dir, k)
	errs := []error{err, keystore.Forget(f.path(string(k)+".key"), f.keys, f.home), removed(f.path(string(k) + ".pem"))}
	for _, n := range numbers {
		if n < in {
			errs = append(errs, f.drop(f.path(fmt.Sprintf("%s-%d", k, n))))
		}
	}
	return errors.Join(errs...)
}

// forgetRenewals removes all renewed pairs of an enrolment.
func forgetRenewals(dir, keys, home string) error {
	for _, k := range kinds {
		numbers, err := renewals(dir, k)
		if err != nil {
			return err
		}
		if err := removeKeys(filepath.Join(dir, string(k)+newFolder), keys, home); err != nil {
			return err
		}
		for _, n := range numbers {
			if err := removeKeys(filepath.Join(dir, fmt.Sprintf("%s-%d", k, n)), keys, home); err != nil {
				return err
			}
		}
	}
	return nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// matches checks that a certificate is the gateway's and belongs to the key.
func matches(c *x509.Certificate, key crypto.Signer, gateway string) error {
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(c.PublicKey) {
		return errors.New("the certificate does not belong to the key beside it")
	}
	peer, err := identity.PeerOf(c)
	if err != nil {
		return err
	}
	if peer.Application != gateway {
		return fmt.Errorf("the certificate is for %s, this gateway is %s", peer.Application, gateway)
	}
	return nil
}
