package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// programs are the demo's processes: built once, started apart, stopped
// together, each with a log file of its own.
type programs struct {
	bin  string // folder with perseus-agent and perseus-central
	sim  string // this very program, which plays the meters and the carbon API
	logs string

	mu      sync.Mutex
	running []*process
}

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error
}

// build makes the two programs with the Go that is installed.
func (p *programs) build(ctx context.Context) error {
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return fmt.Errorf("run the demo from the project's folder, or give --bin with the built programs: %w", err)
	}
	if err := os.MkdirAll(p.bin, 0o755); err != nil {
		return err
	}
	_, err = output(ctx, strings.TrimSpace(string(root)), "go", "build", "-trimpath", "-buildvcs=false", "-o", p.bin+string(filepath.Separator),
		"./cmd/perseus-agent", "./cmd/perseus-central")
	return err
}

// output runs a command to its end and gives what it printed; its error holds
// what it printed to standard error.
func output(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err,
			strings.TrimSpace(out.String()+errs.String()))
	}
	return out.Bytes(), nil
}

func (p *programs) agent(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, "", filepath.Join(p.bin, "perseus-agent"), args...)
}

// central runs a command of perseus-central that prints one JSON value.
func (p *programs) central(ctx context.Context, into any, args ...string) error {
	out, err := output(ctx, "", filepath.Join(p.bin, "perseus-central"), args...)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("perseus-central %s printed %q: %w", args[0], out, err)
	}
	return nil
}

// start runs a program until stop. Its output goes to its log file.
func (p *programs) start(name, path string, args ...string) error {
	logPath := filepath.Join(p.logs, name+".log")
	f, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		f.Close()
		return fmt.Errorf("start %s: %w", name, err)
	}
	proc := &process{name: name, cmd: cmd, log: logPath, done: make(chan struct{})}
	go func() {
		proc.err = cmd.Wait()
		f.Close()
		close(proc.done)
	}()
	p.mu.Lock()
	p.running = append(p.running, proc)
	p.mu.Unlock()
	return nil
}

// stop ends the programs in the reverse order of their start: politely, and
// after ten seconds for good.
func (p *programs) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.running) - 1; i >= 0; i-- {
		proc := p.running[i]
		if interrupt(proc.cmd.Process) != nil {
			proc.cmd.Process.Kill()
		}
		select {
		case <-proc.done:
		case <-time.After(10 * time.Second):
			proc.cmd.Process.Kill()
			<-proc.done
		}
	}
	p.running = nil
}

// died names a program that ended by itself, with the end of its log.
func (p *programs) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range p.running {
		select {
		case <-proc.done:
			return fmt.Errorf("%s stopped by itself: %v\n%s", proc.name, proc.err, tail(proc.log, 15))
		default:
		}
	}
	return nil
}

func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// until tries f every 100 ms until it succeeds; it gives up with f's last error
// when ctx ends, the time is over or one of the programs has died.
func (p *programs) until(ctx context.Context, limit time.Duration, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if dead := p.died(); dead != nil {
			return fmt.Errorf("%s: %w", what, dead)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not after %v: %w", what, limit, err)
		case <-tick.C:
		}
	}
}

// getJSON fetches a JSON document; an answer that is not 200 is an error with
// what it said.
func getJSON(ctx context.Context, c *http.Client, url, bearer string, into any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return resp, err
	}
	if resp.StatusCode != http.StatusOK {
		return resp, &statusError{url, resp.StatusCode, strings.TrimSpace(string(b))}
	}
	return resp, json.Unmarshal(b, into)
}

type statusError struct {
	url    string
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %d %s", e.url, e.status, e.body) }

func isStatus(err error, status int) bool {
	var s *statusError
	return errors.As(err, &s) && s.status == status
}
