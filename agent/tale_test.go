package agent

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

// tale is what happens to one register, and the truth of it: when it is read and
// when it is not, which readings come late, and what files tell. Times are in
// seconds since the epoch, amounts in Wh.
type tale struct {
	watts         []int64 // for seventeen minutes each, over and over
	opening       int64   // what the register shows at the epoch
	modulus       int64
	step, end     int64
	phase         int64 // of the first reading
	holes         [][2]int64
	events        []taleEvent // all but the live readings, in the order of time
	prompt        bool        // late readings can come while their half-hour is in progress
	read          []reading   // live ones, in the order of time
	late          []reading   // those that have come
	actual, guess map[int64]int64
	filed         []taleEvent // in the order in which they came
}

// failer is a test, or one of rapid's.
type failer interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

type reading struct{ at, value int64 }

// taleEvent is what happens at an instant: late readings, a file or a restart.
type taleEvent struct {
	at    int64
	late  []int64
	first int64 // perHalf-hour that the file begins with
	tells []tellsOf
}

type tellsOf struct {
	energy int64
	guess  bool
}

const perHalf = int64(energy.Period / time.Second)

// counted is what the meter has counted since the epoch.
func (y *tale) counted(at int64) int64 {
	const span = 17 * 60
	round := int64(0)
	for _, w := range y.watts {
		round += w * span
	}
	n := int64(len(y.watts))
	sum := at / (span * n) * round
	rest := at % (span * n)
	for _, w := range y.watts {
		d := min(rest, span)
		sum += w * d
		rest -= d
	}
	return sum / 3600
}

func (y *tale) shows(at int64) int64 {
	v := y.opening + y.counted(at)
	if y.modulus > 0 {
		v %= y.modulus
	}
	return v
}

func drawTale(t *rapid.T) *tale {
	n := func(name string, from ...int64) int64 { return rapid.SampledFrom(from).Draw(t, name) }
	y := &tale{
		watts:   rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 500, 3600, 12000}), 1, 6).Draw(t, "watts"),
		opening: n("opening", 1, 5000, 9_995_000),
		step:    n("step", 60, 300, 600, 900, 1700),
		phase:   n("phase", 0, 7, 1000),
		prompt:  rapid.IntRange(0, 3).Draw(t, "prompt") == 0,
	}
	if rapid.Bool().Draw(t, "rolls") {
		y.modulus = 10_000_000
	}
	at := n("lead", 2, 3, 4)*perHalf + n("off", 0, 10, 700, 1790)
	for range rapid.IntRange(1, 4).Draw(t, "holes") {
		end := at + n("out", 40, 600, 1740, 1860, 3000, 5400, 3*3600, 7*3600, 7*3600, 30*3600)
		if rapid.Bool().Draw(t, "near") {
			end = max(end/perHalf*perHalf+n("beyond", -20, 0, 3, 25, 50, 100), at+10)
		}
		y.holes = append(y.holes, [2]int64{at, end})
		at = end + n("between", 1, 60, 600, 1500, 1800, 7200)
	}
	y.end = at + 3*perHalf
	for range rapid.IntRange(0, 7).Draw(t, "events") {
		y.events = append(y.events, y.drawEvent(t))
	}
	slices.SortStableFunc(y.events, func(a, b taleEvent) int { return cmp.Compare(a.at, b.at) })
	return y
}

func (y *tale) drawEvent(t *rapid.T) taleEvent {
	hole := rapid.SampledFrom(y.holes).Draw(t, "hole")
	switch rapid.SampledFrom([]string{"file", "file", "file", "late", "late", "restart"}).Draw(t, "what") {
	case "restart":
		return taleEvent{at: rapid.Int64Range(0, y.end).Draw(t, "at")}
	case "late":
		from := rapid.Int64Range(hole[0], hole[1]-1).Draw(t, "from")
		to := hole[1]
		if rapid.Bool().Draw(t, "few") {
			to = min(to, from+3*y.step)
		}
		least := hole[1] + 2*perHalf
		if y.prompt {
			least = hole[1] + 1
		}
		e := taleEvent{at: y.end}
		if least < y.end && rapid.Bool().Draw(t, "soon") {
			e.at = rapid.Int64Range(least, y.end).Draw(t, "at")
		}
		for ; from < to; from += y.step {
			e.late = append(e.late, from)
		}
		return e
	}
	from := rapid.Int64Range(max(0, hole[0]/perHalf-1), hole[1]/perHalf).Draw(t, "from")
	n := rapid.Int64Range(1, 8).Draw(t, "n")
	if rapid.IntRange(0, 3).Draw(t, "all") == 0 {
		from, n = hole[0]/perHalf, hole[1]/perHalf-hole[0]/perHalf+1
	}
	e := taleEvent{first: from, at: y.end}
	if least := (from + n) * perHalf; least < y.end && rapid.Bool().Draw(t, "soon") {
		e.at = rapid.Int64Range(least, y.end).Draw(t, "at")
	} else if least > y.end {
		n = y.end/perHalf - from
	}
	off := rapid.SampledFrom([]int64{0, 0, 1, -200, 300, 2000}).Draw(t, "tells")
	for i := range n {
		v := y.counted((from+i+1)*perHalf) - y.counted((from+i)*perHalf)
		e.tells = append(e.tells, tellsOf{max(0, v+off), rapid.IntRange(0, 5).Draw(t, "guess") == 0})
	}
	return e
}

// live has an agent go through the tale, with the late events in the order in
// which they are given.
func (y *tale) live(t failer, path string, events []taleEvent) (stands, sums []energy.HalfHour) {
	f := newFake(registers{failing})
	c := site(f, time.Minute)
	c.Meters[0].Registers[0].Modulus, c.Meters[0].Registers[0].MaxPower = y.modulus, 30_000
	c.Meters = append(c.Meters, config.Meter{ID: "v", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a"}}})
	s := openTale(t, path)
	defer func() { s.Close(); os.Remove(path) }()
	now := int64(0)
	var a *Agent
	start := func() {
		var err error
		if a, err = New(Options{Config: c, Store: s, Drivers: f.drivers(), Now: func() time.Time { return instantOf(now) }, Logger: quietLog, Version: "test"}); err != nil {
			t.Fatal(err)
		}
		a.recorder.deriveAll()
		a.recorder.flush()
	}
	start()
	deliver := func(at int64, history bool) {
		b := a.buses[0]
		b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: instantOf(at), Value: y.shows(at)}, History: history}, a.Now(), true)
		if len(b.pending)+len(b.said) > 0 && !history {
			a.recorder.flush()
		}
	}
	y.read, y.late, y.filed, y.actual, y.guess = nil, nil, nil, map[int64]int64{}, map[int64]int64{}
	happen := func(e taleEvent) {
		switch {
		case e.tells != nil:
			if x := importTale(t, a, e); x.Refused != "" {
				t.Fatal(x.Refused)
			}
			y.filed = append(y.filed, e)
			for i, x := range e.tells {
				into := y.actual
				if x.guess {
					into = y.guess
				}
				into[e.first+int64(i)] = x.energy
			}
		case e.late != nil:
			for _, at := range e.late {
				if y.shows(at) == 0 {
					continue
				}
				y.late = append(y.late, reading{at, y.shows(at)})
				deliver(at, true)
			}
			a.recorder.flush()
		default:
			a.recorder.flush()
			start()
		}
	}
	const settled = 3 * perHalf // after the last event, so that all that it touches is over
	for next := y.phase; now < y.end+settled; next += y.step {
		at := next
		for _, h := range y.holes {
			if at >= h[0] && at < h[1] {
				at = h[1]
			}
		}
		for len(events) > 0 && events[0].at < at {
			now = events[0].at
			happen(events[0])
			events = events[1:]
		}
		next, now = at, at
		if y.shows(at) > 0 { // else it may be no reading
			y.read = append(y.read, reading{at, y.shows(at)})
			deliver(at, false)
		}
	}
	a.recorder.flush()
	stands = taleHalfHours(t, s, key("a"))
	// Nothing of what is known already is news, and a new start changes nothing.
	if n := len(y.filed); n > 0 {
		if x := importTale(t, a, y.filed[n-1]); x.Taken+x.Corrected+x.Respread != 0 {
			t.Fatalf("the last file again: %+v", x)
		}
	}
	for _, r := range y.late {
		deliver(r.at, true)
	}
	a.recorder.flush()
	start()
	a.recorder.flush()
	for i, h := range taleHalfHours(t, s, key("a")) {
		h.Evidence.Samples = stands[i].Evidence.Samples // the same readings again are counted again
		if was := stands[i].Evidence.Rule; was == energy.RuleProfileScaled && h.Evidence.Rule == energy.RuleSpread {
			h.Evidence.Rule = was // it was shaped, and by the same value
		}
		if h != stands[i] {
			t.Fatalf("done again %s\nis now %s", taleWords(stands[i]), taleWords(h))
		}
	}
	return stands, taleHalfHours(t, s, key("v"))
}

func instantOf(at int64) time.Time { return epoch.Add(time.Duration(at) * time.Second) }

func importTale(t failer, a *Agent, e taleEvent) ImportSeries {
	out := "id,measure,start,kWh,quality\n"
	for i, x := range e.tells {
		out += fmt.Sprintf("x,import,%s,%d.%03d,%s\n", slot(int(e.first)+i).Format(time.RFC3339), x.energy/1000, x.energy%1000, map[bool]string{true: "estimated", false: "measured"}[x.guess])
	}
	rep, err := a.Import(ImportRequest{File: "f.csv", Data: []byte(out), Meter: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Problems != nil {
		t.Fatal(strings.Join(rep.Problems, "\n"))
	}
	return rep.Series[0]
}

func taleHalfHours(t failer, s Store, k energy.Key) (out []energy.HalfHour) {
	for h, err := range s.HalfHours(k, epoch, epoch.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

func taleWords(h energy.HalfHour) string {
	e := h.Evidence
	return fmt.Sprintf("%s %d Wh to %d %s by %v, first %s %d, last %s %d", h.Start.Format("02T15:04"), h.Energy, h.Cumulative, h.Quality, e.Rule,
		e.First.At.Format("02T15:04:05"), e.First.Value, e.Last.At.Format("02T15:04:05"), e.Last.Value)
}
