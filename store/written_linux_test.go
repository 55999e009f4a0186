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
	if _, err := fmt.Sscanf(line, "{%d %d %d %d}", &said.Commits, &said.Checkpoints, &said.Syncs, &said.Bytes); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(trace)
	must(t, err)
	var seen Written
	for _, line := range whole(string(calls)) {
		if !strings.Contains(line, path+">") && !strings.Contains(line, path+checkpointSuffix) && !strings.Contains(line, dir+">") {
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
	seen.Commits, seen.Checkpoints = said.Commits, said.Checkpoints
	if said != seen || said.Commits != 33 || said.Checkpoints != 22 || said.Syncs <= 2*said.Commits {
		t.Errorf("Written says %+v, the system did %+v", said, seen)
	}
}

// whole puts calls together again that strace wrote in two parts, because
// another thread's came in between.
func whole(trace string) (calls []string) {
	begun := map[string]string{} // by thread
	for _, line := range strings.Split(trace, "\n") {
		thread, call, _ := strings.Cut(line, " ")
		call = strings.TrimSpace(call)
		if part, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[thread] = part
			continue
		}
		if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, " resumed>")
			call = begun[thread] + rest
		}
		calls = append(calls, call)
	}
	return calls
}

func TestWholeCalls(t *testing.T) {
	got := whole("7 fsync(5</d/agent.db> <unfinished ...>\n8 write(1, \"x\", 1) = 1\n7 <... fsync resumed>)      = 0\n")
	if len(got) < 2 || got[0] != `write(1, "x", 1) = 1` || got[1] != "fsync(5</d/agent.db>)      = 0" {
		t.Errorf("%q", got)
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
	for i := range 20 { // beside the file, which is made larger once
		r := Round{}
		for _, k := range tenMeters() {
			r.States = append(r.States, KeyedState{k, make([]byte, 80+i*100)})
		}
		must(t, s.Commit(r))
	}
	must(t, s.SetMeta("a", []byte("b"))) // and along with the file
	must(t, s.Prune(day0))               // nothing to do: nothing is written
	must(t, s.Seal(1, hash(1), make([]byte, 300), []energy.Span{span(tenMeters()[0], 0, 48)}, 0))
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1)})) // so that closing has nothing to take in
	fmt.Println("written:", s.Written())
}
