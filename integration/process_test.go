package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// process is a program that runs apart, with the end of what it printed.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended
	err  error         // how it ended; valid once done
}

// spawner starts every child from one thread that lives as long as the tests:
// Linux kills a child when the thread that started it ends (see childAttr).
var spawner = sync.OnceValue(func() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range jobs {
			f()
		}
	}()
	return jobs
})

// launch starts a program. The caller must see to its end.
func launch(name, path string, prepare func(*exec.Cmd), args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), log: &tail{}, done: make(chan struct{})}
	// Through a pipe, not into a file: a limit on the size of files must not
	// silence the log.
	// What a program shows on its standard output is for a person, codes and
	// links included; what it logs must have none.
	p.cmd.Stdout, p.cmd.Stderr = p.log, record.Writer(nil, name, p.log)
	p.cmd.SysProcAttr = childAttr()
	p.cmd.WaitDelay = 5 * time.Second
	if prepare != nil {
		prepare(p.cmd)
	}
	started := make(chan error)
	spawner() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// start starts one of our programs, which is killed when the test ends.
func start(t testing.TB, name, prog string, args ...string) *process {
	t.Helper()
	p, err := launch(name, program(t, prog), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, as a service manager does, and gives how it
// ended. It is killed when it has not after a minute, which is an error too.
func (p *process) stop() error {
	p.cmd.Process.Signal(terminate)
	select {
	case <-p.done:
		return p.err
	case <-time.After(time.Minute):
		p.kill()
		return fmt.Errorf("%s did not stop within a minute of being asked\n%s", p.name, p.log.last(40))
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// run runs a command of one of our programs to its end and gives its standard
// output, its standard error and its exit code.
func run(t testing.TB, prog string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, prog), args...)
	cmd.SysProcAttr = childAttr()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, record.Writer(t, prog, &errs)
	ended := make(chan error)
	spawner() <- func() {
		if err := cmd.Start(); err != nil {
			go func() { ended <- err }()
			return
		}
		go func() { ended <- cmd.Wait() }()
	}
	err := <-ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %s: %v, %v\n%s", prog, strings.Join(args, " "), err, ctx.Err(), errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is run that has to succeed.
func must(t testing.TB, prog string, args ...string) string {
	t.Helper()
	out, errs, code := run(t, prog, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit %d\n%s%s", prog, strings.Join(args, " "), code, out, errs)
	}
	return out
}

// until tries f every 50 ms until it succeeds. When the time is over, or one of
// the processes has ended, the test fails with what it waited for, f's last
// error and the ends of the processes' logs.
func until(t testing.TB, limit time.Duration, what string, ps []*process, f func() error) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		why := ""
		for _, p := range ps {
			if p.ended() {
				why = fmt.Sprintf("%s ended by itself (%v)", p.name, p.err)
			}
		}
		select {
		case <-t.Context().Done():
			why = "the test was stopped"
		case <-deadline.C:
			why = fmt.Sprintf("not within %v", limit)
		case <-tick.C:
		}
		if why == "" {
			continue
		}
		var logs strings.Builder
		for _, p := range ps {
			fmt.Fprintf(&logs, "\n--- end of the log of %s\n%s", p.name, p.log.last(30))
		}
		t.Fatalf("waiting until %s: %s: %v%s", what, why, err, logs.String())
	}
}

// tail keeps the end of what a process printed.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailKept = 1 << 20

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	if len(l.b) > 2*tailKept {
		l.b = append(l.b[:0], l.b[len(l.b)-tailKept:]...)
	}
	return len(b), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// last gives the last lines.
func (l *tail) last(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
