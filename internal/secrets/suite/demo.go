package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/internal/secrets/search"
)

// demo looks in the logs of a demo's folder, and in the further files, for the
// keys, the tokens and the code in that folder.
func demo(args []string, stdout, stderr io.Writer) int {
	r, err := demoSecrets(args[0], args[1:])
	if err != nil {
		fmt.Fprintln(stderr, "suite:", err)
		return 1
	}
	floors := []search.Floor{{In: "demo", Lines: 10, Made: map[string]int{record.KeyKind: 10, "API token": 2, "key that seals": 1, "code of the gateway": 1}}}
	if !r.Print(stdout, floors, 20) {
		return 1
	}
	return 0
}

func demoSecrets(dir string, more []string) (*search.Report, error) {
	to, err := os.MkdirTemp("", "perseus-record")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(to)
	var secrets []record.Entry
	logs := more
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if filepath.Base(filepath.Dir(path)) == "logs" {
			logs = append(logs, path)
			return nil
		}
		if i, err := d.Info(); err != nil || i.Size() > 64<<10 {
			return err
		}
		b, err := os.ReadFile(path)
		found := record.KeysIn(b)
		if filepath.Ext(path) == ".key" && len(found) == 0 { // bytes, which seal something
			found = []record.Entry{{Kind: "key that seals", Raw: b}}
		}
		secrets = append(secrets, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
	if err != nil {
		return nil, err
	}
	var told struct {
		Member string `json:"member_token"`
		Admin  string `json:"admin_token"`
		SME    struct{ Code string }
	}
	if err := json.Unmarshal(b, &told); err != nil {
		return nil, fmt.Errorf("demo.json: %w", err)
	}
	secrets = append(secrets, record.Entry{Kind: "API token", Text: told.Member}, record.Entry{Kind: "API token", Text: told.Admin},
		record.Entry{Kind: "code of the gateway", Text: told.SME.Code})
	for i := range secrets {
		secrets[i].Package = "demo"
	}
	var lines []record.Line
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		lines = append(lines, record.Line{Package: "demo", Log: filepath.Base(path), Text: string(b)})
	}
	if err := errors.Join(keep(to, "secrets-demo.jsonl", secrets), keep(to, "lines-demo.jsonl", lines)); err != nil {
		return nil, err
	}
	return search.Folder(to)
}

func keep[T any](dir, name string, vs []T) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	for _, v := range vs {
		err = errors.Join(err, json.NewEncoder(f).Encode(v))
	}
	return errors.Join(err, f.Close())
}
