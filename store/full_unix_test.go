//go:build !windows

package store

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The disk really fills: a limit on the size of files, which needs no rights,
// and (where the system lets one) a disk in memory of one megabyte.

func TestFileSizeLimit(t *testing.T) {
	fillDisk(t, "limit", nil)
}

func fillDisk(t *testing.T, how string, attr *syscall.SysProcAttr) {
	t.Helper()
	cmd := inRole(t, "fill", how+":"+fastDir(t))
	cmd.SysProcAttr = attr
	out, err := cmd.Output()
	t.Logf("%s", out)
	if cmd.ProcessState.ExitCode() == noDisk {
		t.Skip("this system lets no user mount a disk: TestFileSizeLimit fills a file instead")
	}
	if err != nil {
		t.Fatalf("the child found a mistake: %v", err)
	}
}

const noDisk = 77 // the exit code that says so

// room limits and extends the room that there is.
type room struct {
	limit, extend func() error
}

func fileSizeLimit() room {
	signal.Ignore(syscall.SIGXFSZ)
	var l syscall.Rlimit
	set := func(n uint64) error {
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			return err
		}
		l.Cur = min(n, l.Max)
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
	}
	return room{limit: func() error { return set(700_000) }, extend: func() error { return set(3_000_000) }}
}

// fillRole fills the disk three times over and checks what the store says and keeps.
func fillRole(arg string) int {
	how, dir, _ := strings.Cut(arg, ":")
	r := fileSizeLimit()
	if how == "disk" {
		var err error
		if r, err = smallDisk(dir); err != nil {
			fmt.Println("no disk can be mounted here:", err)
			return noDisk
		}
	}
	if how == "limit" {
		if err := createOnFull(filepath.Join(dir, "new", "agent.db")); err != nil {
			return failed(err)
		}
	}
	if err := fillUp(filepath.Join(dir, "agent.db"), r); err != nil {
		return failed(err)
	}
	return 0
}

// createOnFull creates a store where there is no room for one: an error, and nothing left behind.
func createOnFull(path string) error {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	small := was
	small.Cur = 10_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	_, report, err := Open(path, options())
	if !errors.Is(err, ErrFull) || report != (Report{}) {
		return fmt.Errorf("creation without room: %+v, %w", report, err)
	}
	if left, _ := filepath.Glob(path + "*"); left != nil {
		return fmt.Errorf("creation without room left %v", left)
	}
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)
}

func fillUp(path string, r room) error {
	log := &quiet{}
	o := options()
	o.Logger = newLogger(log)
	s, _, err := Open(path, o)
	if err != nil {
		return err
	}
	if err := r.limit(); err != nil {
		return err
	}

	// Half-hours and samples together: the samples give way first.
	n := 0
	for ; err == nil; n++ {
		err = s.Commit(heavyRound(n))
	}
	if !errors.Is(err, ErrFull) {
		return fmt.Errorf("after %d rounds the error is not ErrFull: %w", n, err)
	}
	full := n - 1 // rounds acknowledged
	fmt.Printf("full after %d rounds: %v\n", full, err)
	if !log.has("oldest samples were given up") || !log.has("without their samples") {
		return errors.New("samples did not give way to half-hours")
	}
	if err := checkFull(s, full); err != nil {
		return fmt.Errorf("while full: %w", err)
	}
	for range 20 { // again and again, as an agent would
		if err := s.Commit(heavyRound(full)); !errors.Is(err, ErrFull) {
			return fmt.Errorf("still full, and the error is %w", err)
		}
	}
	if err := s.SetMeta("big", make([]byte, 500_000)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("the error of SetMeta is %w", err)
	}
	if err := checkFull(s, full); err != nil {
		return fmt.Errorf("after refusals: %w", err)
	}

	// A restart on a full disk.
	if err := s.Close(); err != nil {
		return err
	}
	s, report, err := Open(path, o)
	if err != nil || report != (Report{}) {
		return fmt.Errorf("opening while full: %+v, %w", report, err)
	}
	if err := checkFull(s, full); err != nil {
		return fmt.Errorf("opened while full: %w", err)
	}

	// Old half-hours go by retention: their room serves new ones.
	if err := s.Commit(heavyRound(full)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("still full, and the error is %w", err)
	}
	if err := r.extend(); err != nil {
		return err
	}
	for i := range 50 {
		if err := s.Commit(heavyRound(full + i)); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
	}
	if err := checkFull(s, full+50); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if got := len(samplesOf(s)); got < 40*360 {
		return fmt.Errorf("with room again %d samples are kept", got)
	}
	return s.Close()
}

// heavyRound is ten registers' half-hours, with all samples of one of them.
func heavyRound(n int) (r Round) {
	for i, k := range tenMeters() {
		r.HalfHours = append(r.HalfHours, halfHours(k, n, n+1)...)
		r.States = append(r.States, KeyedState{k, make([]byte, 100)})
		for j := range 360 {
			at := day0.Add(time.Duration(n)*energy.Period + time.Duration(j)*5*time.Second)
			if i == 0 {
				r.Samples = append(r.Samples, KeyedSample{k, energy.Sample{At: at, Value: int64(n*j) * 77_777}})
			}
		}
	}
	return r
}

func samplesOf(s *Store) []energy.Sample {
	return samplesIn(s, tenMeters()[0])
}

// checkFull checks that every half-hour of the acknowledged rounds is there, and no other.
func checkFull(s *Store, rounds int) error {
	for _, k := range tenMeters() {
		n := 0
		for h, err := range s.HalfHours(k, time.Time{}, forever) {
			if err != nil {
				return err
			}
			if want := halfHour(n, 500); h != want {
				return fmt.Errorf("half-hour %d of %s is %+v", n, k, h)
			}
			n++
		}
		if n != rounds {
			return fmt.Errorf("%s has %d half-hours of %d acknowledged", k, n, rounds)
		}
	}
	return nil
}

func TestIsFull(t *testing.T) {
	if !isFull(&os.PathError{Op: "write", Err: syscall.ENOSPC}) || !isFull(fmt.Errorf("file resize error: %s", syscall.EFBIG)) || isFull(syscall.EIO) {
		t.Error("a full disk is not told from other errors")
	}
}
