package modbus

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// A meter that answers neither proof has to be silent for three time-outs.
func TestProofByTimeAlone(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		s.ok(0, x10)
		var down atomic.Bool
		down.Store(true)
		s.on(func(_ int, q []byte) []emission {
			if down.Load() || q[1] != readInput || q[5] != 2 {
				return nil
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.forget()
		s.fails(0, drivers.Timeout, "")
		down.Store(false)
		s.fails(0, drivers.Timeout, "")
		s.fails(0, drivers.Timeout, "")
		s.asked("1:4/0x0010+2", "1:3/0x0010+1", "1:4/0x0010+3")
		failed := time.Now()
		s.ok(0, x10)
		if waited := s.when(0).Sub(failed); waited < 3*second || waited > 3*second+50*time.Millisecond {
			s.Errorf("asked after %v of silence, want 3s", waited)
		}
		s.asked("1:4/0x0010+2")
	})
}

// A meter that reads both tables: another number of registers tells apart.
func TestProofOfAMeterWithTwoTables(t *testing.T) {
	holding := Point{Measure: 2, Address: 0x30, Type: "uint16", Unit: "Wh"}
	script(t, wired(slow, pt(0x10), holding), func(s *scripted) {
		s.ok(0, 0x30, x10)
		s.on(func(int, []byte) []emission { return nil })
		s.fails(0, drivers.Timeout, "")
		s.forget()
		s.on(func(_ int, q []byte) []emission { return after(20*time.Millisecond, plain(q)) })
		s.ok(0, 0x30, x10)
		s.asked("1:3/0x0030+2", "1:3/0x0030+1", "1:4/0x0010+2")
	})
}

// One answer too many, on a wire that was quiet for long: each answer is then
// taken for that to the next question, and the last one is still to come when
// the round ends.
func TestShiftedRoundIsTakenBack(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20), pt(0x30)), func(s *scripted) {
		s.ok(0, x10, x20, 0x00300031)
		s.rtu.careful, s.log = 0, nil
		s.on(func(n int, q []byte) []emission {
			if n == 1 {
				other := append([]byte(nil), q...)
				other[3] = 0x40
				return []emission{{after: 5 * time.Millisecond, bytes: plain(other)}, {after: 20 * time.Millisecond, bytes: plain(q)}}
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.fails(0, drivers.Protocol, "nobody had asked for")
		s.asked("1:4/0x0010+2", "1:4/0x0020+2", "1:4/0x0030+2")
		s.ok(0, x10, x20, 0x00300031)
		// The first two have bits now that were taken for another's.
		s.asked("1:3/0x0010+?", "1:4/0x0010+2", "1:4/0x0010+2", "1:3/0x0010+?", "1:4/0x0020+2", "1:4/0x0020+2", "1:3/0x0020+?",
			"1:4/0x0030+2", "1:3/0x0030+?")
	})
}

// Two registers with the same bits, such as two that are 0: the second is
// asked for twice, and believed.
func TestEqualRegistersAreAskedTwice(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		zero := func(q []byte) []byte { return rtuFrame(q[0], q[1], []byte{4, 0, 0, 0, 0}) }
		s.on(func(_ int, q []byte) []emission { return after(20*time.Millisecond, zero(q)) })
		s.ok(0, 0, 0)
		s.asked("1:4/0x0010+2", "1:4/0x0020+2", "1:4/0x0020+2")
		s.on(func(n int, q []byte) []emission { // the first answer comes once more
			if n == 2 {
				return after(20*time.Millisecond, plain([]byte{1, 4, 0, 0x10, 0, 2}))
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.fails(0, drivers.Protocol, "")
	})
}

// An answer with a wrong checksum: what came before it may have been wrong too.
func TestNoiseTakesBackTheRound(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		s.ok(0, x10, x20)
		s.rtu.careful = 0
		s.on(func(n int, q []byte) []emission {
			b := plain(q)
			if n == 2 {
				b[4] ^= 1
			}
			return after(20*time.Millisecond, b)
		})
		s.fails(0, drivers.Protocol, "checksum")
		if s.rtu.careful != carefulAgain {
			s.Errorf("%d answers to be confirmed, want %d", s.rtu.careful, carefulAgain)
		}
		s.ok(0, x10, x20)
	})
}

// A unit that reads both tables, whose proof is refused as its register is:
// what was refused late may be taken for the refusal of the proof, and that
// for the register's. The register's own answer then comes behind it.
func TestRefusalBehindARefusedProof(t *testing.T) {
	holding := Point{Measure: 2, Address: 0x30, Type: "uint16", Unit: "Wh"}
	script(t, wired(slow, holding, pt(0x10)), func(s *scripted) {
		s.ok(0, 0x30, x10)
		s.on(func(int, []byte) []emission { return nil })
		s.fails(0, drivers.Timeout, "")
		refusal := func(q []byte) []byte { return rtuFrame(q[0], q[1]|exceptionBit, []byte{2}) }
		s.on(func(n int, q []byte) []emission {
			switch n {
			case 1:
				return after(20*time.Millisecond, refusal(q))
			case 2: // the proof's second refusal, and the register
				return []emission{{after: 10 * time.Millisecond, bytes: refusal(q)}, {after: 30 * time.Millisecond, bytes: plain(q)}}
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.fails(0, drivers.Protocol, "nobody had asked for")
		s.asked("1:3/0x0030+?", "1:3/0x0030+1")
		s.ok(0, 0x30, x10)

		// Refused for good, and every proof too: the other register is read.
		s.on(func(_ int, q []byte) []emission {
			if q[3] == 0x30 || q[5] != 2 {
				return after(20*time.Millisecond, refusal(q))
			}
			return after(20*time.Millisecond, plain(q))
		})
		for range 3 {
			got, err := s.Poll(s.Context(), 0, nil)
			if err != nil || len(got) != 2 || !errors.Is(got[0].Err, wire.ErrIllegalDataAddress) || got[1].Raw != x10 || got[1].Err != nil {
				s.Errorf("%+v, %v", got, err)
			}
		}
	})
}

// A proof that is not answered confirms by its silence what it was to confirm;
// its own answer may still come, so that the next question waits for another.
func TestProofThatComesLate(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		s.ok(0, x10)
		s.far.Write([]byte{0x55}) // from here on each answer is confirmed
		s.ok(0, x10)
		s.on(func(n int, q []byte) []emission {
			if n == 2 {
				return after(1500*time.Millisecond, plain(q))
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.ok(0, x10)
		s.asked("1:4/0x0010+2", "1:3/0x0010+?")
		s.ok(0, x10)
		s.asked("1:4/0x0010+?", "1:4/0x0010+2", "1:3/0x0010+?") // another kind of proof, since the first was not answered
	})
}
