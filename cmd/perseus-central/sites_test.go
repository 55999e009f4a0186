package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
)

// From a site to its revocation, by commands beside a directory: each says what
// the next one needs, and mistakes say what to do.
func TestSiteCommands(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatalf("init: %d, %s", code, errs)
	}
	do := func(want int, args ...string) (out string) {
		t.Helper()
		code, out, errs := call(t, append(args, "--config", path)...)
		if code != want {
			t.Errorf("%v: %d, want %d: %s", args, code, want, errs)
		}
		return out + errs
	}
	object := func(text string) map[string]any {
		t.Helper()
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return v
	}
	state := func() map[string]any {
		t.Helper()
		return object(strings.Trim(strings.TrimSpace(do(0, "gateway", "list", "--member", "metering")), "[]"))
	}
	dir := t.TempDir()
	made := object(do(0, "site", "add", "--member", "metering", "--name", "Riverside", "--outcode", "sw8", "--qr", filepath.Join(dir, "code.png")))
	id, code := made["id"].(string), made["code"].(string)
	if _, err := identity.ParseEnrolCode(code); err != nil || !strings.HasSuffix(made["code_link"].(string), "/enrol#"+code) {
		t.Errorf("%v, %v", made, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "code.png")); err != nil || !strings.HasPrefix(string(b), "\x89PNG") {
		t.Errorf("picture: %v", err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "code.png")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("who has the picture has the code: mode %v, %v", fi.Mode(), err)
	}
	if s := do(0, "site", "list", "--member", "metering"); !strings.Contains(s, `"outcode": "SW8"`) {
		t.Errorf("sites: %s", s)
	}
	if g := state(); g["state"] != "new" || g["code_expires"] != made["code_expires"] {
		t.Errorf("%v", g)
	}
	again := object(do(0, "gateway", "code", "--id", id, "--qr", filepath.Join(dir, "code.svg")))
	if b, err := os.ReadFile(filepath.Join(dir, "code.svg")); again["code"] == code || err != nil || !strings.HasPrefix(string(b), "<svg") {
		t.Errorf("%v, %v", again, err)
	}
	if s := do(0, "gateway", "withdraw", "--id", id); !strings.Contains(s, `"withdrawn": true`) {
		t.Errorf("withdraw: %s", s)
	}
	if g := state(); g["code_expires"] != nil {
		t.Errorf("a code is left: %v", g)
	}
	if s := do(0, "gateway", "revoke", "--id", id, "--reason", "lost"); !strings.Contains(s, `"certificates": 0`) {
		t.Errorf("revoke: %s", s)
	}
	do(0, "gateway", "add", "--member", "metering", "--name", "Second", "--site-id", made["site_id"].(string), "--qr", filepath.Join(dir, "code.txt"))
	for want, args := range map[string][]string{
		"exists already": {"site", "add", "--member", "metering", "--name", "Riverside", "--outcode", "SW8"},
		"such as SW8":    {"site", "add", "--member", "metering", "--name", "Lakeside", "--outcode", "London"},
		"not found":      {"gateway", "revoke", "--id", "nothing"},
		"member nobody":  {"site", "add", "--member", "nobody", "--name", "x", "--outcode", "SW8"},
		"site nothing":   {"gateway", "add", "--member", "metering", "--name", "x", "--site-id", "nothing"},
	} {
		if s := do(1, args...); !strings.Contains(s, want) {
			t.Errorf("%v: %s", args, s)
		}
	}
	// A code that was made is not lost with its picture, and in no error: that may be logged.
	exit, out, errs := call(t, "gateway", "code", "--id", id, "--qr", filepath.Join(dir, "nowhere", "code.png"), "--config", path)
	if text, _ := object(out)["code"].(string); exit != 1 || len(text) != len(identity.ExampleEnrolCode) || strings.Contains(errs, text) || !strings.Contains(errs, "not its picture") {
		t.Errorf("without a picture: %d\n%s%s", exit, out, errs)
	}
	for _, args := range [][]string{{"site", "add"}, {"site", "list"}, {"gateway", "revoke"}, {"gateway", "code"}, {"gateway", "add", "--member", "metering"}, {"site"}} {
		do(2, args...)
	}
}
