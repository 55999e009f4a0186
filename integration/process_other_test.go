//go:build !linux

package integration

import (
	"os"
	"syscall"
)

var terminate = os.Interrupt

func childAttr() *syscall.SysProcAttr { return nil }
