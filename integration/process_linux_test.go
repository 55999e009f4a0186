package integration

import (
	"os/exec"
	"strconv"
	"syscall"
)

const terminate = syscall.SIGTERM

// childAttr has the kernel kill a child when the tests die, however they die.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// ownGroup puts a program that starts others into a process group with them.
func ownGroup(c *exec.Cmd) { c.SysProcAttr.Setpgid = true }

func killGroup(p *process) { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// guard kills the group of a process when the tests die without a farewell.
func guard(p *process) (release func(), err error) {
	c := exec.Command("/bin/sh", "-c", `trap '' INT TERM HUP; read bye || kill -9 -"$0"`, strconv.Itoa(p.cmd.Process.Pid))
	in, err := c.StdinPipe()
	if err != nil {
		return func() {}, err
	}
	if err := c.Start(); err != nil {
		return func() {}, err
	}
	return func() {
		in.Write([]byte("bye\n"))
		c.Wait()
	}, nil
}
