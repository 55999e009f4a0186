package modbus

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// pymodbus starts a server that nobody here wrote, and gives its address.
func pymodbus(t *testing.T, args ...string) string {
	t.Helper()
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".peers", "python", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skip("no pymodbus here: run make peers")
	}
	c := exec.Command(python, append([]string{filepath.Join("testdata", "peer", "server.py")}, args...)...)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skipf("no Python here: %v", err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var version string
	var port int
	if _, scan := fmt.Sscanf(line, "pymodbus %s %d", &version, &port); err != nil || scan != nil {
		t.Fatalf("pymodbus said %q, %v", line, err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// Each way to a meter against pymodbus: registers, a refusal, and who it is.
func TestPymodbus(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "device")
	ourCert, ourKey := certificate(t, dir, "gateway")
	for name, open := range map[string]func(t *testing.T) string{
		"tcp":        func(t *testing.T) string { return "tcp://" + pymodbus(t, "socket") },
		"rtuovertcp": func(t *testing.T) string { return "rtuovertcp://" + pymodbus(t, "rtu") },
		"tls": func(t *testing.T) string {
			return "tls://" + pymodbus(t, "socket", cert, key, ourCert) + "?" + url.Values{"ca": {cert}, "cert": {ourCert}, "key": {ourKey}}.Encode()
		},
		"rtu": func(t *testing.T) string { // its serial port is a terminal, wired to its socket
			conn, err := net.Dial("tcp", pymodbus(t, "rtu"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			far, path := pty(t)
			go io.Copy(far, conn)
			go io.Copy(conn, far)
			return "rtu://" + path + "?baud=19200&parity=even"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := wired(open(t), pt(0x10), pt(0x12), Point{Measure: 2, Address: 0x30, Type: "uint16", Unit: "Wh"}, pt(0x1000))
			c.Timeout, c.Devices = 5*time.Second, c.Devices[:1]
			b, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for range 3 {
				got, err := b.Poll(t.Context(), 0, nil)
				if err != nil || len(got) != 4 {
					t.Fatalf("%v, %v", got, err)
				}
				for _, r := range got {
					want := []uint64{x10, 0x00120013, 0x30, 0}[r.Point]
					if r.Raw != want || (r.Err != nil) != (r.Point == 3) {
						t.Errorf("point %d: %#x, %v, want %#x", r.Point, r.Raw, r.Err, want)
					}
				}
			}
			id, err := b.Identification(t.Context(), 0)
			want := Identification{Vendor: "Perseus Works", Product: "PX-1", Revision: "2.7", Name: "Test meter", Model: "PX"}
			if err != nil || id != want {
				t.Errorf("%+v, %v, want %+v", id, err, want)
			}
		})
	}
}
