package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/store"
)

var runCommand = command{
	name: "run", short: "read the meters until stopped",
	long: `Reads the meters, keeps their half-hours, serves the local page and, where the configuration has an uplink, sends what a permission covers.
Stops cleanly on SIGINT and SIGTERM: the last readings are stored first.`,
	run: func(in *invocation) error {
		file := in.configFlag()
		var rehearse rehearsal.Clock
		in.Var(&rehearse, "rehearse", "`CLOCK` shared with perseus-sim meters: ANCHOR,FROM,SPEED; for simulated meters on this machine only")
		level := in.String("log", "info", "`LEVEL` of the log on standard error: debug, info, warn or error")
		if err := in.parse(0, 0); err != nil {
			return err
		}
		log, err := newLogger(in.stderr, *level)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return serve(ctx, *file, rehearse, log, notifier(os.Getenv, log))
	},
}

func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, wrong("--log %s: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})), nil
}

// serve runs the daemon of a configuration until ctx ends. A service wrapper
// calls it with its own context, log and notify (see agent.Options.Notify).
func serve(ctx context.Context, file string, rehearse rehearsal.Clock, log *slog.Logger, notify func(state string)) error {
	// A gateway has little memory and much time: collect early. Polls allocate
	// nothing, so that this costs milliseconds a minute.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	give := newGiver()
	go give.run(ctx, 10*time.Second)
	cfg, err := config.Load(file)
	if err != nil {
		return configProblem(err)
	}
	if err := checkRehearsal(rehearse, cfg); err != nil {
		return err
	}
	s, opened, err := openStore(cfg, log, false)
	if err != nil {
		return err
	}
	give.store.Store(s)
	d := &supervisor{file: file, rehearse: rehearse, store: s, opened: opened, clock: dating(rehearse, cfg, s, log), log: log, notify: notify, stored: give.told, asked: make(chan chan error)}
	return errors.Join(d.run(ctx, cfg), s.Close())
}

// openStore opens the store of a configuration for writing. A damaged one is
// set aside, unless it is to be left.
func openStore(cfg *config.Config, log *slog.Logger, leave bool) (*store.Store, store.Report, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Store.Path), 0o750); err != nil {
		return nil, store.Report{}, fmt.Errorf("the folder of the store cannot be made: %w", err)
	}
	s, r, err := store.Open(cfg.Store.Path, store.Options{KeepHalfHours: cfg.Store.KeepHalfHours, KeepSamples: cfg.Store.KeepSamples, Logger: log, LeaveDamaged: leave})
	if errors.Is(err, store.ErrInUse) {
		err = fmt.Errorf("%w: is the agent running already?", err)
	}
	// Made by root (import before the first start), it is still the service's.
	if err == nil && (r.Created || r.SetAside != "") {
		if err := handOver(cfg.Store.Path); err != nil {
			log.Warn("the store cannot be given to the account of its folder", "path", cfg.Store.Path, "error", err)
		}
	}
	return s, r, err
}

// configProblem gives errors of a configuration their exit code.
func configProblem(err error) error {
	var e *config.Errors
	if errors.As(err, &e) {
		return &problem{usage, fmt.Errorf("the configuration has %s:\n%w", count(len(e.Problems), "mistake"), err)}
	}
	var at *fs.PathError
	if errors.Is(err, fs.ErrNotExist) && errors.As(err, &at) {
		return wrong("no configuration at %s: give one with --config FILE; examples: docs/installer.md", at.Path)
	}
	return &problem{usage, err}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
