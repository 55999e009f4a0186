//go:build !linux

package integration

import (
	"os"
	"os/exec"
	"syscall"
)

var terminate = os.Interrupt

func childAttr() *syscall.SysProcAttr { return nil }

func ownGroup(*exec.Cmd) {}

func killGroup(p *process) { p.cmd.Process.Kill() }

func guard(*process) (func(), error) { return func() {}, nil }
