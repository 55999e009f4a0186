package uplink

import (
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

// An identity is many files, and must be replaced as one. Each enrolment has a
// folder of its own in the identity folder:
//
//	gateway.json, client.pem, ..      of versions before 2026-11-22
//	enrolment-new/..                  on its way: not used yet
//	enrolment-2/gateway.json, ..      the first; enrolment-3 the next, and so on
//
// The one with the highest number is in use. A new one is made in
// enrolment-new, file by file, and comes into use by one rename; those before
// it are removed by the next start of the uplink. So whenever the program or
// the power ends, the old identity or the new one is there, whole.
//
// The keys on their way are kept until the directory has said yes or no, with
// the fingerprint of their code: where its answer is lost, the same code gets
// it again.
const (
	enrolmentPrefix = "enrolment-"
	enrolmentNew    = enrolmentPrefix + "new"
	codeFile        = "code" // in enrolment-new: SHA-256 of the code
)

// enrolments lists the numbers of the enrolments in an identity folder.
func enrolments(home string) (numbers []int, err error) {
	es, err := os.ReadDir(home)
	for _, e := range es {
		text, ok := strings.CutPrefix(e.Name(), enrolmentPrefix)
		if n, err := strconv.Atoi(text); ok && err == nil && n > 1 && strconv.Itoa(n) == text && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

func enrolmentDir(home string, n int) string {
	if n <= 1 {
		return home
	}
	return filepath.Join(home, fmt.Sprintf("%s%d", enrolmentPrefix, n))
}

// inUse gives the number of the enrolment in use and its folder.
func inUse(home string) (n int, dir string, err error) {
	numbers, err := enrolments(home)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	n = 1
	for _, m := range numbers {
		n = max(n, m)
	}
	return n, enrolmentDir(home, n), err
}

// replaced reports whether another enrolment is in use by now.
func (f *folder) replaced() bool {
	_, dir, err := inUse(f.home)
	return err == nil && dir != f.dir
}

// adoptEnrolment brings enrolment-new into use, in one step.
func adoptEnrolment(home string) error {
	n, _, err := inUse(home)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(home, enrolmentNew), enrolmentDir(home, n+1)); err != nil {
		return err
	}
	identity.SyncDir(home)
	return removed(filepath.Join(enrolmentDir(home, n+1), codeFile)) // of a code that is used up
}

// tidyEnrolments removes the enrolments before the one in use: nobody needs
// their keys.
func tidyEnrolments(home, keys string) error {
	in, _, err := inUse(home)
	if err != nil || in == 1 {
		return err
	}
	numbers, err := enrolments(home)
	errs := []error{err, forgetRenewals(home, keys, home)}
	for _, name := range []string{clientKeyFile, signingKeyFile} {
		errs = append(errs, keystore.Forget(filepath.Join(home, name), keys, home))
	}
	for _, name := range []string{gatewayFile, clientCertFile, signingCertFile, signingRootFile, serverCAFile, revokedFile} {
		errs = append(errs, removed(filepath.Join(home, name)))
	}
	for _, n := range numbers {
		if n < in {
			errs = append(errs, removeKeys(enrolmentDir(home, n), keys, home))
		}
	}
	return errors.Join(errs...)
}
