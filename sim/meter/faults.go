package meter

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Faults says how often a simulated meter misbehaves. The same seed gives the
// same faults for the same requests.
type Faults struct {
	Zero  float64       // share of answers that show 0 in every register
	Busy  float64       // share of requests refused as "device busy"
	Late  float64       // share of answers held back for Delay
	Delay time.Duration // 2 s if 0
	Seed  uint64
}

type fault uint8

const (
	none fault = iota
	zero
	busy
	late
)

// Set reads "zero=1%,late=5%,busy=0.5%". It makes Faults a flag.Value.
func (f *Faults) Set(s string) error {
	out := *f
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		p, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if err != nil || p < 0 || p > 100 {
			return fmt.Errorf("fault %q: give a share such as zero=1%%", part)
		}
		switch name {
		case "zero":
			out.Zero = p / 100
		case "busy":
			out.Busy = p / 100
		case "late":
			out.Late = p / 100
		default:
			return fmt.Errorf("fault %q: use zero, busy or late", name)
		}
	}
	if out.Zero+out.Busy+out.Late > 1 {
		return fmt.Errorf("faults %q add up to more than 100%%", s)
	}
	*f = out
	return nil
}

// String writes the faults as Set reads them.
func (f *Faults) String() string {
	if f == nil {
		return ""
	}
	pc := func(v float64) string { return strconv.FormatFloat(v*100, 'g', 4, 64) + "%" }
	return "zero=" + pc(f.Zero) + ",busy=" + pc(f.Busy) + ",late=" + pc(f.Late)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

func (s *Server) draw() fault {
	f := s.faults
	if f.Zero == 0 && f.Busy == 0 && f.Late == 0 {
		return none
	}
	s.mu.Lock()
	x := s.rng.Float64()
	s.mu.Unlock()
	switch {
	case x < f.Zero:
		return zero
	case x < f.Zero+f.Busy:
		return busy
	case x < f.Zero+f.Busy+f.Late:
		return late
	}
	return none
}
