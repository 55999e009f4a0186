package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
)

const planted = "./testdata/planted"

// The whole way: each kind of leak, planted in a test of its own, fails the
// suite, which says what leaked and where, and does not repeat the secret.
func TestPlanted(t *testing.T) {
	for _, x := range []struct{ plant, kind, in string }{
		{"", "", ""},
		{"logger", "made by a test", "(log "},
		{"handler", "enrolment code", "(log "},
		{"t.Log", "private key", "(output of internal/secrets/suite/testdata/planted)"},
		{"slog.Default", "made by a test", "(output of"},
		{"log", "password", "(output of"},
		{"child", "made by a test", "(sh "},
		{"failing", "made by a test", "(output of"},
	} {
		t.Run("plant "+x.plant, func(t *testing.T) {
			t.Setenv("PERSEUS_TEST_PLANT", x.plant)
			dir := filepath.Join(t.TempDir(), "kept")
			var out, errs strings.Builder
			code := run([]string{"-keep", dir, planted}, &out, &errs)
			said := out.String()
			ok := strings.HasPrefix(said, "ok  \tgithub.com/perseus-edge/perseus-edge/internal/secrets/suite/testdata/planted\t")
			if ok != (x.plant != "failing") || (code == 0) != (x.plant == "") {
				t.Fatalf("exit %d\n%s%s", code, said, errs.String())
			}
			want := "none found\n"
			if x.kind != "" {
				want = "1 FOUND\nsecrets: a secret is in a log: " + x.kind + ", made in internal/secrets/suite/testdata/planted"
			}
			if !strings.Contains(said, want) || !strings.Contains(said, x.in) {
				t.Errorf("says\n%s, not\n%s", said, want)
			}
			if _, finding, _ := strings.Cut(said, "secret is in a log"); x.kind != "" && (!strings.Contains(finding, "****") || !strings.Contains(finding, " TestPlanted (")) {
				t.Errorf("says\n%s", said)
			}
		})
	}
}

// The logs of a demo: what is in its folder and must not be in them.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"logs", "identity"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var first string
	for i := range 10 {
		key, err := identity.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "identity", fmt.Sprint(i, ".key"))
		if err := identity.WriteKey(path, key); err != nil {
			t.Fatal(err)
		}
		b, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		first = hex.EncodeToString(b)
	}
	member, admin, code := "pdt_"+rand.Text(), "pdt_"+rand.Text(), identity.NewCode()
	write("demo.json", fmt.Sprintf(`{"member_token": %q, "admin_token": %q, "sme": {"code": %q}}`, member, admin, code))
	seal := strings.Repeat("\x7f\x03seal", 6)[:32]
	write("identity/seal.key", seal)
	quiet := strings.Repeat("level=INFO msg=fine\n", 12)
	for leak, kind := range map[string]string{"": "", "token=" + admin: "API token", "key=" + first: "private key", "seal=" + hex.EncodeToString([]byte(seal)): "key that seals", "code " + code: "code of the gateway", "the file is small": "at least 10 were expected"} {
		write("logs/agent.log", quiet+leak+"\n")
		if strings.HasPrefix(kind, "at least") {
			write("logs/agent.log", leak+"\n")
		}
		var out, errs strings.Builder
		if code := run([]string{"-demo", dir}, &out, &errs); (code != 0) != (kind != "") || !strings.Contains(out.String(), kind) {
			t.Errorf("%q: exit %d: %s%s", leak, code, out.String(), errs.String())
		}
	}
	write("said", "the token is "+member+"\n")
	write("logs/agent.log", quiet)
	var out, errs strings.Builder
	if code := run([]string{"-demo", dir, filepath.Join(dir, "said")}, &out, &errs); code == 0 || !strings.Contains(out.String(), "(said)") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}

func TestFolderMustBeEmpty(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secrets-old.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := run([]string{"-keep", dir, planted}, &out, &errs); code == 0 || !strings.Contains(errs.String(), "need an empty folder") {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
}

// What is shown of go test's events is what go test shows without them.
func TestPlain(t *testing.T) {
	for _, x := range []struct{ name, events, want string }{
		{"passes", `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"a","Test":"TestA","Output":"    a_test.go:1: said\n"}
{"Action":"output","Package":"a","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
`, "ok  \ta\t0.1s\n"},
		{"no tests", `{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"?   \ta\t[no test files]\n"}
{"Action":"skip","Package":"a"}
`, "?   \ta\t[no test files]\n"},
		{"fails", `{"Action":"output","Package":"a","Test":"TestA","Output":"    a_test.go:1: of A\n"}
{"Action":"output","Package":"a","Test":"TestA/sub","Output":"=== RUN   TestA/sub\n"}
{"Action":"output","Package":"a","Test":"TestA/sub","Output":"    a_test.go:2: of sub\n"}
{"Action":"output","Package":"a","Test":"TestA/good","Output":"    a_test.go:2: of good\n"}
{"Action":"output","Package":"a","Test":"TestA/good","Output":"    --- PASS: TestA/good (0.00s)\n"}
{"Action":"pass","Package":"a","Test":"TestA/good"}
{"Action":"output","Package":"a","Test":"TestA/sub","Output":"    --- FAIL: TestA/sub (0.00s)\n"}
{"Action":"fail","Package":"a","Test":"TestA/sub"}
{"Action":"output","Package":"a","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Output":"FAIL\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
`, "--- FAIL: TestA (0.00s)\n    a_test.go:1: of A\n    --- FAIL: TestA/sub (0.00s)\n        a_test.go:2: of sub\nFAIL\nFAIL\ta\t0.1s\n"},
		{"panics", `{"Action":"run","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"a","Test":"TestA","Output":"panic: boom\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
`, "panic: boom\nFAIL\ta\t0.1s\n"},
		{"does not build", `{"ImportPath":"a [a.test]","Action":"build-output","Output":"# a [a.test]\n"}
{"ImportPath":"a [a.test]","Action":"build-output","Output":"./a_test.go:3:1: syntax error\n"}
{"ImportPath":"a [a.test]","Action":"build-fail"}
{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a","FailedBuild":"a [a.test]"}
`, "# a [a.test]\n./a_test.go:3:1: syntax error\nFAIL\ta [build failed]\n"},
		{"something else", "no event\n", "no event\n"},
	} {
		var out strings.Builder
		p := newPlain(&out)
		for l := range lines(strings.NewReader(x.events)) {
			p.line(l)
		}
		if out.String() != x.want {
			t.Errorf("%s: shows\n%q, want\n%q", x.name, out.String(), x.want)
		}
	}
}
