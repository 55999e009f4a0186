package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// Wires whose frames carry a number, with many of their answers wrong: what the
// driver takes is what the register shows, or a zero or an old value that a
// device itself gives. (Of serial frames the driver is warier, and slower: its
// own tests play them in virtual time, and integration's in real time.)
func TestWiresWithFaults(t *testing.T) {
	for _, wire := range []string{"tcp", "udp"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			s := play(t, Options{Text: wireYAML(wire), Faults: faultsOf(t, "late=1%,lost=1%,zero=2%,nan=2%,stale=2%,repeat=2%,swap=2%,foreign=1%,split=2%,short=1%,busy=2%"), Seed: 5})
			b := s.buses[0]
			driver := open(t, s, b)
			good, bad := 0, 0
			until(t, "enough answers", func() error {
				for i, src := range b.sources {
					got, _ := driver.Poll(t.Context(), i, nil)
					for _, r := range got {
						reg := src.registers[r.Point]
						now, old := reg.flowed(noon), reg.flowed(noon.Add(-oldAnswer))
						off := func(v int64) int64 { return max(r.Sample.Value-v, v-r.Sample.Value) }
						switch {
						case r.Err != nil:
							bad++
						case r.Sample.Value != 0 && off(now) > reg.cfg.StepAt(now) && off(old) > reg.cfg.StepAt(now):
							t.Fatalf("%s %s: %d, where it showed %d", src.meter.ID, reg.cfg.Measure, r.Sample.Value, now)
						default:
							good++
						}
					}
				}
				if good < 40 || bad < 2 {
					return fmt.Errorf("%d good, %d not", good, bad)
				}
				return nil
			})
			t.Logf("%d good, %d not; played %s", good, bad, b.dice.Played())
		})
	}
}

func wireYAML(wire string) []byte {
	url := wire + "://h"
	if wire == "rtu" {
		url = "rtu:///dev/ttyS7?baud=115200"
	}
	return fmt.Appendf(nil, `site: {name: Wire}
buses:
  - {id: wire, driver: modbus, url: "%s", timeout: 150ms}
meters:
  - {id: a, bus: wire, unit: 1, template: eastron-sdm630}
  - {id: b, bus: wire, unit: 2, template: schneider-iem3155}
`, url)
}

func faultsOf(t *testing.T, s string) fault.List {
	t.Helper()
	var l fault.List
	if err := l.Set(s); err != nil {
		t.Fatal(err)
	}
	return l
}

// ask puts the question for the import of meter a, in a serial line's frame,
// and gives the answer.
func ask(w io.ReadWriter) ([]byte, error) {
	if _, err := w.Write([]byte{0x01, 0x04, 0x00, 0x48, 0x00, 0x02, 0xF1, 0xDD}); err != nil {
		return nil, err
	}
	answer := make([]byte, 9)
	_, err := io.ReadFull(w, answer)
	return answer, err
}

// A serial wire, asked by hand: it answers in the frame of a serial line, is
// gone when it is to, and comes back under its own name.
func TestSerialWire(t *testing.T) {
	for _, wire := range []string{"rtuovertcp", "rtu"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			if wire == "rtu" && runtime.GOOS != "linux" {
				t.Skip("a serial port can be played on Linux only")
			}
			s := play(t, Options{Text: wireYAML(wire), Faults: faultsOf(t, "disconnect@20m+20m"), Now: running()}) // 2 s of life, after 2 s
			b := s.buses[0]
			r := b.sources[0].registers[0]
			dial := func() (io.ReadWriteCloser, error) {
				if wire == "rtu" {
					return os.OpenFile(b.at.address, os.O_RDWR, 0)
				}
				return net.Dial("tcp", b.at.address)
			}
			read := func() error {
				w, err := dial()
				if err != nil {
					return err
				}
				defer w.Close()
				answer, err := ask(w)
				if err != nil {
					return err
				}
				got := float64(math.Float32frombits(binary.BigEndian.Uint32(answer[3:]))) * 1000
				if want := float64(r.total(s.opt.Now())); !slices.Equal(answer[:3], []byte{1, 4, 4}) || crc(answer[:7]) != binary.LittleEndian.Uint16(answer[7:]) || math.Abs(got-want) > 5000 {
					t.Fatalf("% X, %.0f Wh, want %.0f", answer, got, want)
				}
				return nil
			}
			until(t, "an answer", read)
			until(t, "that it is gone", func() error {
				if s.opt.Now().Before(noon.Add(20 * time.Minute)) {
					if err := read(); err != nil {
						return err // not before its time
					}
					return errors.New("it answers")
				}
				w, err := dial()
				if err != nil {
					return nil
				}
				defer w.Close()
				if _, err := ask(w); err == nil {
					return errors.New("it still answers")
				}
				return nil
			})
			until(t, "that it is back", read)
			if wire == "rtu" {
				if to, err := os.Readlink(b.at.address); err != nil || !strings.HasPrefix(to, "/dev/pts/") {
					t.Errorf("the port leads to %s, %v", to, err)
				}
			}
		})
	}
}

// What the agent is given is what was configured, on this machine, with its
// own store and without secrets and uplink.
func TestRewrite(t *testing.T) {
	dir := t.TempDir()
	text := `site: {name: "Riverside", outcode: SW8}
uplink: {url: "https://relay.example.org"}
store: {keep_half_hours: 100d}
gas: {calorific_values: cv.csv}
buses:
  - {id: plant, driver: modbus, url: "rtu:///dev/ttyUSB0?baud=9600&parity=even", pause: 50ms}
  - {id: secure, driver: modbus, url: "tls://10.0.0.5?ca=a&cert=b&key=c"}
  - {id: bms, driver: mqtt, format: udmi, url: "mqtts://broker.local:8883", backup: ["mqtts://other.local"], user: me, password_file: pw, ca: ca.pem, client_id: fixed}
  - {id: dcc, driver: dcc, format: n3rgy, url: "https://consumer-api.data.n3rgy.com", token_file: token}
  - {id: drop, driver: dcc, format: csv, url: "file:///srv/drop?label=end"}
meters:
  - {id: main, bus: plant, unit: 1, template: eastron-sdm630, ct: "200/5"}
  - {id: second, bus: secure, unit: 1, template: eastron-sdm630}
  - {id: points, bus: bms, device: EM-1, metadata: em1.json, points: {import: {point: e, unit: kWh}}}
  - {id: fed, bus: dcc, mpan: "2000000000006", measures: [import]}
  - {id: files, bus: drop, device: x, measures: [import]}
  - {id: half, virtual: {of: main, share: 50%, method: AreaOccupied}}
`
	file := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Config: file, Dir: filepath.Join(dir, "played"), PortBase: 18500, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.AgentConfig())
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	for _, want := range []string{
		"url: rtu://" + dir + "/played/plant.port?baud=9600&parity=even", "url: tcp://127.0.0.1:18502", "url: mqtt://127.0.0.1:18503", "url: http://127.0.0.1:18504?version=consumer",
		"url: file://" + dir + "/played/drop-drop?label=end", "token_file: " + dir + "/played/key", "path: " + dir + "/played/agent.db", "keep_half_hours: 100d", "listen: 127.0.0.1:18500",
		"metadata: " + dir + "/em1.json", "calorific_values: " + dir + "/cv.csv", "client_id: fixed", "ct: 200/5", "pause: 50ms", "share: 50%",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	for _, no := range []string{"uplink", "broker.local", "password_file", "ca.pem", "n3rgy.com", "ttyUSB0"} {
		if strings.Contains(got, no) {
			t.Errorf("%q is still in it", no)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}
