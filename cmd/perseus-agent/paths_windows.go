package main

import (
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

func defaultConfig() string { return filepath.Join(config.DataDir(), "agent.yaml") }

// forAnother is false on Windows.
func forAnother(string) bool { return false }

// handOver does nothing on Windows: files inherit the access list of their folder.
func handOver(string) error { return nil }
