package load

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Settle is longer than it takes any of them to start and to write for the
// first time, and so long that the agent commits within the 40 s after it.
const Settle = 30 * time.Second

// Reader is a program that polls the bank.
type Reader struct {
	Name    string
	Command func(dir string, port int) (*exec.Cmd, error) // dir is an empty directory of its own
}

// Result is what a reader took in one run.
type Result struct {
	Requests int           // that the bank counted
	CPU      time.Duration // user and system, of the whole process
	RSS      float64       // MiB resident, at the end
	Own      float64       // MiB of them that no file stands behind: what the system cannot take back
	Most     float64       // MiB resident, at most in the time that was measured: the kernel's word, commits and collections included
	Peak     float64       // MiB resident, at most since the start
	Over     time.Duration
}

// PerPoll is the CPU for one poll of one meter, in microseconds.
func (r Result) PerPoll() float64 { return float64(r.CPU.Microseconds()) / float64(r.Requests) }

// Bank is a running bank, in a process of its own.
type Bank struct {
	port int
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// StartBank has the program bench play the bank.
func StartBank(bench string, port int) (*Bank, error) {
	b := &Bank{port: port, cmd: exec.Command(bench, "-port-base", strconv.Itoa(port), "bank")}
	b.cmd.Stderr = os.Stderr
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.out = bufio.NewReader(out)
	if _, err := b.out.ReadString('\n'); err != nil {
		b.Stop()
		return nil, fmt.Errorf("the simulated bank did not start: %w", err)
	}
	return b, nil
}

// Stop ends the bank, which ends with its input.
func (b *Bank) Stop() { b.in.Close(); b.cmd.Wait() }

func (b *Bank) requests() (int, error) {
	if _, err := io.WriteString(b.in, "count\n"); err != nil {
		return 0, err
	}
	line, err := b.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// Run lets one reader poll the bank, and measures it over d once it is past
// its start. A reader that does not read nearly every meter each second is an error.
func (b *Bank) Run(r Reader, settle, d time.Duration) (res Result, err error) {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	cmd, err := r.Command(dir, b.port)
	if err != nil {
		return res, fmt.Errorf("%s: %w", r.Name, err)
	}
	said := filepath.Join(dir, "log")
	logFile, err := os.Create(said)
	if err != nil {
		return res, err
	}
	defer logFile.Close()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return res, fmt.Errorf("%s: %w", r.Name, err)
	}
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	time.Sleep(settle)
	if res, err = b.watch(cmd.Process.Pid, d); err != nil {
		text, _ := os.ReadFile(said)
		return res, fmt.Errorf("%s: %w\n%s", r.Name, err, text[:min(len(text), 2000)])
	}
	return res, nil
}

func (b *Bank) watch(pid int, d time.Duration) (res Result, err error) {
	cpu, err := cpuOf(pid)
	if err != nil {
		return res, err
	}
	n, err := b.requests()
	if err != nil {
		return res, err
	}
	started, err := memoryOf(pid, "VmHWM:")
	if err != nil {
		return res, err
	}
	if err := forgetPeak(pid); err != nil {
		return res, err
	}
	begin := time.Now()
	time.Sleep(d)
	after, err := cpuOf(pid)
	if err != nil {
		return res, err
	}
	m, err := b.requests()
	if err != nil {
		return res, err
	}
	res = Result{Requests: m - n, CPU: after - cpu, Over: time.Since(begin)}
	if want := int(0.9 * Meters * res.Over.Seconds()); res.Requests < want {
		return res, fmt.Errorf("%d requests in %v, want at least %d", res.Requests, res.Over.Round(time.Second), want)
	}
	for line, to := range map[string]*float64{"VmRSS:": &res.RSS, "RssAnon:": &res.Own, "VmHWM:": &res.Most} {
		if *to, err = memoryOf(pid, line); err != nil {
			return res, err
		}
	}
	res.Peak = max(started, res.Most)
	return res, nil
}
