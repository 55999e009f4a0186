package store

import (
	"os"
	"path/filepath"
	"testing"
)

// fastDir is a folder in memory where there is one: for tests that commit
// thousands of times and ask nothing of the disk. The commits sync all the same.
func fastDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "store-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func fastStore(t testing.TB) *Store {
	t.Helper()
	s, _ := mustOpen(t, filepath.Join(fastDir(t), "agent.db"))
	return s
}
