package virtual

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// slot is the n-th half-hour after noon.
func slot(n int) time.Time { return noon.Add(time.Duration(n) * energy.Period) }

// measured is a half-hour of a real meter: what it counted and what it showed
// at the end.
func measured(n int, e, cumulative int64) energy.HalfHour {
	start := slot(n)
	return energy.HalfHour{
		Start: start, Energy: e, Cumulative: cumulative, TakenAt: start.Add(energy.Period + 10*time.Second), Quality: energy.Measured,
		Evidence: energy.Evidence{Samples: 30, Rule: energy.RuleBracketed,
			First: energy.Sample{At: start, Value: cumulative - e}, Last: energy.Sample{At: start.Add(energy.Period), Value: cumulative}},
	}
}

func graded(h energy.HalfHour, q energy.Quality) energy.HalfHour {
	h.Quality = q
	if q == energy.Missing {
		h.Energy, h.Cumulative, h.Evidence = 0, -1, energy.Evidence{}
	}
	return h
}

func plan(t testing.TB, defs ...Meter) *Plan {
	t.Helper()
	p, err := New(energy.Period, defs)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// site is a store for one measure.
type site map[string]map[int64]energy.HalfHour

func (s site) put(id string, h energy.HalfHour) {
	if s[id] == nil {
		s[id] = map[int64]energy.HalfHour{}
	}
	s[id][h.Start.UnixNano()] = h
}

func (s site) at(id string, start time.Time) (energy.HalfHour, bool) {
	h, ok := s[id][start.UnixNano()]
	return h, ok
}

// update keeps what Update puts.
func (s site) update(p *Plan, meter string, from, to time.Time) []Result {
	var out []Result
	p.Update(map[string]Span{meter: {from, to}}, s.at, func(r Result) {
		s.put(r.Meter, r.HalfHour)
		out = append(out, r)
	})
	return out
}

func wants(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("refused: %v", err)
	case part != "" && err == nil:
		t.Errorf("accepted, not refused with %q", part)
	case part != "" && !strings.Contains(err.Error(), part):
		t.Errorf("%q says nothing of %q", err, part)
	}
}
