package uplink

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

// EnrollRequest is what it takes to enrol a gateway.
type EnrollRequest struct {
	Directory string            // base URL of the directory; may be empty where Code is what the QR code holds
	Code      string            // the one-time code, as a person typed it, or what its QR code holds
	Dir       string            // identity folder; made if need be
	CAFile    string            // PEM of the authority of a private directory and relay; empty: what was given when Dir was enrolled there, or the system's
	Keys      string            // where the keys are made: auto (also empty), file, tpm or pkcs11 (keystore.Open)
	Force     bool              // replace a working identity
	Other     bool              // become another gateway than this one has been
	Now       func() time.Time  // nil: time.Now
	HTTP      http.RoundTripper // nil: TLS that trusts CAFile
}

// ErrEnrolled is the cause when a working identity would be replaced.
var ErrEnrolled = errors.New("this gateway is enrolled already: to replace its identity, use --force and a new code")

// errOther is the cause when a device would become another gateway by a slip:
// what was measured at one business must not go out as another's.
var errOther = errors.New("check that this is the right device; to make it another gateway, use perseus-agent enroll --other-gateway")

const enrollTime = time.Minute

// Enroll makes the gateway's two keys, has the directory issue certificates
// for them against a one-time code, checks what came back, and brings the new
// identity into use in one step. The keys never leave the machine.
//
// Until then an identity that was there before stays as it is. One that works
// is replaced only with Force (ErrEnrolled); a code that is another gateway's
// than this one has been is refused, unused, without Other. An error says what
// to do. The code is used up only once the directory has accepted it, and where
// its answer is lost, Enroll with the same code gets it again.
func Enroll(ctx context.Context, r EnrollRequest) (e Enrolment, err error) {
	if r.Now == nil {
		r.Now = time.Now
	}
	if directory, code, ok := identity.ParseEnrolLink(r.Code); ok {
		r.Code = code
		if r.Directory == "" {
			r.Directory = directory
		}
	}
	if r.Directory == "" {
		return e, errors.New("the directory's address is missing: give it as it stands beside the code, or the whole address that the code's QR code holds")
	}
	directory, err := baseURL(r.Directory)
	if err != nil {
		return e, fmt.Errorf("directory: %w", err)
	}
	code, err := identity.ParseEnrolCode(r.Code)
	if err != nil {
		return e, err
	}
	as := ""
	if present, dir, err := readEnrolment(r.Dir); err == nil {
		if !r.Other {
			as = present.Gateway
		}
		// Whoever comes back to the same private directory has named its
		// authority before; the gateway's page has no field for that.
		if kept := filepath.Join(dir, serverCAFile); r.CAFile == "" && present.Directory == directory && exists(kept) {
			r.CAFile = kept
		}
	}
	if f, err := openFolder(r.Dir, r.Keys); err == nil && !r.Force && f.works(r.Now()) {
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
	dir := filepath.Join(r.Dir, enrolmentNew)
	client, signing, err := newKeys(dir, r.Keys, r.Dir, code)
	if err != nil {
		return e, fmt.Errorf("identity folder: %w", err)
	}
	got, lost, err := requestEnrolment(ctx, r, directory, code, as, client, signing)
	if lost { // the code may be spent: it is good for these keys
		return e, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeKeys(dir, r.Keys, r.Dir))
		}
	}()
	if err != nil {
		return e, err
	}
	e = Enrolment{Gateway: got.Gateway, Member: got.Member, Organisation: got.Organisation,
		Relay: got.Relay, Directory: directory, EnrolledAt: r.Now().UTC().Truncate(time.Second)}
	files, err := got.check(e, client, signing, r.Now())
	if err == nil && as != "" && got.Gateway != as {
		err = fmt.Errorf("the code is for %s, this device is %s: %w", plain(got.Gateway, 100), as, errOther)
	}
	if err != nil {
		return e, fmt.Errorf("the directory's answer cannot be used, and the code is used up: %w", err)
	}
	if err := fill(dir, e, files, ca); err != nil {
		return e, err
	}
	return e, adoptEnrolment(r.Dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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

// newKeys gives the two keys on their way: those of an earlier attempt with the
// same code, or two that are made and kept now.
func newKeys(dir, kind, home, code string) (client, signing crypto.Signer, err error) {
	sum := sha256.Sum256([]byte(code))
	mark := hex.EncodeToString(sum[:])
	at := func(name string) string { return filepath.Join(dir, name) }
	if b, err := os.ReadFile(at(codeFile)); err == nil && string(b) == mark {
		client, err1 := keystore.Read(at(clientKeyFile), kind, home)
		signing, err2 := keystore.Read(at(signingKeyFile), kind, home)
		if err1 == nil && err2 == nil && keystore.Check(client) == nil && keystore.Check(signing) == nil {
			return client, signing, nil
		}
	}
	store, err := keystore.Open(kind, home) // before the keys of an earlier attempt go
	if err != nil {
		return nil, nil, err
	}
	if err := removeKeys(dir, kind, home); err != nil {
		return nil, nil, err
	}
	if err := privateFolder(dir); err != nil {
		return nil, nil, err
	}
	if client, err = store.Make(at(clientKeyFile)); err != nil {
		return nil, nil, err
	}
	if signing, err = store.Make(at(signingKeyFile)); err != nil {
		return nil, nil, err
	}
	return client, signing, identity.WriteFile(at(codeFile), []byte(mark), 0o600)
}

// fill puts everything into the folder of an enrolment on its way.
func fill(dir string, e Enrolment, files map[string][]byte, ca []byte) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	if ca != nil {
		files[serverCAFile] = ca
	}
	for name, b := range files {
		if err := identity.WriteFile(at(name), b, 0o644); err != nil {
			return err
		}
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return identity.WriteFile(at(gatewayFile), append(b, '\n'), 0o644)
}
