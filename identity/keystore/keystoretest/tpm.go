// Package keystoretest gives tests a TPM and a PKCS#11 token.
package keystoretest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SoftwareTPM starts a TPM 2.0 of Debian's swtpm at a socket, and gives its kind
// for keystore.Open. Without swtpm the test is skipped.
func SoftwareTPM(t testing.TB) string {
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
	// The socket listens before the program starts and is handed to it: whoever
	// connects early waits for it in the kernel.
	socket := filepath.Join(dir, "sock")
	at, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { at.Close() })
	file, err := at.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var said bytes.Buffer
	cmd := exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,fd=3", "--flags", "not-need-init,startup-clear")
	cmd.ExtraFiles = []*os.File{file} // 3 there
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("swtpm: %s", said.String())
		}
	})
	return "tpm:" + socket
}
