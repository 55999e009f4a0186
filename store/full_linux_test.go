package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFull mounts a disk of one megabyte, in a namespace of its own that
// goes away with the child.
func TestDiskFull(t *testing.T) {
	probe := exec.Command("/bin/true")
	attr := func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	probe.SysProcAttr = attr()
	if err := probe.Run(); err != nil {
		t.Skip("this system lets no user have namespaces: TestFileSizeLimit fills a file instead:", err)
	}
	fillDisk(t, "disk", attr())
}

func smallDisk(dir string) (room, error) {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return room{}, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return room{}, err
	}
	ballast := filepath.Join(dir, "ballast")
	return room{
		limit: func() error { return os.WriteFile(ballast, make([]byte, 400_000), 0o600) },
		extend: func() error {
			return errors.Join(os.Remove(ballast), syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"))
		},
	}, nil
}
