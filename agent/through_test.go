package agent

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A file tells some of the half-hours of a gap in which the meter was exchanged,
// before or after that was counted, in time or afterwards: what it tells stands,
// and the gap sums to what both meters counted.
func TestFileBesideAnExchange(t *testing.T) {
	type step struct {
		at   time.Duration
		file map[time.Duration]int64 // Wh by start; nil: the exchange is stated
		off  int64                   // by which its closing reading is wrong
	}
	stated := func(at time.Duration) step { return step{at: at} }
	file := func(at, from time.Duration, wh ...int64) step {
		s := step{at: at, file: map[time.Duration]int64{}}
		for i, e := range wh {
			s.file[from+time.Duration(i)*energy.Period] = e
		}
		return s
	}
	for name, steps := range map[string][]step{
		"counted in time, then told":         {stated(300 * minute), file(500*minute, 210*minute, 1700, 2000, 1900)},
		"told, then counted in time":         {file(280*minute, 210*minute, 1700), stated(300 * minute)},
		"told before and after":              {file(280*minute, 210*minute, 1700), stated(300 * minute), file(500*minute, 300*minute, 1650)},
		"told twice, and once more":          {stated(300 * minute), file(500*minute, 210*minute, 1700), file(510*minute, 240*minute, 2000), file(520*minute, 210*minute, 1600)},
		"counted afterwards, then told":      {stated(500 * minute), file(550*minute, 210*minute, 1700, 2000, 1900)},
		"told, then counted afterwards":      {file(450*minute, 210*minute, 1700, 2000), stated(500 * minute), file(550*minute, 300*minute, 1650)},
		"counted afterwards, told otherwise": {file(450*minute, 210*minute, 1700, 2000), stated(500 * minute), file(550*minute, 210*minute, 1750, 1950)},
		"one of several told otherwise":      {file(450*minute, 210*minute, 1700, 2000, 1900, 1900), stated(500 * minute), file(550*minute, 240*minute, 1650)},
		"counted in time, told otherwise":    {file(280*minute, 210*minute, 1700), stated(300 * minute), file(450*minute, 210*minute, 1900)},
		"corrected after it was told":        {{at: 500 * minute, off: 300}, file(550*minute, 210*minute, 1700, 2000), stated(600 * minute), file(650*minute, 300*minute, 1650)},
		"told, then corrected":               {{at: 500 * minute, off: 300}, file(550*minute, 210*minute, 1700, 2000), stated(600 * minute)},
		"told, corrected there and back":     {stated(500 * minute), file(550*minute, 210*minute, 1700, 2000), {at: 600 * minute, off: 300}, stated(650 * minute)},
		"corrected, and told the same again": {{at: 500 * minute, off: 300}, file(550*minute, 240*minute, 1700), stated(600 * minute), file(650*minute, 240*minute, 1750)},
	} {
		t.Run(name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				p := place{
					hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 250 * minute, 10}},
					dark:  [][2]time.Duration{{190*minute + 30*time.Second, 370*minute + 30*time.Second}},
				}
				s := openFaulty(t, path)
				told := map[time.Duration]int64{}
				for _, x := range steps {
					p.live(t, s, x.at)
					if x.file == nil {
						p.states = []stating{{at: x.at + minute, says: []int{0}, edit: func(xs []config.Exchange) { xs[0].Reads[0].Closing += x.off }}}
						continue
					}
					importInto(t, s, x.file)
					for at, e := range x.file {
						told[at] = e
					}
				}
				p.live(t, s, 800*minute)
				sum, n := int64(0), 0
				for _, h := range halfHours(t, s, key("a")) {
					at := h.Start.Sub(epoch)
					if e, is := told[at]; is && (h.Energy != e || h.Evidence.Rule != energy.RuleImported) {
						t.Errorf("%v: %d Wh by rule %d, the file told %d", at, h.Energy, h.Evidence.Rule, e)
					} else if at < 180*minute || at >= 390*minute {
						if h.Energy != 1800 {
							t.Errorf("%v, outside of the gap: %d Wh", at, h.Energy)
						}
						continue
					} else if !is && (h.Quality == energy.Missing || h.Energy < 1600 || h.Energy > 2000) {
						t.Errorf("%v: %d Wh %v", at, h.Energy, h.Quality)
					}
					sum, n = sum+h.Energy, n+1
				}
				if n != 7 || sum != 7*1800 {
					t.Errorf("%d half-hours sum to %d Wh, the meters counted %d", n, sum, 7*1800)
				}
				check(t, s.Close())
			})
		})
	}
}

// What is told of a hole beside the gap is no part of it, whatever it was before.
func TestLayThroughItsOwnGap(t *testing.T) {
	at := func(i int) time.Time { return epoch.Add(time.Duration(i) * energy.Period) }
	counted := energy.HalfHour{Start: at(1), Energy: 500, Cumulative: 9, Quality: energy.Estimated, Evidence: energy.Evidence{
		Rule: energy.RuleExchange, First: energy.Sample{At: at(1).Add(time.Minute)}, Last: energy.Sample{At: at(3)},
	}}
	told := func(i int, wh int64) energy.HalfHour {
		return energy.HalfHour{Start: at(i), Energy: wh, Cumulative: -1, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleImported}}
	}
	vs := versions{map[int64]version{at(1).Unix(): {HalfHour: counted}}, map[int64][]version{}}
	run := []energy.HalfHour{told(0, 10), counted, told(2, 20), told(3, 30)}
	for _, h := range run {
		if tells(h) { // told otherwise since
			was := h
			was.Energy++
			vs.told[h.Start.Unix()] = []version{{HalfHour: was, until: at(9)}}
		}
	}
	got := slices.Clone(run)
	vs.layThrough(got, energy.Period)
	for i, h := range got {
		if i == 2 {
			if !throughExchange(h) || h.Energy != 21 {
				t.Errorf("in the gap: %+v", h)
			}
		} else if h != run[i] {
			t.Errorf("%d: %+v, was %+v", i, h, run[i])
		}
	}
}

// importInto imports half-hours into a store that no agent has open.
func importInto(t *testing.T, s ImportStore, wh map[time.Duration]int64) {
	t.Helper()
	out := "id,measure,start,kWh,quality\n"
	var starts []time.Duration
	for at := range wh {
		starts = append(starts, at)
	}
	slices.Sort(starts)
	for _, at := range starts {
		out += fmt.Sprintf("x,import,%s,%d.%03d,measured\n", epoch.Add(at).Format(time.RFC3339), wh[at]/1000, wh[at]%1000)
	}
	f := newFake(registers{failing})
	rep, err := ImportFile(s, site(f, time.Minute), ImportRequest{File: "f.csv", Data: []byte(out), Meter: "a"}, time.Now())
	check(t, err)
	if got := rep.Series[0]; got.Taken+got.Corrected != len(wh) {
		t.Errorf("%+v", got)
	}
}
