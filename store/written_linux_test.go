package store

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What Written says is what the system was asked for, by strace's account: every
// byte and every sync of the store's file.
func TestWrittenIsWhatWasWritten(t *testing.T) {
	const env = "PERSEUS_STORE_WRITTEN"
	if path := os.Getenv(env); path != "" {
		writeSomething(t, path)
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	dir := fastDir(t)
	path, trace := filepath.Join(dir, "agent.db"), filepath.Join(dir, "trace")
	s, _ := mustOpen(t, path) // so that its making is not counted
	must(t, s.Close())
	cmd := exec.Command(strace, "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", trace, os.Args[0], "-test.run=^TestWrittenIsWhatWasWritten$", "-test.v")
	cmd.Env = append(os.Environ(), env+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		if bytes.Contains(out, []byte("ptrace")) {
			t.Skipf("strace may not be used here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	var said Written
	_, line, _ := strings.Cut(string(out), "written: ")
	if _, err := fmt.Sscanf(line, "{%d %d %d}", &said.Commits, &said.Syncs, &said.Bytes); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(trace)
	must(t, err)
	var seen Written
	for _, line := range strings.Split(string(calls), "\n") {
		if !strings.Contains(line, path+">") {
			continue
		}
		_, result, _ := strings.Cut(line[strings.LastIndex(line, ")"):], "= ")
		var n uint64
		if _, err := fmt.Sscan(result, &n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if strings.Contains(line, "sync(") {
			seen.Syncs++
		} else {
			seen.Bytes += n
		}
	}
	seen.Commits = said.Commits
	if said != seen || said.Commits != 31 || said.Syncs <= 2*said.Commits {
		t.Errorf("Written says %+v, the system did %+v", said, seen)
	}
}

func writeSomething(t *testing.T, path string) {
	s, _ := mustOpen(t, path)
	for i := range 30 {
		var r Round
		for _, k := range tenMeters() {
			r.HalfHours = append(r.HalfHours, halfHours(k, i*48, i*48+48)...)
			r.States = append(r.States, KeyedState{k, make([]byte, 80)})
		}
		must(t, s.Commit(r))
	}
	must(t, s.Prune(day0)) // nothing to do: nothing is written
	must(t, s.Seal(1, hash(1), make([]byte, 300), []energy.Span{span(tenMeters()[0], 0, 48)}, 0))
	fmt.Println("written:", s.Written())
}
