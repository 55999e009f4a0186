package record

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// BuildFlags are flags for `go build` of one of our programs, for a test that
// starts it: the program then records as the test does. The file that brings
// this package in is laid over the source for that build alone, so that no
// program that anybody else builds has it. None where nothing is recorded.
func BuildFlags() ([]string, error) {
	if !On() {
		return nil, nil
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return nil, fmt.Errorf("no go.mod above the folder of the test")
		}
		root = filepath.Dir(root)
	}
	add := filepath.Join(dir, "recorded.go")
	if err := os.WriteFile(add, []byte("package main\n\nimport _ \""+module+"internal/secrets/record\"\n"), 0o600); err != nil {
		return nil, err
	}
	laid := map[string]string{}
	for _, program := range []string{"perseus-agent", "perseus-central", "perseus-sim"} {
		laid[filepath.Join(root, "cmd", program, "recorded.go")] = add
	}
	b, err := json.Marshal(map[string]any{"Replace": laid})
	if err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return []string{"-overlay", overlay}, os.WriteFile(overlay, b, 0o600)
}
