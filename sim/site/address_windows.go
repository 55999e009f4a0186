package site

import "syscall"

// addressInUse is how the system says that somebody listens there already
// (WSAEADDRINUSE).
const addressInUse = syscall.Errno(10048)
