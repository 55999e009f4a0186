package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/identity"
)

// InstallAuthorities puts the results of a ceremony, the folder from, into the
// folder of authorities dir, and returns the files that it wrote. Everything is
// checked first: that each issuer belongs to its key here (keys as in
// OpenAuthorities), and that the roots are the ones that were here before, if
// there were any: others trust those.
func InstallAuthorities(dir, from string, keys map[Hierarchy]string) ([]string, error) {
	type file struct {
		path string
		data []byte
	}
	var files []file
	check, err := os.MkdirTemp("", "perseus-authorities.*") // mode 0700; public files only
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(check)
	for _, h := range Hierarchies {
		tmp := filepath.Join(check, string(h))
		if err := os.Mkdir(tmp, 0o700); err != nil {
			return nil, err
		}
		for _, name := range []string{rootFile, issuerFile, rootCRLFile} {
			to := filepath.Join(dir, string(h), name)
			was, err := os.ReadFile(to)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			is, err := os.ReadFile(filepath.Join(from, string(h), name))
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == issuerFile && was != nil:
				is = was // the ceremony was for the lists alone
			case err != nil:
				return nil, err
			case name == rootFile && was != nil && string(was) != string(is):
				return nil, fmt.Errorf("%s: %s is another root than the one in use, which others trust. To begin anew, use an empty folder of authorities", from, filepath.Join(string(h), name))
			}
			if string(was) != string(is) {
				files = append(files, file{to, is})
			}
			if err := os.WriteFile(filepath.Join(tmp, name), is, 0o600); err != nil {
				return nil, err
			}
		}
		key, err := OpenKey(IssuerKey(keys, h), dir)
		if err != nil {
			return nil, fmt.Errorf("%s issuer: %w (perseus-central ceremony request makes it)", h, err)
		}
		if _, err := readAuthority(tmp, h, key); err != nil {
			return nil, err
		}
	}
	var written []string
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return written, err
		}
		if err := identity.WriteFile(f.path, f.data, 0o644); err != nil {
			return written, err
		}
		written = append(written, f.path)
	}
	return written, nil
}
