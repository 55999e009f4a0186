package validate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

const sharedData = "../../../shared/data"

// series gives the half-hours of every file of the shared collection that
// hhfile takes, by "file id".
func realSeries(t *testing.T) map[string][]energy.HalfHour {
	t.Helper()
	if _, err := os.Stat(sharedData); err != nil {
		t.Skip("../shared/data is absent: the files of other parties are not tested")
	}
	files, _ := filepath.Glob(sharedData + "/council/*")
	files = append(files, sharedData+"/perse/half-hourly-2024-01-to-2024-06.json")
	out := map[string][]energy.HalfHour{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := hhfile.Parse(raw, hhfile.Options{})
		if err != nil {
			continue // hhfile's own tests say which
		}
		for _, s := range f.Series {
			out[filepath.Base(name)+" "+s.ID+" "+s.Measure.String()] = s.HalfHours
		}
	}
	return out
}

// judged runs half-hours through a Checker in their order.
func judged(k energy.Key, o Options, hh []energy.HalfHour) (fs []Finding, flags map[int]int) {
	past, c := memory{}, New(k, o)
	flags = map[int]int{}
	for _, h := range hh {
		fs = c.HalfHour(&h, past, fs)
		past.put(k.Measure, h)
		for n := 1; n <= Count; n++ {
			if h.Flags.Has(n) {
				flags[n]++
			}
		}
	}
	return c.Flush(fs), flags
}

// False positives must be rare: of 15,000 half-hours of real meters none is
// spoken against, but for those that their source itself marks as estimated.
// One of the meters is that of a school, with the end of the summer holidays.
func TestRealDataIsClean(t *testing.T) {
	total, estimated, flagged := 0, 0, map[int]int{}
	for name, hh := range realSeries(t) {
		for _, h := range hh {
			total++
			if h.Quality == energy.Estimated {
				estimated++
			}
		}
		fs, flags := judged(mainImport, Options{MaxEnergy: 103_923}, hh) // a connection of 250 A, three phases
		for _, f := range fs {
			t.Errorf("%s: %v %v", name, f, f.From)
		}
		for n, k := range flags {
			flagged[n] += k
		}
	}
	if total < 15_000 || estimated == 0 || flagged[14] != estimated || len(flagged) != 1 {
		t.Errorf("%d half-hours, %d estimated, flags %v", total, estimated, flagged)
	}
	t.Logf("%d half-hours, %d of them marked as estimated by their source, no finding", total, estimated)
}

// The same mistakes made in real data are found.
func TestRealDataWithMistakes(t *testing.T) {
	const perse, school = "half-hourly-2024-01-to-2024-06.json 2000000000006 import", "example-bad-sheffield-proper-file.csv 2010000000076 import"
	all := realSeries(t)
	for _, c := range []struct {
		name, series string
		change       func(hh []energy.HalfHour)
		rule, flags  int
	}{
		{"Wh taken for kWh", perse, func(hh []energy.HalfHour) { hh[4000].Energy *= 1000 }, 16, 1},
		{"a whole day of it", school, func(hh []energy.HalfHour) {
			for i := range 48 {
				hh[2000+i].Energy *= 1000
			}
		}, 16, 48},
		{"a register that wrapped unnoticed", perse, func(hh []energy.HalfHour) { hh[6000].Energy = 4_294_967 }, 5, 1},
		{"two dead days", school, func(hh []energy.HalfHour) {
			for i := range 96 {
				hh[2000+i].Energy = 0
			}
		}, 6, 48},
		{"three times as much for an hour", perse, func(hh []energy.HalfHour) { hh[5000].Energy *= 3; hh[5001].Energy *= 3 }, 16, 2},
	} {
		hh := append([]energy.HalfHour(nil), all[c.series]...)
		c.change(hh)
		fs, flags := judged(mainImport, Options{MaxEnergy: 1_000_000_000}, hh)
		if c.rule == 5 {
			fs, flags = judged(mainImport, Options{MaxEnergy: 41_569}, hh)
		}
		if flags[c.rule] != c.flags || len(fs) == 0 || fs[0].Rule != c.rule {
			t.Errorf("%s: flags %v, findings %v; want %d of V%02d", c.name, flags, fs, c.flags, c.rule)
		}
		if len(fs) > 6 {
			t.Errorf("%s: %d findings are too many for one mistake", c.name, len(fs))
		}
	}
}

// Every settlement day of a real half-year, made into a register that is read
// every five minutes, passes the rules about days, the short one included.
func TestRealDays(t *testing.T) {
	hh := realSeries(t)["half-hourly-2024-01-to-2024-06.json 2000000000006 import"]
	o := Options{Step: 100, Modulus: 10_000_000, MaxEnergy: 41_569}
	acc := energy.NewAccumulator(energy.Register{Measure: energy.Import, Modulus: o.Modulus, Step: 100, MaxPower: 100_000}, energy.Period)
	c, past := New(mainImport, o), memory{}
	var fs []Finding
	var settled []energy.HalfHour
	register := int64(9_123_400)
	take := func(at time.Time) {
		fs = c.Reading(Facts{At: at, Value: register}, fs)
		var e energy.Event
		from := len(settled)
		settled, e = acc.Add(energy.Sample{At: at, Value: register}, settled)
		fs = c.Event(e, fs)
		for i := range settled[from:] {
			fs = c.HalfHour(&settled[from+i], past, fs)
			past.put(energy.Import, settled[from+i])
		}
	}
	take(hh[0].Start)
	for _, h := range hh {
		before := register
		for i := int64(1); i <= 6; i++ {
			register = (before + h.Energy*i/6) / 100 * 100 % o.Modulus
			take(h.Start.Add(time.Duration(i) * 5 * time.Minute))
		}
	}
	wraps := 0
	for _, f := range fs {
		if f.Rule == 4 && f.Severity == Info {
			wraps++
			continue
		}
		t.Errorf("%v %v", f, f.From)
	}
	var total, want int64
	for i, h := range settled {
		total, want = total+h.Energy, want+hh[i].Energy
	}
	if wraps != int((9_123_400+want)/o.Modulus) || total < want-100 || total > want {
		t.Errorf("%d wraps, %d Wh of %d", wraps, total, want)
	}
	var day []energy.HalfHour
	days, short := 0, 0
	for i, h := range settled {
		day = append(day, h)
		d, n := energy.SettlementPeriod(h.Start)
		if n < d.Periods() && i < len(settled)-1 {
			continue
		}
		if n == d.Periods() {
			days++
			if d.Periods() == 46 {
				short++
			}
			for _, f := range Day(mainImport, d, day, o, nil) {
				t.Errorf("%s: %v", d, f)
			}
		}
		day = nil
	}
	if days != 182 || short != 1 {
		t.Errorf("%d days, %d short ones", days, short)
	}
}
