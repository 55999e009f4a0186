package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// Where the service manager has no watchdog of its own (Windows) the program
// watches itself.
const (
	startPatience = 2 * time.Minute  // until READY=1, as TimeoutStartSec= of the unit
	patience      = time.Minute      // between two WATCHDOG=1, as WatchdogSec=
	stopPatience  = 30 * time.Second // from the wish to stop to the end, as TimeoutStopSec=
)

var (
	errSilent = errors.New("the agent gave no sign of life, and is started anew")
	errStuck  = errors.New("the agent did not stop in time, and is ended")
)

// guarded runs serve until it ends, and no longer than it gives signs of life:
// then the caller should end the process. ready is called once it runs.
func guarded(ctx context.Context, serve func(ctx context.Context, notify func(string)) error, ready func()) error {
	alive, ended := make(chan struct{}, 1), make(chan error, 1)
	ready = sync.OnceFunc(ready)
	go func() {
		ended <- serve(ctx, func(state string) {
			switch state {
			case "READY=1":
				ready()
			case "WATCHDOG=1":
			default:
				return
			}
			select {
			case alive <- struct{}{}:
			default:
			}
		})
	}()
	silence := time.NewTimer(startPatience)
	defer silence.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-alive:
			silence.Reset(patience)
		case <-silence.C:
			return errSilent
		case <-ctx.Done():
			select {
			case err := <-ended:
				return err
			case <-time.After(stopPatience):
				return errStuck
			}
		}
	}
}

// rotating is a log file that begins anew when it is full, and keeps the full
// one as FILE.1.
type rotating struct {
	mu   sync.Mutex
	path string
	most int64
	size int64
	file *os.File
}

func openRotating(path string, most int64) (*rotating, error) {
	r := &rotating{path: path, most: most}
	return r, r.open()
}

func (r *rotating) open() error {
	f, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, fi.Size()
	return nil
}

func (r *rotating) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil || r.size > 0 && r.size+int64(len(p)) > r.most {
		if err := r.turn(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Write(p)
	r.size += int64(n)
	return n, err
}

// turn puts the full file aside. Where that cannot be done the log goes on in
// the old file: too long a log is better than none.
func (r *rotating) turn() error {
	if r.file != nil {
		r.file.Close() // what was written is written: a log is not synced
		r.file = nil
	}
	_ = os.Rename(r.path, r.path+".1")
	return r.open()
}

func (r *rotating) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
