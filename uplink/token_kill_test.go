package uplink

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// between puts a script in the place of pkcs11-tool, which counts its calls: $n
// is which one this is, $real the tool itself. It gives how to begin anew, and how
// many there were.
func between(t *testing.T, script string) (again func(), calls func() int) {
	t.Helper()
	really, err := exec.LookPath("pkcs11-tool")
	if err != nil {
		t.Skip("pkcs11-tool is not installed (apt-get install opensc): keys in a token are not tested")
	}
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	text := fmt.Sprintf("#!/bin/sh\nreal=%s\necho x >>%s\nn=$(wc -l <%s)\n%s\n", really, count, count, script)
	if err := os.WriteFile(filepath.Join(dir, "pkcs11-tool"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() { os.Remove(count) }, func() int {
		b, _ := os.ReadFile(count)
		return strings.Count(string(b), "x")
	}
}

// killEnv tells the test program to be the one that is killed: identity folder,
// directory, authority and key store, with a bar between them.
const killEnv = "PERSEUS_TEST_ENROL_TOKEN"

// Killed before or after any piece of the token's work in an enrolment, the
// identity before is whole and can sign, the same code finishes what was begun,
// and no key is left over in the token.
func TestTokenEnrollKilled(t *testing.T) {
	if env := os.Getenv(killEnv); env != "" {
		at := strings.Split(env, "|")
		_, err := Enroll(t.Context(), EnrollRequest{Directory: at[1], Code: goodCode, Dir: at[0], CAFile: at[2], Keys: at[3], Force: true})
		fmt.Println("done", err)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tok := keystoretest.NewToken(t, "Gateway 1")
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	req := EnrollRequest{Directory: serve(t, pki, nil, d), Code: goodCode, Dir: t.TempDir(), CAFile: caFile(t, pki), Keys: tok.Kind, Force: true}
	again, _ := between(t, `[ "$n" = "$KILL_AFTER" ] && { $real "$@" >/dev/null 2>&1; kill -9 $PPID; exit 1; }
[ "$n" = "$KILL_BEFORE" ] && { kill -9 $PPID; exit 1; }
exec $real "$@"`)
	enrol := func() {
		t.Helper()
		d.mu.Lock()
		d.used = false // a new code, so to speak
		d.mu.Unlock()
		if _, err := Enroll(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	whole := func() string {
		t.Helper()
		f, err := openFolder(req.Dir, req.Keys)
		if err != nil {
			t.Fatal(err)
		}
		if !f.works(time.Now()) {
			t.Fatal("the identity does not work")
		}
		return f.dir
	}
	enrol()
	killed := 0
	for n := 1; ; n += 2 {
		before := whole()
		d.mu.Lock()
		d.used = false
		d.mu.Unlock()
		again()
		child := exec.Command(program, "-test.run", "^TestTokenEnrollKilled$")
		when := []string{"KILL_AFTER", "KILL_BEFORE"}[n/2%2]
		child.Env = append(os.Environ(), killEnv+"="+req.Dir+"|"+req.Directory+"|"+req.CAFile+"|"+req.Keys, fmt.Sprintf("%s=%d", when, n))
		out, err := child.CombinedOutput()
		if err == nil && strings.Contains(string(out), "done <nil>") {
			break // fewer calls than that
		}
		if killed++; child.ProcessState.ExitCode() >= 0 {
			t.Fatalf("not killed: %v: %s", err, out)
		}
		if whole() != before {
			t.Fatalf("killed at call %d: another identity is in use", n)
		}
		if _, err := Enroll(t.Context(), req); err != nil {
			t.Fatalf("killed at call %d: the same code does not finish it: %v", n, err)
		}
		if err := tidyEnrolments(req.Dir, req.Keys); err != nil {
			t.Fatal(err)
		}
		if left, err := keystore.Tidy(req.Keys, req.Dir); left != 0 || err != nil || tok.Keys() != 2 {
			t.Fatalf("killed at call %d: %d keys in the token, %d still to be destroyed, %v", n, tok.Keys(), left, err)
		}
	}
	if killed < 5 {
		t.Errorf("killed %d times only", killed)
	}
}

// From any piece of its work on, the token fails for the rest of a renewal: the
// present pair is used on, the next renewal comes through, and no key is left
// over.
func TestTokenFailsAtAnyCall(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	r := newRenewal(t)
	r.keys = tok.Kind
	r.open(t)
	again, calls := between(t, `[ "$n" -ge "${FAIL_FROM:-999}" ] && { echo "error: PKCS11 function C_OpenSession failed: rv = CKR_DEVICE_REMOVED (0x32)" >&2; exit 1; }
exec $real "$@"`)
	now := r.now()
	for n, failing := 1, true; failing; n++ {
		r.est.mu.Lock() // due again at once, and later than those before
		r.pki.NotBefore, r.pki.NotAfter = now.AddDate(0, -9, 0), now.AddDate(0, 3, n)
		r.est.mu.Unlock()
		before := r.serial(t, clientKind)
		again()
		os.Setenv("FAIL_FROM", fmt.Sprint(n))
		r.renew(t.Context(), clientKind)
		os.Unsetenv("FAIL_FROM")
		failing = calls() >= n
		for range 3 {
			if r.serial(t, clientKind) == before {
				r.renew(t.Context(), clientKind)
			}
		}
		p, err := r.folder.current(clientKind)
		if err != nil || p.leaf().SerialNumber.String() == before {
			t.Fatalf("failing from call %d on: the renewal does not come through: %v, %+v", n, err, r.certificate(clientKind))
		}
		if err := keystore.Check(p.key); err != nil {
			t.Fatal(err)
		}
		r.tidyTokens()
		if left := tok.Keys(); left != 1 {
			t.Fatalf("failing from call %d on: %d keys in the token", n, left)
		}
		if !failing && n < 10 {
			t.Errorf("a renewal of %d calls", n-1)
		}
	}
}
