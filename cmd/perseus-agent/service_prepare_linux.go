package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/perseus-edge/perseus-edge/packaging/systemd"
)

// places refuses what the service could not reach: it sees neither homes nor
// temporary folders.
func (m *systemdManager) places(p plan) error {
	if hidden(real(p.exec)) {
		return fmt.Errorf("the service cannot reach this program at %s: copy it first (sudo install -m 755 %s /usr/local/bin/), then use that one", p.exec, p.exec)
	}
	fi, err := os.Stat(m.root + p.exec)
	if err != nil {
		return err
	}
	switch mode := fi.Mode().Perm(); {
	case mode&0o005 != 0o005:
		return fmt.Errorf("the service runs as %s, which may not run %s: chmod 755 %s", systemd.User, p.exec, p.exec)
	case mode&0o022 != 0:
		return fmt.Errorf("others than its owner may change %s, and so what the service does: chmod 755 %s", p.exec, p.exec)
	}
	for _, path := range append(m.reads(p), p.folders()...) {
		if hidden(real(path)) {
			return fmt.Errorf("the service cannot reach %s: keep the configuration in %s, readings and identity in %s", path, systemd.ConfigDir, systemd.StateDir)
		}
	}
	return nil
}

// reads is the files that the service must be able to read.
func (m *systemdManager) reads(p plan) []string {
	out := []string{p.cfg.File}
	if p.cfg.Uplink != nil && p.cfg.Uplink.CA != "" {
		out = append(out, p.cfg.Uplink.CA)
	}
	return out
}

// makeAccount makes the account of the service, by sysusers.d where there is
// such a thing, else by useradd.
func (m *systemdManager) makeAccount() (uid, gid int, did []string, err error) {
	uid, gid, err = m.account(systemd.User)
	file := m.root + systemd.SysusersFile
	kept, kerr := os.ReadFile(file)
	if err == nil && kerr == nil && string(kept) == systemd.Sysusers {
		return uid, gid, nil, nil
	}
	existed := err == nil
	if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
		err = os.WriteFile(file, []byte(systemd.Sysusers), 0o644)
	}
	if err != nil {
		return 0, 0, nil, fmt.Errorf("the account cannot be described: %w", err)
	}
	_, err = m.run("systemd-sysusers", file)
	if err != nil && !existed {
		_, other := m.run("useradd", "--system", "--user-group", "--home-dir", systemd.StateDir, "--no-create-home",
			"--shell", "/usr/sbin/nologin", "--groups", "dialout", systemd.User)
		if other != nil {
			return 0, 0, nil, fmt.Errorf("the account %s cannot be made: %w; %w", systemd.User, err, other)
		}
	}
	if uid, gid, err = m.account(systemd.User); err != nil {
		return 0, 0, nil, fmt.Errorf("the account %s is not there though it was made: %w", systemd.User, err)
	}
	if uid == 0 {
		return 0, 0, nil, fmt.Errorf("the account %s is root: give it a number of its own", systemd.User)
	}
	if existed {
		return uid, gid, []string{"account " + systemd.User + " put into the group dialout, for serial adapters"}, nil
	}
	return uid, gid, []string{"account " + systemd.User + " made, in the group dialout for serial adapters"}, nil
}

// folders makes the folders that the agent writes to. Our own is given to the
// account with all that root made in it (enroll, import); any other one that
// is there already must be the account's.
func (m *systemdManager) folders(p plan, uid, gid int) (did, writable []string, err error) {
	made, err := m.own(systemd.StateDir, uid, gid)
	if err != nil {
		return nil, nil, err
	}
	did = append(did, made...)
	for _, dir := range p.folders() {
		if dir == systemd.StateDir || strings.HasPrefix(dir, systemd.StateDir+"/") {
			continue
		}
		fi, err := os.Stat(m.root + dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			made, err := m.own(dir, uid, gid)
			if err != nil {
				return did, nil, err
			}
			did = append(did, made...)
		case err != nil:
			return did, nil, err
		default:
			if owner, ok := fi.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != uid {
				return did, nil, fmt.Errorf("the folder %s belongs to another account, and the agent must write to it: if it holds nothing else, chown -R %s: %s", dir, systemd.User, dir)
			}
		}
		writable = append(writable, dir)
	}
	return did, writable, nil
}

// own makes a folder, and all in it, the account's.
func (m *systemdManager) own(dir string, uid, gid int) (did []string, err error) {
	if _, err := os.Stat(m.root + dir); errors.Is(err, fs.ErrNotExist) {
		did = append(did, "folder made: "+dir)
	}
	if err := os.MkdirAll(m.root+dir, 0o700); err != nil {
		return nil, err
	}
	changed := 0
	err = filepath.WalkDir(m.root+dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if s, ok := fi.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid && int(s.Gid) == gid {
			return nil
		}
		changed++
		return m.chown(path, uid, gid)
	})
	if err == nil && changed > 0 && len(did) == 0 {
		did = append(did, fmt.Sprintf("%s in %s given to %s", count(changed, "file"), dir, systemd.User))
	}
	return did, err
}

// readable lets the account read the configuration. Files in our own folder
// are put right; of others it is only said what is wrong.
func (m *systemdManager) readable(p plan, gid int) (did []string, err error) {
	for _, file := range m.reads(p) {
		fi, err := os.Stat(m.root + file)
		if err != nil {
			return did, err
		}
		mode := fi.Mode().Perm()
		owner, ok := fi.Sys().(*syscall.Stat_t)
		mine := ok && int(owner.Gid) == gid && mode&0o040 != 0
		if strings.HasPrefix(file, systemd.ConfigDir+"/") {
			if mine && mode&0o007 == 0 {
				continue
			}
			if err := m.chown(m.root+file, 0, gid); err != nil {
				return did, err
			}
			if err := os.Chmod(m.root+file, 0o640); err != nil {
				return did, err
			}
			did = append(did, file+" made readable for root and "+systemd.User+" only")
		} else if !mine && mode&0o004 == 0 {
			return did, fmt.Errorf("the service may not read %s: chgrp %s %s && chmod 640 %s", file, systemd.User, file, file)
		}
	}
	return did, nil
}
