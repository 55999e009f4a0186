package main

import (
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// notifier tells the service manager of states, as sd_notify(3) does: one
// datagram for each to the socket that NOTIFY_SOCKET names. Nil where there is
// no such manager. A name that begins with @ is a socket of the abstract name
// space, which package net knows.
func notifier(getenv func(string) string, log *slog.Logger) func(state string) {
	name := getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	complain := sync.OnceFunc(func() {
		log.Warn("the service manager cannot be told how the agent is, and may start it anew: does NOTIFY_SOCKET name its socket?", "socket", name)
	})
	return func(state string) {
		if err := tell(name, state); err != nil {
			log.Debug("the service manager cannot be told", "state", state, "error", err)
			complain()
		}
	}
}

// tell connects anew for each message: a manager that was itself started again
// may have made its socket anew.
func tell(name, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return err
}

// watchdogInterval is how often the service manager wants a sign of life:
// half of what it waits, as sd_watchdog_enabled(3) advises. 0: it wants none.
func watchdogInterval(getenv func(string) string) time.Duration {
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 1 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}
