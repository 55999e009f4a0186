package modbus

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	packager "github.com/goburrow/modbus"
	wire "github.com/simonvetter/modbus"
	"golang.org/x/sys/unix"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// pty makes a serial port without an adapter: what is written to the far end
// comes out of the port at path, and the other way round.
func pty(t *testing.T) (far *os.File, path string) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { far.Close() })
	fd := int(far.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	// The port stays open at this end too, so that the far end reads nothing
	// but questions while the driver has it closed. Raw, or it would echo.
	near, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if err := unix.IoctlSetTermios(int(near.Fd()), unix.TCSETS, &unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B9600}); err != nil {
		t.Fatal(err)
	}
	return far, path
}

func TestSerialPortReadsARegister(t *testing.T) {
	far, path := pty(t)
	f := newFaulty(1, 60*time.Millisecond)
	f.share, f.latency = 0, 5*time.Millisecond
	go f.serve(far)
	b := faultyBus(t, "rtu://"+path+"?baud=19200&parity=even&stop=1", 10*time.Second) // a loaded machine must not look like a meter that is off
	defer b.Close()
	for meter := range 2 {
		got, err := b.Poll(t.Context(), meter, nil)
		if err != nil || len(got) != len(faultyAddresses) {
			t.Fatalf("meter %d: %v, %v", meter, got, err)
		}
		for _, r := range got {
			if want := uint64(idOf(uint8(meter+1), readInput, faultyAddresses[r.Point])); r.Err != nil || r.Raw>>16 != want {
				t.Errorf("meter %d: %+v, want %#x in its high word", meter, r, want)
			}
		}
	}
}

// The same faults in real time on a real terminal, and what the two libraries
// make of them by themselves.
func TestNoWrongValueOnASerialPort(t *testing.T) {
	t.Parallel()
	far, path := pty(t)
	f := newFaulty(*seed, 40*time.Millisecond)
	go f.serve(far)
	b := faultyBus(t, "rtu://"+path+"?baud=115200", f.timeout)
	defer b.Close()
	sum := readMany(t, b, *reads, func() {})
	t.Logf("perseus rtu on a pty: %v, faults %v", sum, f.seen())
	f.check(t, sum)
}

func TestPlainLibrariesOnTheSameSerialPort(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, path string, timeout time.Duration) func(unit uint8, address uint16) ([]byte, error){
		"goburrow rtu": func(t *testing.T, path string, timeout time.Duration) func(uint8, uint16) ([]byte, error) {
			h := packager.NewRTUClientHandler(path)
			h.BaudRate, h.Parity, h.Timeout = 115200, "N", timeout
			t.Cleanup(func() { h.Close() })
			c := packager.NewClient(h)
			return func(unit uint8, address uint16) ([]byte, error) {
				h.SlaveId = unit
				return c.ReadInputRegisters(address, 2)
			}
		},
		"simonvetter rtu": func(t *testing.T, path string, timeout time.Duration) func(uint8, uint16) ([]byte, error) {
			c, err := wire.NewClient(&wire.ClientConfiguration{URL: "rtu://" + path, Speed: 115200, Timeout: timeout, Logger: log.New(record.Writer(t, "errors of a server", nil), "", 0)})
			if err == nil {
				err = c.Open()
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return func(unit uint8, address uint16) ([]byte, error) {
				c.SetUnitId(unit)
				return c.ReadRawBytes(address, 4, wire.INPUT_REGISTER)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, path := pty(t)
			f := newFaulty(*seed, 40*time.Millisecond)
			go f.serve(far)
			read := open(t, path, f.timeout)
			var sum tally
			for i := range min(2**reads, 1000) {
				unit, address := uint8(1+i/4%2), faultyAddresses[i%4]
				data, err := read(unit, address)
				switch {
				case err != nil:
					sum.failed++
				case len(data) == 4 && uint16(data[0])<<8|uint16(data[1]) == idOf(unit, readInput, address):
					sum.good++
				default:
					sum.wrong++
				}
			}
			t.Logf("%s on a pty: %v", name, sum)
			if sum.wrong == 0 {
				t.Error("the faults did nothing to a plain library: are they still faults?")
			}
		})
	}
}

// An adapter that is pulled out and put back comes back by itself, under the
// name that says what it is, whatever its number is now.
func TestPulledAdapterComesBack(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0")
	far, path := pty(t)
	if err := os.Symlink(path, name); err != nil {
		t.Fatal(err)
	}
	f := newFaulty(1, 100*time.Millisecond)
	f.share, f.latency = 0, 2*time.Millisecond
	go f.serve(far)
	b := faultyBus(t, "rtu://"+path+"?baud=115200", f.timeout) // given by its number
	adapterOf(b, path, dir)
	defer b.Close()
	if _, err := b.Poll(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}

	// Pulled out: the far end of a terminal that hangs up.
	far.Close()
	os.Remove(name)
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	began := time.Now()
	var err error
	for range 5 {
		_, err = b.Poll(t.Context(), 0, nil)
		var de *drivers.Error
		if !errors.As(err, &de) || de.Kind != drivers.Refused || !strings.Contains(de.Hint, "plugged in") {
			t.Fatalf("while it is out: %v", err)
		}
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("5 polls without an adapter took %v", took)
	}
	if cpu := time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()); cpu > 400*time.Millisecond {
		t.Errorf("5 polls without an adapter took %v of the processor", cpu)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v: another adapter may have taken %s: it must be looked for under %s", err, path, name)
	}

	// Put back in: another number.
	far, path = pty(t)
	if err := os.Symlink(path, name); err != nil {
		t.Fatal(err)
	}
	go f.serve(far)
	for try := 0; ; try++ {
		got, err := b.Poll(t.Context(), 0, nil)
		if err == nil && got[0].Err == nil {
			break
		}
		if try == 20 {
			t.Fatalf("after it was put back: %v", err)
		}
	}
}

// adapterOf has a bus look for its adapter among names in a folder of the test.
func adapterOf(b *Bus, path, dir string) {
	a := &adapter{path: path, dir: dir}
	b.rtu.dial = func() (link, error) { return a.open(b.target, b.rtu.line.gap) }
}
