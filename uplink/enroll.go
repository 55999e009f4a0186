package uplink

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// EnrollRequest is what it takes to enrol a gateway.
type EnrollRequest struct {
	Directory string            // base URL of the directory
	Code      string            // the one-time code, as a person typed it
	Dir       string            // identity folder; made if need be
	CAFile    string            // PEM of the authority of a private directory and relay; empty: the system's
	Force     bool              // replace a working identity
	Now       func() time.Time  // nil: time.Now
	HTTP      http.RoundTripper // nil: TLS that trusts CAFile
}

// ErrEnrolled is the cause when a working identity would be replaced.
var ErrEnrolled = errors.New("this gateway is enrolled already: to replace its identity, use --force and a new code")

const enrollTime = time.Minute

// newSuffix marks keys whose certificates are not there yet.
const newSuffix = ".new"

// Enroll makes the gateway's two keys, has the directory issue certificates
// for them against a one-time code, checks what came back, and fills the
// identity folder, gateway.json last. The keys never leave the folder.
//
// Until everything is checked an identity that was there before stays as it
// is; it is replaced only with Force (ErrEnrolled). An error says what to do;
// the code is used up only once the directory has accepted it.
func Enroll(ctx context.Context, r EnrollRequest) (e Enrolment, err error) {
	if r.Now == nil {
		r.Now = time.Now
	}
	directory, err := baseURL(r.Directory)
	if err != nil {
		return e, fmt.Errorf("directory: %w", err)
	}
	code, err := identity.ParseCode(r.Code)
	if err != nil {
		return e, err
	}
	if f, err := openFolder(r.Dir); err == nil && !r.Force && f.works(r.Now()) {
		return e, fmt.Errorf("%s: %w", r.Dir, ErrEnrolled)
	}
	var ca []byte
	if r.CAFile != "" {
		roots, err := identity.ReadCertificates(r.CAFile)
		if err != nil {
			return e, fmt.Errorf("authority file: %w", err)
		}
		ca = identity.EncodeCertificates(roots...)
		if r.HTTP == nil {
			r.HTTP = newTransport(identity.Pool(roots...), nil)
		}
	} else if r.HTTP == nil {
		r.HTTP = newTransport(nil, nil)
	}

	if err := privateFolder(r.Dir); err != nil {
		return e, err
	}
	// The keys are on the disk before the code is spent: a folder that cannot
	// be written costs no code.
	client, signing, err := newKeys(r.Dir)
	if err != nil {
		return e, fmt.Errorf("identity folder: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(filepath.Join(r.Dir, clientKeyFile+newSuffix))
			os.Remove(filepath.Join(r.Dir, signingKeyFile+newSuffix))
		}
	}()
	got, err := requestEnrolment(ctx, r, directory, code, client, signing)
	if err != nil {
		return e, err
	}
	e = Enrolment{Gateway: got.Gateway, Member: got.Member, Organisation: got.Organisation,
		Relay: got.Relay, Directory: directory, EnrolledAt: r.Now().UTC().Truncate(time.Second)}
	files, err := got.check(e, client, signing, r.Now())
	if err != nil {
		return e, fmt.Errorf("the directory's answer cannot be used, and the code is used up: %w", err)
	}
	return e, fill(r.Dir, e, files, ca)
}

// privateFolder makes the folder, readable by its owner alone.
func privateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("identity folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("identity folder: it must be readable by its owner alone: %w", err)
	}
	return nil
}

func newKeys(dir string) (client, signing *ecdsa.PrivateKey, err error) {
	for _, k := range []struct {
		key  **ecdsa.PrivateKey
		file string
	}{{&client, clientKeyFile}, {&signing, signingKeyFile}} {
		if *k.key, err = identity.NewKey(); err != nil {
			return nil, nil, err
		}
		if err = identity.WriteKey(filepath.Join(dir, k.file+newSuffix), *k.key); err != nil {
			return nil, nil, err
		}
	}
	return client, signing, nil
}

// enrolmentAnswer is what the directory answers.
type enrolmentAnswer struct {
	Gateway            string `json:"gateway"`
	Member             string `json:"member"`
	Organisation       string `json:"organisation"`
	Relay              string `json:"relay"`
	ClientCertificate  string `json:"client_certificate"`
	SigningCertificate string `json:"signing_certificate"`
	SigningRoots       string `json:"signing_roots"`
	ClientRoots        string `json:"client_roots"`
}

func requestEnrolment(ctx context.Context, r EnrollRequest, directory, code string, client, signing crypto.Signer) (*enrolmentAnswer, error) {
	clientCSR, err := identity.NewCSR(client, "gateway")
	if err != nil {
		return nil, err
	}
	signingCSR, err := identity.NewCSR(signing, "gateway")
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"code": code, "client_csr": string(clientCSR), "signing_csr": string(signingCSR)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTime)
	defer cancel()
	hc := &http.Client{Transport: r.HTTP,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := do(ctx, hc, http.MethodPost, directory+"/gateway/v1/enrollments",
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body, 8*identity.MaxPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", explain(err, "the directory "+directory, "", r.Now()), err)
	}
	if a.status != http.StatusCreated {
		no := a.refused(r.Now())
		switch {
		case no.code == "invalid_code":
			return nil, fmt.Errorf("the directory does not know this code: it may be mistyped, used already, or too old: make a new one in the directory: %w", no)
		case a.status == http.StatusTooManyRequests:
			return nil, fmt.Errorf("too many tries: wait some minutes, then try again: %w", no)
		case a.status >= 500:
			return nil, fmt.Errorf("the directory has a fault of its own; try again later, with a new code if this one is then refused: %w", no)
		}
		return nil, fmt.Errorf("the directory refused: check its address: %w", no)
	}
	var got enrolmentAnswer
	if err := json.Unmarshal(a.body, &got); err != nil {
		return nil, fmt.Errorf("the directory's answer cannot be read: is %s really a directory? %w", directory, err)
	}
	return &got, nil
}

// check makes sure that the certificates are for these keys and this gateway
// and chain to the roots beside them, and gives the files to write.
func (got *enrolmentAnswer) check(e Enrolment, client, signing crypto.Signer, now time.Time) (map[string][]byte, error) {
	if u, err := url.Parse(got.Gateway); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a gateway's URL", plain(got.Gateway, 100))
	}
	if _, err := baseURL(got.Relay); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	files := map[string][]byte{}
	for _, c := range []struct {
		what, bundle, roots, file string
		key                       crypto.Signer
		usage                     x509.ExtKeyUsage
	}{
		{"client certificate", got.ClientCertificate, got.ClientRoots, clientCertFile, client, x509.ExtKeyUsageClientAuth},
		{"signing certificate", got.SigningCertificate, got.SigningRoots, signingCertFile, signing, x509.ExtKeyUsageAny},
	} {
		chain, err := identity.ParseCertificates([]byte(c.bundle))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		roots, err := identity.ParseCertificates([]byte(c.roots))
		if err != nil {
			return nil, fmt.Errorf("roots of the %s: %w", c.what, err)
		}
		if err := matches(chain[0], c.key, e.Gateway); err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		if peer, _ := identity.PeerOf(chain[0]); peer.Member != e.Member {
			return nil, fmt.Errorf("%s: is for the member %s, not %s", c.what, plain(peer.Member, 100), plain(e.Member, 100))
		}
		_, err = chain[0].Verify(x509.VerifyOptions{Roots: identity.Pool(roots...), Intermediates: identity.Pool(chain[1:]...),
			CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{c.usage}})
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, fmt.Errorf("%s: is not valid at %s, which is what this computer's clock says: set the clock: %w", c.what, now.UTC().Format("2006-01-02 15:04 MST"), err)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
		files[c.file] = identity.EncodeCertificates(chain...)
		if c.file == signingCertFile {
			files[signingRootFile] = identity.EncodeCertificates(roots...)
		}
	}
	return files, nil
}

// fill puts everything in its place. gateway.json goes first and comes last,
// so that a folder that a power cut left half filled counts as not enrolled.
func fill(dir string, e Enrolment, files map[string][]byte, ca []byte) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := removed(at(gatewayFile)); err != nil {
		return err
	}
	if err := errors.Join(forgetRenewals(dir), removed(at(revokedFile))); err != nil {
		return err
	}
	for _, name := range []string{clientKeyFile, signingKeyFile} {
		if err := os.Rename(at(name+newSuffix), at(name)); err != nil {
			return err
		}
	}
	for _, name := range []string{clientCertFile, signingCertFile, signingRootFile} {
		if err := identity.WriteFile(at(name), files[name], 0o644); err != nil {
			return err
		}
	}
	if ca != nil {
		if err := identity.WriteFile(at(serverCAFile), ca, 0o644); err != nil {
			return err
		}
	} else if err := removed(at(serverCAFile)); err != nil {
		return err
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return identity.WriteFile(at(gatewayFile), append(b, '\n'), 0o644)
}
