package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// scripted is a wire whose meters do what a test says, in virtual time.
type scripted struct {
	*testing.T
	*Bus
	far    *farEnd
	mu     sync.Mutex  // for what follows
	log    []string    // questions: function, address, registers
	at     []time.Time // when they came
	n      int         // questions since on
	answer func(n int, q []byte) []emission
}

// on sets what the meters do from here on; n counts from 1.
func (s *scripted) on(answer func(n int, q []byte) []emission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.answer, s.log, s.at = 0, answer, nil, nil
}

// forget drops the questions so far.
func (s *scripted) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.at = nil, nil
}

// when says when a question came.
func (s *scripted) when(i int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[i]
}

// plain is the right answer: register a of a meter holds a.
func plain(q []byte) []byte {
	data := []byte{2 * q[5]}
	for i := range uint16(q[5]) {
		data = binary.BigEndian.AppendUint16(data, binary.BigEndian.Uint16(q[2:])+i)
	}
	return rtuFrame(q[0], q[1], data)
}

func after(d time.Duration, b []byte) []emission { return []emission{{after: d, bytes: b}} }

func script(t *testing.T, c Config, run func(s *scripted)) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{in: make(chan []byte, 1000), out: make(chan []byte, 1000)}
		s := &scripted{T: t, far: &farEnd{memory: m}}
		s.answer = func(_ int, q []byte) []emission { return after(20*time.Millisecond, plain(q)) }
		var err error
		if s.Bus, err = New(c); err != nil {
			t.Fatal(err)
		}
		unbridged(s.Bus)
		s.rtu.dial = func() (link, error) { return m, nil }
		go func() {
			q := make([]byte, 8)
			for {
				if _, err := io.ReadFull(s.far, q); err != nil {
					return
				}
				s.mu.Lock()
				s.log = append(s.log, fmt.Sprintf("%d:%d/%#x+%d", q[0], q[1], q[2:4], q[5]))
				s.at = append(s.at, time.Now())
				s.n++
				es := s.answer(s.n, append([]byte(nil), q...))
				s.mu.Unlock()
				emit(s.far, es)
			}
		}()
		defer func() {
			close(m.out)
			time.Sleep(time.Hour) // what is on its way arrives
		}()
		run(s)
	})
}

// ok polls a meter and wants these values.
func (s *scripted) ok(device int, want ...uint64) {
	s.Helper()
	got, err := s.Poll(s.Context(), device, nil)
	if err != nil || len(got) != len(want) {
		s.Fatalf("%+v, %v", got, err)
	}
	for i, r := range got {
		if r.Err != nil || r.Raw != want[i] {
			s.Errorf("point %d: %#x, %v, want %#x", r.Point, r.Raw, r.Err, want[i])
		}
	}
}

// fails polls a meter and wants no value, and this error.
func (s *scripted) fails(device int, kind drivers.Kind, want string) {
	s.Helper()
	got, err := s.Poll(s.Context(), device, nil)
	var de *drivers.Error
	if !errors.As(err, &de) || de.Kind != kind || !strings.Contains(err.Error(), want) {
		s.Errorf("%v, want %s with %q", err, kind, want)
	}
	for _, r := range got {
		if r.Err == nil {
			s.Errorf("point %d: %#x is not to be believed", r.Point, r.Raw)
		}
	}
}

func (s *scripted) asked(want ...string) {
	s.Helper()
	defer s.forget()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range want { // a proof asks for another number of registers each time
		if i < len(s.log) && strings.HasSuffix(w, "?") && strings.HasPrefix(s.log[i], w[:len(w)-1]) {
			s.log[i] = w
		}
	}
	if got := strings.Join(s.log, " "); got != strings.Join(want, " ") {
		s.Errorf("asked %s, want %s", got, strings.Join(want, " "))
	}
}

func wired(url string, points ...Point) Config {
	return Config{URL: url, Timeout: time.Second, Devices: []Device{{Meter: "a", Unit: 1, Points: points}, {Meter: "b", Unit: 2, Points: points}}}
}

const (
	slow   = "rtu:///dev/x?baud=9600&parity=even"
	x10    = 0x00100011
	x20    = 0x00200021
	second = time.Second
)

func TestLateAnswerIsNotTakenHoweverLate(t *testing.T) {
	for _, late := range []time.Duration{1030 * time.Millisecond, 1900 * time.Millisecond, 2500 * time.Millisecond, 10 * second} {
		t.Run(late.String(), func(t *testing.T) {
			script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
				s.ok(0, x10, x20)
				s.forget()
				s.on(func(n int, q []byte) []emission {
					if n == 1 {
						return after(late, plain(q))
					}
					return after(20*time.Millisecond, plain(q))
				})
				s.fails(0, drivers.Timeout, "A and B")
				for range 20 { // as often as it takes
					got, err := s.Poll(s.Context(), 0, nil)
					for _, r := range got {
						if want := []uint64{x10, x20}[r.Point]; r.Err == nil && r.Raw != want {
							s.Fatalf("point %d: %#x", r.Point, r.Raw)
						}
					}
					if err == nil {
						break
					}
				}
				s.forget()
				s.ok(0, x10, x20) // trusted again, with a proof after each for a while
				s.asked("1:4/0x0010+2", "1:3/0x0010+?", "1:4/0x0020+2", "1:3/0x0020+?")
			})
		})
	}
}

// After a time-out: silence for one more, then a question whose answer is
// like no other, then the register.
func TestQuarantineAndProof(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		began := time.Now()
		s.ok(0, x10)
		if waited := s.when(0).Sub(began); waited < second || waited > second+50*time.Millisecond {
			s.Errorf("the first question after %v, want one time-out: an earlier program's answer may come", waited)
		}
		s.asked("1:4/0x0010+2")
		s.on(func(int, []byte) []emission { return nil })
		s.fails(0, drivers.Timeout, "")
		failed := time.Now()
		s.asked("1:4/0x0010+2")
		s.on(func(_ int, q []byte) []emission { return after(20*time.Millisecond, plain(q)) })
		s.ok(0, x10)
		if waited := s.when(0).Sub(failed); waited < second || waited > second+50*time.Millisecond {
			s.Errorf("asked again after %v, want one more time-out", waited)
		}
		s.asked("1:3/0x0010+1", "1:4/0x0010+2")
		s.ok(1, x10) // the other meter on the wire is asked at once
		s.asked("2:4/0x0010+2")
	})
}

func TestQuarantineIsOverWhenTheNextRoundIsDue(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		s.ok(0, x10)
		s.on(func(int, []byte) []emission { return nil })
		s.fails(0, drivers.Timeout, "")
		s.on(func(_ int, q []byte) []emission { return after(20*time.Millisecond, plain(q)) })
		time.Sleep(10 * second)
		began := time.Now()
		s.forget()
		s.ok(1, x10)
		if waited := s.when(0).Sub(began); waited > 10*time.Millisecond {
			s.Errorf("a neighbour waited %v", waited)
		}
	})
}

func TestWireThatNeverFallsSilent(t *testing.T) {
	script(t, wired(slow, pt(0x10)), func(s *scripted) {
		stop := time.Now().Add(30 * second)
		go func() {
			for time.Now().Before(stop) {
				time.Sleep(300 * time.Millisecond)
				s.far.Write([]byte{0x55})
			}
		}()
		began := time.Now()
		s.fails(0, drivers.Protocol, "another master")
		if took := time.Since(began); took > 8*second {
			s.Errorf("it took %v to find out", took)
		}
		ctx, cancel := context.WithTimeout(s.Context(), second)
		defer cancel()
		began = time.Now()
		if _, err := s.Poll(ctx, 0, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*second {
			s.Errorf("waiting must end with its context: %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Until(stop.Add(second)))
		s.ok(0, x10)
	})
}

// Silence goes before each question: 3.5 characters, or the pause of the
// configuration.
func TestSilenceBetweenQuestions(t *testing.T) {
	for _, c := range []struct {
		url   string
		pause time.Duration
		want  time.Duration
	}{
		{"rtu:///dev/x?baud=9600&parity=even", 0, 4010 * time.Microsecond},
		{"rtu:///dev/x?baud=9600&parity=none&stop=2", 0, 4010 * time.Microsecond},
		{"rtu:///dev/x?baud=9600", 0, 3645 * time.Microsecond},
		{"rtu:///dev/x?baud=19200&parity=even", 0, 2005 * time.Microsecond},
		{"rtu:///dev/x?baud=38400&parity=even", 0, 1750 * time.Microsecond},
		{"rtuovertcp://h", 0, 1750 * time.Microsecond},
		{slow, 50 * time.Millisecond, 50 * time.Millisecond},
	} {
		cfg := wired(c.url, pt(0x10), pt(0x20))
		cfg.Pause = c.pause
		script(t, cfg, func(s *scripted) {
			s.ok(0, x10, x20)
			s.rtu.careful = 0
			s.forget()
			s.ok(0, x10, x20)
			silence := s.when(1).Sub(s.when(0)) - 20*time.Millisecond
			if silence < c.want || silence > c.want+2*time.Millisecond {
				s.Errorf("%s: %v of silence, want %v", c.url, silence, c.want)
			}
		})
	}
}

// On a wire without trouble each round costs one silence; after anything
// strange, each question.
func TestCareComesAndGoes(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		for range carefulAtFirst {
			s.ok(0, x10, x20)
		}
		took := func() time.Duration { began := time.Now(); s.ok(0, x10, x20); return time.Since(began) }
		if d := took(); d > 100*time.Millisecond {
			s.Errorf("two questions of 20 ms took %v on a quiet wire", d)
		}
		s.far.Write([]byte{0x55})
		s.ok(0, x10, x20)
		if s.rtu.careful < carefulAgain-10 || s.rtu.careful > carefulAgain {
			s.Errorf("%d questions with care after a stray byte, want %d", s.rtu.careful, carefulAgain)
		}
		s.forget()
		s.ok(0, x10, x20)
		s.asked("1:4/0x0010+2", "1:3/0x0010+?", "1:4/0x0020+2", "1:3/0x0020+?")
	})
}

func TestAdapterThatHearsItself(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		echo := true
		s.on(func(_ int, q []byte) []emission {
			if echo {
				return []emission{{after: 1, bytes: q[:3]}, {after: time.Millisecond, bytes: q[3:]}, {after: 20 * time.Millisecond, bytes: plain(q)}}
			}
			return nil
		})
		s.ok(0, x10, x20)
		s.on(func(_ int, q []byte) []emission { return after(1, q) })
		s.fails(0, drivers.Timeout, "")
	})
}

// 125 registers at 1200 baud take 2.3 s, more than a time-out: that is for the
// answer to begin.
func TestLongAnswerOnASlowWire(t *testing.T) {
	long := make([]Point, 62)
	for i := range long {
		long[i] = pt(uint16(2 * i))
	}
	script(t, wired("rtu:///dev/x?baud=1200", long...), func(s *scripted) {
		s.on(func(_ int, q []byte) (out []emission) {
			for i, b := range plain(q) {
				out = append(out, emission{after: time.Second / 120, bytes: []byte{b}})
				if i == 0 {
					out[0].after = 900 * time.Millisecond
				}
			}
			return out
		})
		got, err := s.Poll(s.Context(), 0, nil)
		if err != nil || len(got) != 62 || got[61].Raw != 122<<16|123 {
			s.Errorf("%v, %v", got, err)
		}
	})
}

// A device's own "no" is not taken for trouble on the wire.
func TestExceptionsOnAWire(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x12)), func(s *scripted) {
		s.on(func(_ int, q []byte) []emission {
			if q[5] > 2 {
				return after(20*time.Millisecond, rtuFrame(q[0], q[1]|exceptionBit, []byte{2}))
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.ok(0, x10, 0x00120013)
		s.asked("1:4/0x0010+4", "1:4/0x0010+2", "1:4/0x0012+2")
		s.on(func(_ int, q []byte) []emission {
			return after(20*time.Millisecond, rtuFrame(q[0], q[1]|exceptionBit, []byte{0x63}))
		})
		got, err := s.Poll(s.Context(), 0, nil)
		var de *drivers.Error
		if err != nil || len(got) != 2 || !errors.As(got[1].Err, &de) || de.Kind != drivers.Exception || !strings.Contains(de.Error(), "exception 99") {
			s.Errorf("%v, %v", got, err)
		}
	})
}

// The serial number is read in each round: an exchange is seen at once, and a
// wire whose answers are shifted gives none.
func TestSerialNumberInEachRound(t *testing.T) {
	c := wired(slow, pt(0x10))
	c.Devices[0].Serial = &Serial{Address: 0x100, Type: "uint32"}
	script(t, c, func(s *scripted) {
		for range 3 {
			s.ok(0, x10)
			s.asked("1:4/0x0010+2", "1:3/0x0100+2")
			if got := s.Identity(0); got != "16777473" {
				s.Fatalf("identity %q", got)
			}
		}
		// The answer comes, and one more: nothing of the round holds.
		s.rtu.careful = 0
		s.on(func(n int, q []byte) []emission {
			number := rtuFrame(1, readHolding, []byte{4, 0, 0, 0, 7})
			if n == 2 {
				return []emission{{after: 20 * time.Millisecond, bytes: number}, {after: 20 * time.Millisecond, bytes: number}}
			}
			return after(20*time.Millisecond, plain(q))
		})
		s.fails(0, drivers.Protocol, "")
		if got := s.Identity(0); got != "16777473" {
			s.Errorf("identity %q of a round that does not hold", got)
		}
	})
}
