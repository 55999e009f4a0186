// Package keystoretest gives tests a TPM.
package keystoretest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// SoftwareTPM starts a TPM 2.0 of Debian's swtpm at a socket, and gives its kind
// for keystore.Open. Without swtpm the test is skipped.
func SoftwareTPM(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("swtpm is not installed (apt-get install swtpm): keys in a TPM are not tested")
	}
	dir, err := os.MkdirTemp("", "tpm") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	var said bytes.Buffer
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return "tpm:" + socket
		}
		if time.Now().After(deadline) {
			t.Fatalf("the TPM does not start: %v: %s", err, said.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
