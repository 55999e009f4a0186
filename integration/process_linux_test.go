package integration

import "syscall"

const terminate = syscall.SIGTERM

// childAttr has the kernel kill a child when the tests die, however they die.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
