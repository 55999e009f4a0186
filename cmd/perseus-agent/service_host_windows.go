package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
)

const logSize = 5 << 20 // bytes; one older file of as much is kept

// logFile is where the agent logs when it runs as a service.
func logFile() string { return filepath.Join(config.DataDir(), "agent.log") }

// serviceRun is `perseus-agent service run`, by which the service manager of
// Windows starts the program. That it was started so is not asked of
// svc.IsWindowsService, which some Windows-like systems answer wrongly: the
// verb says it, and svc.Run fails where it is not true.
func serviceRun(in *invocation, file string) error {
	if err := os.MkdirAll(config.DataDir(), 0o750); err != nil {
		return err
	}
	out, err := openRotating(logFile(), logSize)
	if err != nil {
		event(err)
		return err
	}
	log, err := newLogger(out, "info")
	if err != nil {
		return err
	}
	h := &host{file: file, log: log}
	err = svc.Run(serviceName, h)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return errors.Join(wrong("service run is how Windows starts the service: use perseus-agent run here"), out.Close())
	}
	return errors.Join(err, h.err, out.Close())
}

// event tells the event log of Windows why the service ended.
func event(why error) {
	if l, err := eventlog.Open(serviceName); err == nil {
		_ = l.Error(1, why.Error()) // there is nowhere else to say it
		l.Close()
	}
}

// host is the agent in the hands of the service manager.
type host struct {
	file string
	log  *slog.Logger
	err  error
}

// Execute runs the agent until it ends or the manager wants it to stop. An exit
// code other than 0 makes the manager start it again (see recovery).
func (h *host) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (bool, uint32) {
	wait := func(state svc.State, hint uint32) { changes <- svc.Status{State: state, WaitHint: hint} }
	wait(svc.StartPending, uint32(startPatience.Milliseconds()))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- guarded(ctx, func(ctx context.Context, notify func(string)) error {
			return serve(ctx, h.file, rehearsal.Clock{}, h.log, notify)
		}, func() { close(ready) })
	}()
	for {
		select {
		case <-ready:
			ready = nil
			if ctx.Err() == nil {
				changes <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
			}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				changes <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				wait(svc.StopPending, uint32(stopPatience.Milliseconds()))
				cancel()
			}
		case err := <-ended:
			if err == nil {
				return false, 0
			}
			h.err = err
			h.log.Error("the service ends", "error", err)
			event(fmt.Errorf("the service ends: %w (the log: %s)", err, logFile()))
			return true, 1
		}
	}
}
