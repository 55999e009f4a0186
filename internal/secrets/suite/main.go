// Command suite runs `go test` with its arguments, shows what go test would
// show, and then looks in everything that was logged for every secret that was
// made (internal/secrets). It fails where the tests fail or a secret is found.
//
//	go run ./internal/secrets/suite [-whole] [-keep DIR] [go test's arguments]
//	go run ./internal/secrets/suite -demo DIR [further logs]
//
// With -whole the arguments stand for all the tests: it fails too where fewer
// secrets or lines were recorded than a whole run has. With -keep the records
// stay in DIR. With -demo it looks in the logs of a demo's folder for the keys
// and tokens in that folder.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/internal/secrets/search"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	whole, keep := false, ""
	if len(args) > 1 && args[0] == "-demo" {
		return demo(args[1:], stdout, stderr)
	}
	for len(args) > 0 {
		switch {
		case args[0] == "-whole":
			whole, args = true, args[1:]
			continue
		case args[0] == "-keep" && len(args) > 1:
			keep, args = args[1], args[2:]
			continue
		}
		break
	}
	dir, err := folder(keep)
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	if keep == "" {
		defer os.RemoveAll(dir)
	}
	failed := tests(dir, args, stdout, stderr)
	report, err := search.Folder(dir)
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	floors := search.Floors
	if !whole || failed != 0 { // tests that did not run record nothing
		floors = nil
	}
	if !report.Print(stdout, floors, 20) && failed == 0 {
		return 1
	}
	return failed
}

// folder makes the folder to record to, which must be empty: what was left by
// another run would count.
func folder(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "perseus-record")
	}
	keep, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return "", err
	}
	if there, err := os.ReadDir(keep); err != nil || len(there) > 0 {
		return "", fmt.Errorf("%s: need an empty folder (%v)", keep, err)
	}
	return keep, nil
}

// tests runs go test and gives its exit code. What every test printed goes into
// the folder too, as a log.
func tests(dir string, args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Env = append(os.Environ(), record.Env+"="+dir)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	f, err := os.Create(filepath.Join(dir, "lines-output.jsonl"))
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	kept := json.NewEncoder(f)
	shown := newPlain(stdout)
	for text := range lines(out) {
		e, ok := shown.line(text)
		if ok && e.Action == "output" {
			pkg := strings.TrimPrefix(e.Package, module)
			if err := kept.Encode(record.Line{Package: pkg, Test: e.Test, Log: "output of " + pkg, Text: e.Output}); err != nil {
				fmt.Fprintln(stderr, "suite:", err)
			}
		}
	}
	if err = cmd.Wait(); err != nil {
		fmt.Fprintln(stdout, "FAIL")
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil && cmd.ProcessState.ExitCode() <= 0 {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
