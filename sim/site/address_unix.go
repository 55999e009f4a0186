//go:build unix

package site

import "syscall"

// addressInUse is how the system says that somebody listens there already.
const addressInUse = syscall.EADDRINUSE
