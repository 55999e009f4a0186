//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// hangUps gives the signals that ask for the configuration to be read again
// (SIGHUP), until done is called.
func hangUps() (c <-chan os.Signal, done func()) {
	s := make(chan os.Signal, 1)
	signal.Notify(s, syscall.SIGHUP)
	return s, func() { signal.Stop(s) }
}
