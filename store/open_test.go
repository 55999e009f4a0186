package store

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The tests of other processes run this test binary again with a role.
const roleVariable = "PERSEUS_STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role, path, _ := strings.Cut(os.Getenv(roleVariable), "="); role {
	case "":
		os.Exit(m.Run())
	case "hold":
		os.Exit(holdRole(path))
	case "rounds":
		os.Exit(roundsRole(path))
	case "fill":
		os.Exit(fillRole(path))
	case "open":
		os.Exit(openRole(path))
	default:
		panic(role)
	}
}

func inRole(t testing.TB, role, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// holdRole opens the store, says so and holds it until its input ends.
func holdRole(path string) int {
	s, _, err := Open(path, options())
	if err != nil {
		return failed(err)
	}
	defer s.Close()
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return 0
}

// openRole opens the store and prints the error.
func openRole(path string) int {
	s, _, err := Open(path, options())
	if err != nil {
		fmt.Println(err)
		return 0
	}
	s.Close()
	return 0
}

func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	cmd := inRole(t, "hold", path)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _, err = Open(path, options())
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Fatalf("%v", err)
	}
	if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("process %d ", cmd.Process.Pid)) {
		t.Errorf("the error does not say who holds it: %v", err)
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
	must(t, in.Close())
	must(t, cmd.Wait())
	mustOpen(t, path)
}

func TestWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	for name, path := range map[string]string{"a folder": dir, "below a file": filepath.Join(file, "agent.db")} {
		s, report, err := Open(path, options())
		if err == nil || s != nil || report.SetAside != "" {
			t.Errorf("%s: %v %v", name, report, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

// notStores makes files that are no stores.
func notStores(t *testing.T) map[string][]byte {
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bolt.Open(other, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("someone else's"))
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("v"))
	}))
	must(t, db.Close())
	alien, err := os.ReadFile(other)
	must(t, err)

	later := newStore(t)
	must(t, later.update("test", func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSelf).Put(keyFormat, []byte{formatVersion + 1})
	}))
	must(t, later.Close())
	newer, err := os.ReadFile(later.path)
	must(t, err)

	return map[string][]byte{
		"empty": nil, "one byte": {1}, "text": []byte(strings.Repeat("not a store ", 2000)), "zeros": make([]byte, 40000),
		"another program's": alien, "of a later version": newer, "half": newer[:len(newer)/2],
	}
}

// Who only looks must not take the damage from under the agent's eyes: it
// would begin a clean store, and nobody would hear of the old one.
func TestCorruptIsLeft(t *testing.T) {
	for name, content := range notStores(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.db")
			must(t, os.WriteFile(path, content, 0o600))
			o := options()
			o.LeaveDamaged = true
			for range 2 { // the first lets go of the file
				if _, report, err := Open(path, o); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || report != (Report{}) {
					t.Fatalf("%v, report %+v", err, report)
				}
			}
			kept, err := os.ReadFile(path)
			must(t, err)
			if string(kept) != string(content) {
				t.Error("the file is not what it was")
			}
			if _, report, err := Open(path, options()); err != nil || report.SetAside == "" {
				t.Errorf("it cannot be set aside afterwards: %v, %+v", err, report)
			}
		})
	}
}

func TestCorruptIsSetAside(t *testing.T) {
	for name, content := range notStores(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.db")
			for n := range 2 { // twice within one second: the second must not take the first one's place
				must(t, os.WriteFile(path, content, 0o600))
				log := &quiet{}
				o := options()
				o.Logger = newLogger(log)
				s, report, err := Open(path, o)
				must(t, err)
				want := path + ".corrupt-20260401T000000Z"
				if n == 1 {
					want += "-2"
				}
				if !report.Created || report.SetAside != want || report.Reason == "" || !log.has("corrupt") {
					t.Errorf("report %+v", report)
				}
				kept, err := os.ReadFile(report.SetAside)
				must(t, err)
				if string(kept) != string(content) {
					t.Error("the file that was set aside is not what it was")
				}
				must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 1)}))
				must(t, s.Close())
			}
			_, report := mustOpen(t, path)
			same(t, "report of the clean one", report, Report{})
		})
	}
}

// A store is made under another name: whatever a cut-off creation leaves is
// not taken for a store, and goes away in time.
func TestCutOffCreation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	left := []string{path + newSuffix + "1", path + newSuffix + "2"}
	for _, name := range left {
		must(t, os.WriteFile(name, make([]byte, 8192), 0o600))
	}
	old := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(left[0], old, old))
	_, report := mustOpen(t, path)
	same(t, "report", report, Report{Created: true})
	there, err := filepath.Glob(path + "*")
	must(t, err)
	same(t, "files", there, []string{path, left[1]})
}

// Two processes that start at once on a bare folder end up with one store.
func TestCreationRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	first, err := create(path)
	must(t, err)
	second, err := create(path)
	must(t, err)
	same(t, "created", []bool{first, second}, []bool{true, false})
	mustOpen(t, path)
}

func TestUseAfterClose(t *testing.T) {
	s := newStore(t)
	must(t, s.Close())
	if _, err := s.Keys(); err == nil {
		t.Error("read after close")
	}
	if err := s.Commit(Round{HalfHours: halfHours(main_, 0, 1)}); err == nil {
		t.Error("commit after close")
	}
	for _, err := range s.HalfHours(main_, day0, forever) {
		if err == nil {
			t.Error("half-hour after close")
		}
	}
}
