package uplink

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// swapEnv tells the test program to be the one that is killed.
const swapEnv = "PERSEUS_TEST_SWAP"

// swaps replaces the pairs of a folder for ever, and says each step.
func swaps(t *testing.T, dir string) {
	f, err := openFolder(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t) // the chain is not what this is about
	m := memDirectory{t: t, pki: pki}
	step := func(name string, err error) {
		if err != nil {
			t.Fatal(name, err)
		}
		fmt.Println("step", name)
	}
	for {
		for _, k := range kinds {
			key, err := f.newKey(k)
			step("key", err)
			csr, err := identity.NewCSR(key, "x")
			step("request", err)
			chain, err := identity.ParseCertificates(m.issue(string(csr), pki.ClientCA, pki.Client(gatewayURL, "Shop Ltd", memberURL).Cert()))
			step("issued", err)
			_, err = f.keep(k, chain)
			step("kept", err)
			step("adopted", f.adopt(k))
			step("tidied", f.tidy(k))
		}
	}
}

// Killed at any moment of a swap, the folder is a working identity, and the
// swap can be taken up again.
func TestSwapKilled(t *testing.T) {
	if dir := os.Getenv(swapEnv); dir != "" {
		swaps(t, dir)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	identityFolder(t, dir, identitytest.New(t))
	before := ""
	moved := 0
	for i := range 25 {
		child := exec.Command(program, "-test.run", "^TestSwapKilled$")
		child.Env = append(os.Environ(), swapEnv+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 1 + rand.IntN(40); n > 0 && lines.Scan(); n-- {
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		f, err := openFolder(dir, "") // loads both pairs, and that each fits together
		if err != nil {
			t.Fatalf("killed %d times: %v", i+1, err)
		}
		p, err := f.current(clientKind)
		if err != nil {
			t.Fatal(err)
		}
		if s := p.leaf().SerialNumber.String(); s != before {
			before, moved = s, moved+1
		}
		if _, err := f.waiting(clientKind); err != nil {
			t.Fatalf("killed %d times: what is on its way cannot be read: %v", i+1, err)
		}
	}
	if moved < 5 {
		t.Errorf("only %d swaps came through", moved)
	}
}

// Every state that a power cut can leave behind, one by one: which pair counts.
func TestSwapStates(t *testing.T) {
	pki := identitytest.New(t)
	write := func(dir, name string, l *identitytest.Leaf, parts ...string) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		l.Write(dir, name)
		for _, part := range []string{"pem", "key"} {
			if len(parts) > 0 && parts[0] != part {
				os.Remove(filepath.Join(dir, name+"."+part))
			}
		}
	}
	a, b, c := pki.Client(gatewayURL, "x", memberURL), pki.Client(gatewayURL, "x", memberURL), pki.Client(gatewayURL, "x", memberURL)
	for name, x := range map[string]struct {
		make func(dir string)
		want *identitytest.Leaf
	}{
		"a folder was made":   {func(d string) { os.Mkdir(d+"/client-new", 0o700) }, a},
		"a key was made":      {func(d string) { write(d+"/client-new", "client", b, "key") }, a},
		"a certificate came":  {func(d string) { write(d+"/client-new", "client", b) }, a},
		"it came into use":    {func(d string) { write(d+"/client-2", "client", b) }, b},
		"the old key is gone": {func(d string) { write(d+"/client-2", "client", b); os.Remove(d + "/client.key") }, b},
		"all of the old is gone": {func(d string) {
			write(d+"/client-2", "client", b)
			os.Remove(d + "/client.key")
			os.Remove(d + "/client.pem")
		}, b},
		"the next came into use":     {func(d string) { write(d+"/client-2", "client", b); write(d+"/client-3", "client", c) }, c},
		"half of the second is gone": {func(d string) { write(d+"/client-2", "client", b, "pem"); write(d+"/client-10", "client", c) }, c},
		"somebody's own folders": {func(d string) {
			os.Mkdir(d+"/client-old", 0o700)
			os.Mkdir(d+"/client-02", 0o700)
			os.WriteFile(d+"/client-7", nil, 0o600)
		}, a},
	} {
		dir := t.TempDir()
		identityFolder(t, dir, pki)
		write(dir, "client", a)
		x.make(dir)
		f, err := openFolder(dir, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := f.current(clientKind)
		if err != nil || !p.leaf().Equal(x.want.Cert()) {
			t.Errorf("%s: another pair counts, %v", name, err)
		}
		if err := f.tidy(clientKind); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p, err := f.current(clientKind); err != nil || !p.leaf().Equal(x.want.Cert()) {
			t.Errorf("%s: another pair counts once tidied, %v", name, err)
		}
	}
}
