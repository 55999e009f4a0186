package main

import (
	"net"
	"net/url"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
)

// checkRehearsal lets a rehearsal clock near simulated meters only: what a real
// meter counts must never be dated by any clock but the time of day.
func checkRehearsal(c rehearsal.Clock, cfg *config.Config) error {
	if c == (rehearsal.Clock{}) {
		return nil
	}
	for _, b := range cfg.Buses {
		u, err := url.Parse(b.URL)
		if err != nil {
			return wrong("--rehearse: bus %s: %v", b.ID, err)
		}
		if u.Scheme == "file" || u.Scheme == "rtu" && pseudo(u.Path) {
			continue // files date themselves, and there is no adapter
		}
		if u.Scheme == "rtu" {
			return wrong("--rehearse is for simulated meters on this machine: bus %s is at %s, which is no port of perseus-sim (those lie in /dev/pts, and only while it runs)", b.ID, u.Path)
		}
		ip := net.ParseIP(u.Hostname())
		if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return wrong("--rehearse is for simulated meters on this machine: bus %s is at %s", b.ID, u.Host)
		}
	}
	return nil
}

// pseudo reports whether a serial port is none: two programs talk through it,
// as perseus-sim site and this one do.
func pseudo(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	return err == nil && filepath.Dir(real) == "/dev/pts"
}
