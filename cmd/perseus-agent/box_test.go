package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// meterImage is what a unit holds: blocks of registers by their first address.
type meterImage struct {
	Input   map[uint16][]uint16 `json:"input"`
	Holding map[uint16][]uint16 `json:"holding"`
}

// imageOf makes an image in which a template's registers and signs hold
// believable values: import value Wh, export a tenth of it, 50 Hz, 231 V, the
// power, a third of it in each phase, the serial number 4711.
func imageOf(t *testing.T, template string, importWh, watts int64) meterImage {
	t.Helper()
	tpl, err := config.TemplateNamed(template)
	if err != nil {
		t.Fatal(err)
	}
	all, err := scan.AllSigns()
	if err != nil {
		t.Fatal(err)
	}
	m := meterImage{Input: map[uint16][]uint16{}, Holding: map[uint16][]uint16{}}
	for i, r := range tpl.Registers {
		v := importWh
		for range i {
			v /= 10
		}
		m.set(t, r.Point, float64(v))
	}
	s := all[template]
	if s.Volts != nil {
		m.set(t, *s.Volts, 231)
	}
	if s.Hertz != nil {
		m.set(t, *s.Hertz, 50)
	}
	if s.Power != nil {
		m.set(t, *s.Power, float64(watts))
	}
	for _, p := range s.Phases {
		m.set(t, p, float64(watts)/3)
	}
	if r := tpl.SerialRegister; r != nil && r.Type == "uint32" {
		m.table(r.Table)[r.Address] = []uint16{0, 4711}
	}
	return m
}

func (m meterImage) table(name string) map[uint16][]uint16 {
	if name == "input" {
		return m.Input
	}
	return m.Holding
}

// set puts a value in base units (or W, V, Hz) where a point is read.
func (m meterImage) set(t *testing.T, p modbus.Point, base float64) {
	t.Helper()
	f, err := p.Factor()
	if err != nil {
		t.Fatal(err)
	}
	one, _ := f.Float64()
	v := base / one
	var b []byte
	switch p.Type {
	case "float32":
		b = binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(v)))
	case "float64":
		b = binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
	case "uint16", "int16":
		b = binary.BigEndian.AppendUint16(nil, uint16(int64(math.Round(v))))
	case "uint32", "int32":
		b = binary.BigEndian.AppendUint32(nil, uint32(int64(math.Round(v))))
	case "uint64", "int64":
		b = binary.BigEndian.AppendUint64(nil, uint64(int64(math.Round(v))))
	default:
		t.Fatalf("no image of a %s", p.Type)
	}
	order := p.Order
	if order == "" {
		order = "ABCDEFGH"[:len(b)]
	}
	words := make([]uint16, len(b)/2)
	for i := range order {
		words[i/2] |= uint16(b[order[i]-'A']) << (8 * (1 - i%2))
	}
	m.table(p.Table)[p.Address] = words
}

// box is a Modbus server with images behind it, that may change with the time.
type box struct {
	mu    sync.Mutex
	units map[uint8]meterImage
}

func (b *box) HandleCoils(*wire.CoilsRequest) ([]bool, error) { return nil, wire.ErrIllegalFunction }

func (b *box) HandleDiscreteInputs(*wire.DiscreteInputsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}

func (b *box) HandleHoldingRegisters(r *wire.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite {
		return nil, wire.ErrIllegalFunction
	}
	return b.read(r.UnitId, "holding", r.Addr, r.Quantity)
}

func (b *box) HandleInputRegisters(r *wire.InputRegistersRequest) ([]uint16, error) {
	return b.read(r.UnitId, "input", r.Addr, r.Quantity)
}

func (b *box) read(unit uint8, table string, at, n uint16) ([]uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.units[unit]
	if !ok {
		return nil, wire.ErrGWTargetFailedToRespond
	}
	return m.read(table, at, n)
}

func (m meterImage) read(table string, at, n uint16) ([]uint16, error) {
	words := map[uint16]uint16{}
	for first, block := range m.table(table) {
		for i, w := range block {
			words[first+uint16(i)] = w
		}
	}
	out := make([]uint16, 0, n)
	for i := range n {
		w, ok := words[at+i]
		if !ok {
			return nil, wire.ErrIllegalDataAddress
		}
		out = append(out, w)
	}
	return out, nil
}

// served starts a box and gives its address.
func (b *box) served(t *testing.T) string {
	t.Helper()
	address := ports.Address(t)
	s, err := wire.NewServer(&wire.ServerConfiguration{URL: "tcp://" + address, MaxClients: 8}, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return address
}

// pymodbusBox is the same made of pymodbus, which nobody here wrote. It gives
// its own identity (VendorName, ProductCode, MajorMinorRevision), if any, for
// that of each unit, as gateways do.
func pymodbusBox(t *testing.T, framer string, units map[uint8]meterImage, identity map[string]string) (address string) {
	t.Helper()
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python, _ = filepath.Abs(filepath.Join("..", "..", ".peers", "python", "bin", "python"))
	}
	if out, err := exec.Command(python, "-c", "import pymodbus").CombinedOutput(); err != nil {
		t.Skipf("no pymodbus in %s: run make peers (%v %s)", python, err, out)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "modbus_box.py"))
	var errs strings.Builder
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it serves until this end closes
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
		if said := errs.String(); t.Failed() {
			t.Logf("pymodbus: %s", said[max(0, len(said)-2000):])
		}
	})
	setup, err := json.Marshal(map[string]any{"framer": framer, "units": units, "identity": identity})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(in, "%s\n", setup)
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		said <- line
	}()
	select {
	case line := <-said:
		var version string
		var port int
		if _, err := fmt.Sscanf(line, "pymodbus %s %d", &version, &port); err != nil {
			t.Fatalf("pymodbus said %q: %v", line, err)
		}
		return fmt.Sprintf("127.0.0.1:%d", port)
	case <-time.After(60 * time.Second):
		t.Fatal("pymodbus did not say within 60 s where it listens")
		return ""
	}
}
