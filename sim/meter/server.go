package meter

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"sync"
	"time"

	wire "github.com/simonvetter/modbus"
)

// Counter gives a register in Wh at an instant. *Load is one by its Register.
type Counter func(t time.Time) int64

// Unit is one simulated meter: import at input and holding register 0x0100,
// export at 0x0104, and a third, the reactive import, at 0x0108, each an
// uint64 in Wh or varh; the serial number at 0x0000 (uint32).
type Unit struct {
	Serial                   uint32
	Import, Export, Reactive Counter // nil: the register does not exist
}

// The addresses of a Unit's registers.
const (
	SerialAddress   = 0x0000
	ImportAddress   = 0x0100
	ExportAddress   = 0x0104
	ReactiveAddress = 0x0108
)

// Server is a Modbus TCP gateway with units behind it.
type Server struct {
	now    func() time.Time
	units  map[uint8]Unit
	faults Faults

	mu  sync.Mutex // guards rng: the library calls from a goroutine a client
	rng *rand.Rand
	srv *wire.ModbusServer
}

// NewServer makes a gateway that listens at url, such as tcp://127.0.0.1:1502.
func NewServer(url string, now func() time.Time, units map[uint8]Unit, f Faults) (*Server, error) {
	if f.Delay == 0 {
		f.Delay = 2 * time.Second
	}
	s := &Server{now: now, units: units, faults: f, rng: newRand(f.Seed)}
	srv, err := wire.NewServer(&wire.ServerConfiguration{
		URL: url, Timeout: 2 * time.Minute, MaxClients: 32, Logger: log.New(io.Discard, "", 0),
	}, s)
	if err != nil {
		return nil, fmt.Errorf("simulated meters at %s: %w", url, err)
	}
	s.srv = srv
	return s, nil
}

// Start begins to listen.
func (s *Server) Start() error { return s.srv.Start() }

// Stop closes every connection.
func (s *Server) Stop() error { return s.srv.Stop() }

// HandleCoils refuses: these meters have none.
func (s *Server) HandleCoils(*wire.CoilsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}

// HandleDiscreteInputs refuses: these meters have none.
func (s *Server) HandleDiscreteInputs(*wire.DiscreteInputsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}

// HandleHoldingRegisters answers reads; the meters cannot be written.
func (s *Server) HandleHoldingRegisters(r *wire.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite {
		return nil, wire.ErrIllegalFunction
	}
	return s.read(r.UnitId, r.Addr, r.Quantity)
}

// HandleInputRegisters answers reads.
func (s *Server) HandleInputRegisters(r *wire.InputRegistersRequest) ([]uint16, error) {
	return s.read(r.UnitId, r.Addr, r.Quantity)
}

func (s *Server) read(unit uint8, addr, n uint16) ([]uint16, error) {
	u, ok := s.units[unit]
	if !ok {
		return nil, wire.ErrGWTargetFailedToRespond
	}
	fault := s.draw()
	switch fault {
	case busy:
		return nil, wire.ErrServerDeviceBusy
	case late:
		time.Sleep(s.faults.Delay)
	}
	out := make([]uint16, 0, n)
	for a := addr; a < addr+n; {
		words, err := u.register(a, s.now(), fault == zero)
		if err != nil {
			return nil, err
		}
		words = words[:min(len(words), int(addr+n-a))]
		out = append(out, words...)
		a += uint16(len(words))
	}
	return out, nil
}

// register gives the words from an address to the end of its register.
func (u Unit) register(a uint16, now time.Time, zero bool) ([]uint16, error) {
	words := func(v uint64, n, from uint16) []uint16 {
		out := make([]uint16, n)
		for i := range out {
			out[i] = uint16(v >> (16 * (int(n) - 1 - i)))
		}
		return out[from:]
	}
	if a == SerialAddress || a == SerialAddress+1 {
		return words(uint64(u.Serial), 2, a-SerialAddress), nil
	}
	for base, c := range map[uint16]Counter{ImportAddress: u.Import, ExportAddress: u.Export, ReactiveAddress: u.Reactive} {
		if c != nil && a >= base && a < base+4 {
			v := uint64(0)
			if !zero {
				v = uint64(c(now))
			}
			return words(v, 4, a-base), nil
		}
	}
	return nil, wire.ErrIllegalDataAddress
}
