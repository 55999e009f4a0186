//go:build !windows

package identity

import "io/fs"

func privateMode(m fs.FileMode) bool { return m.Perm()&0o077 == 0 }
