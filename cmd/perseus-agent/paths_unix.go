//go:build !windows

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func defaultConfig() string { return "/etc/perseus-edge/agent.yaml" }

// forAnother reports whether this is root and the folder is to be another
// account's, the service's.
func forAnother(dir string) bool {
	owner, err := ownerAround(dir)
	return err == nil && owner != nil && owner.Uid != 0
}

// ownerAround gives the account of the folder around another; nil where this is
// not root, who alone can hand anything over.
func ownerAround(dir string) (*syscall.Stat_t, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	fi, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	owner, _ := fi.Sys().(*syscall.Stat_t)
	return owner, nil
}

// handOver gives a folder to the account that owns the folder around it: what
// root made there must be readable by the service, which is not root.
func handOver(dir string) error {
	owner, err := ownerAround(dir)
	if err != nil || owner == nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
