package validate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// noon is a Wednesday in summer time.
var noon = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

var mainImport = energy.Key{Meter: "main", Measure: energy.Import}

// after is noon and some seconds.
func after(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }

// slotAt is the start of the n-th half-hour from noon.
func slotAt(n int) time.Time { return noon.Add(time.Duration(n) * energy.Period) }

// measured is a half-hour from noon on, n periods away.
func measured(n int, e int64) energy.HalfHour {
	return energy.HalfHour{Start: slotAt(n), Energy: e, Cumulative: -1, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}
}

// graded is a half-hour of another quality.
func graded(h energy.HalfHour, q energy.Quality, r energy.Rule) energy.HalfHour {
	h.Quality, h.Evidence.Rule = q, r
	return h
}

// memory is a Past for tests: half-hours by measure and start.
type memory map[energy.Measure]map[int64]energy.HalfHour

func (m memory) At(measure energy.Measure, start time.Time) (energy.HalfHour, bool) {
	if start.IsZero() {
		panic("the past is asked for no time at all")
	}
	h, ok := m[measure][start.Unix()]
	return h, ok
}

func (m memory) put(measure energy.Measure, hh ...energy.HalfHour) memory {
	if m[measure] == nil {
		m[measure] = map[int64]energy.HalfHour{}
	}
	for _, h := range hh {
		m[measure][h.Start.Unix()] = h
	}
	return m
}

// fill puts the same energy into n half-hours before noon.
func (m memory) fill(measure energy.Measure, n int, e int64) memory {
	for i := 1; i <= n; i++ {
		m.put(measure, measured(-i, e))
	}
	return m
}

// len is how many half-hours of import there are.
func (m memory) len() int { return len(m[energy.Import]) }

// said writes findings as "V05 error, V16 warning x3".
func said(fs []Finding) string {
	var out []string
	for _, f := range fs {
		s := f.ID() + " " + f.Severity.String()
		if f.Count != 1 {
			s += fmt.Sprintf(" x%d", f.Count)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// flagged writes flags as "V05 V16".
func flagged(f energy.Flags) string { return strings.Join(f.List(), " ") }

// wellFormed checks what holds for every finding.
func wellFormed(t testing.TB, fs []Finding) {
	t.Helper()
	for _, f := range fs {
		k, err := f.Keyed()
		if err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		again, err := ParseFinding(k.Body)
		if err != nil || f.Found == "" || f.Expected == "" {
			t.Fatalf("%s: %v", k.Body, err)
		}
		if again.Count != f.Count || again.Rule != f.Rule || !again.From.Equal(f.From) || !k.At.Equal(f.From) || k.Rule != uint8(f.Rule) || k.Key != f.Key {
			t.Fatalf("%+v came back as %+v", f, again)
		}
	}
}
