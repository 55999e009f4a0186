//go:build !windows

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

func defaultConfig() string { return "/etc/perseus-edge/agent.yaml" }

// handOver gives a folder to the account that owns the folder around it: what
// root made there must be readable by the service, which is not root.
func handOver(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return err
	}
	owner, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
