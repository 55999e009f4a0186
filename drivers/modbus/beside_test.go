package modbus

import (
	"encoding/binary"
	"os"
	"testing"
	"time"
)

// A meter that keeps silent where its power to check by is said to be is read
// all the same: that is asked after what is counted, and rarely while it gives
// no answer. (It lies before the totals in many meters, and there are those
// that answer nothing to an address that they do not have.)
func TestMeterSilentAtItsPower(t *testing.T) {
	for _, url := range []string{slow, "tcp://h", "rtuovertcp://h"} {
		c := wired(url, pt(0x10), pt(0x02))
		c.Devices[0].Checks = 1
		c.Devices = c.Devices[:1]
		if url == "tcp://h" {
			silentOverTCP(t, c)
			continue
		}
		script(t, c, func(s *scripted) {
			silent := true
			asked := 0
			s.on(func(_ int, q []byte) []emission {
				if q[1] == readInput && binary.BigEndian.Uint16(q[2:]) == 0x02 {
					if asked++; silent {
						return nil
					}
				}
				return after(20*time.Millisecond, plain(q))
			})
			const rounds = 100
			for round := range rounds {
				got, _ := s.Poll(t.Context(), 0, nil)
				if len(got) == 0 || got[0].Point != 0 || got[0].Err != nil || got[0].Raw != x10 {
					t.Fatalf("%s: round %d: %+v", url, round, got)
				}
				time.Sleep(10 * time.Second)
			}
			if asked == 0 || asked > rounds/10 {
				t.Errorf("%s: asked for its power %d times in %d rounds", url, asked, rounds)
			}
			silent = false
			for range checkRest { // it answers: then it is read in each round again
				if _, err := s.Poll(t.Context(), 0, nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
			}
			s.ok(0, x10, 0x00020003)
			s.ok(0, x10, 0x00020003)
		})
	}
}

// The same with a fake client, as Modbus TCP has it.
func silentOverTCP(t *testing.T, c Config) {
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	unbridged(b)
	b.client = &fake{answer: func(a, n uint16) ([]byte, error) {
		if a == 0x02 {
			return nil, os.ErrDeadlineExceeded
		}
		return device4(a, n)
	}}
	for round := range 10 {
		got, _ := b.Poll(t.Context(), 0, nil)
		if len(got) == 0 || got[0].Point != 0 || got[0].Err != nil || got[0].Sample.Value != 16000 {
			t.Fatalf("round %d: %+v", round, got)
		}
	}
}
