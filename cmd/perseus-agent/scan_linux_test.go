package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	packager "github.com/goburrow/modbus"
	"golang.org/x/sys/unix"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// serialMeters answers at the far end of a serial wire, but only while the port
// is set as the meters are: others hear noise, and stay silent.
type serialMeters struct {
	far   *os.File // it shows how the other end is set
	units map[uint8]meterImage
	baud  uint32
	done  chan struct{}
}

func newSerialMeters(t *testing.T, baud uint32, units map[uint8]meterImage) (path string) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(far.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(far.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	near, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetTermios(int(near.Fd()), unix.TCSETS, &unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B9600}); err != nil {
		t.Fatal(err)
	}
	m := &serialMeters{far: far, units: units, baud: baud, done: make(chan struct{})}
	t.Cleanup(func() {
		near.Close() // the last of this end: it ends what serve is reading
		<-m.done
		far.Close()
	})
	go m.serve()
	return path
}

func (m *serialMeters) serve() {
	defer close(m.done)
	var p [256]byte
	for {
		n, err := m.far.Read(p[:])
		if err != nil {
			return
		}
		if n != 8 || !m.hears() { // a read request is 8 bytes, written at once
			continue
		}
		at, count := binary.BigEndian.Uint16(p[2:]), binary.BigEndian.Uint16(p[4:])
		image, ok := m.units[p[0]]
		table := map[byte]string{3: "holding", 4: "input"}[p[1]]
		if !ok || table == "" {
			continue
		}
		answer := &packager.ProtocolDataUnit{FunctionCode: p[1]}
		words, err := image.read(table, at, count)
		if err != nil {
			answer.FunctionCode |= 0x80
			answer.Data = []byte{2}
		} else {
			answer.Data = []byte{byte(2 * count)}
			for _, w := range words {
				answer.Data = binary.BigEndian.AppendUint16(answer.Data, w)
			}
		}
		h := packager.NewRTUClientHandler("") // for its frames: it opens nothing
		h.SlaveId = p[0]
		frame, err := h.Encode(answer)
		if err != nil {
			return
		}
		m.far.Write(frame)
	}
}

// hears reports whether the port has the meters' speed. A pseudo-terminal has no
// parity: Linux takes it back.
func (m *serialMeters) hears() bool {
	s, err := unix.IoctlGetTermios(int(m.far.Fd()), unix.TCGETS)
	return err == nil && s.Cflag&unix.CBAUD == m.baud
}

// A serial wire of which nothing is known: 19200 baud, units 2 and 6. Settings are tried likely first, and nobody else is asked afterwards.
func TestScanSerial(t *testing.T) {
	t.Parallel()
	iem := imageOf(t, "schneider-iem3155", 9_000_000, 3000)
	iem.Holding[0x31] = []uint16{0x6945, 0x4D33, 0x3135, 0x3500}
	path := newSerialMeters(t, unix.B19200, map[uint8]meterImage{2: iem, 6: imageOf(t, "eastron-sdm120", 7_000_000, 1000)})
	r, errs := scanned1(t, "--units", "2,4-6", "--timeout", "600ms", "rtu://"+path)
	url := "rtu://" + path + "?baud=19200&parity=even"
	if len(r.Data) != 2 {
		t.Fatalf("%+v\n%s", r.Data, errs)
	}
	if r.Data[0].URL != url || r.Data[0].Unit != 2 || r.Data[0].Template != "schneider-iem3155" || r.Data[1].Unit != 6 || r.Data[1].Template != "eastron-sdm120" {
		t.Errorf("%+v\n%s", r.Data, errs)
	}
	if strings.Contains(errs, "baud=2400") || !strings.Contains(errs, "baud=9600&parity=even: asking units 2, 4 to 5") || !strings.Contains(errs, url+": answered; asking the other units") {
		t.Errorf("the way there:\n%s", errs)
	}
	cfg, err := config.Parse("proposed", []byte(r.Configuration))
	if err != nil || cfg.Buses[0].URL != url {
		t.Errorf("%v\n%s", err, r.Configuration)
	}
}

// A wire on which nobody is says what to try.
func TestScanSerialNobody(t *testing.T) {
	t.Parallel()
	path := newSerialMeters(t, unix.B19200, nil)
	code, out, errs := cli(t, "scan", "--config", path+"-none", "--units", "1", "--timeout", "10ms", "rtu://"+path+"?baud=9600")
	if code != failed || !strings.Contains(out, "nothing found") || !strings.Contains(errs, "are A and B the right way round") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
