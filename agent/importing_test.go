package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/store"
)

func importConfig() *config.Config {
	return &config.Config{
		Period: energy.Period, Store: config.Store{KeepHalfHours: 400 * config.Day},
		Meters: []config.Meter{{ID: "main", Registers: []config.Register{{Point: modbus.Point{Measure: energy.Import}}}}},
	}
}

// councilFile is one row a day of 48 half-hours in kWh, all of them value.
func councilFile(days int, value string) []byte {
	var b strings.Builder
	b.WriteString("MPAN,Date")
	for i := range 48 {
		fmt.Fprintf(&b, ",%02d:%02d", i/2, i%2*30)
	}
	b.WriteString("\n")
	for d := range days {
		fmt.Fprintf(&b, "1200051234567,%s", time.Date(2026, 1, 5+d, 0, 0, 0, 0, time.UTC).Format("02/01/2006"))
		b.WriteString(strings.Repeat(","+value, 48) + "\n")
	}
	return []byte(b.String())
}

func TestImport(t *testing.T) {
	s := openFaulty(t, storePath(t))
	c, now := importConfig(), time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	k := energy.Key{Meter: "main", Measure: energy.Import}
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	take := func(value string) ImportSeries {
		t.Helper()
		rep, err := ImportFile(s, c, ImportRequest{File: "f.csv", Data: councilFile(3, value), Meter: "main", Label: hhfile.Start}, now)
		check(t, err)
		if len(rep.Series) != 1 {
			t.Fatalf("%+v", rep)
		}
		return rep.Series[0]
	}
	own := energy.HalfHour{Start: from.Add(10 * time.Hour), Energy: 777, Cumulative: 12345, TakenAt: from.Add(11 * time.Hour), Quality: energy.Interpolated,
		Evidence: energy.Evidence{First: energy.Sample{At: from, Value: 1}, Last: energy.Sample{At: from.Add(11 * time.Hour), Value: 9}, Samples: 2, Rule: energy.RuleInterpolate}}
	spread := own // an even spread over a gap gives way to an actual value
	spread.Start, spread.Quality, spread.Evidence.Rule = from.Add(20*time.Hour), energy.Estimated, energy.RuleSpread
	check(t, s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{keyedHalfHour(k, own), keyedHalfHour(k, spread)}}))

	if x := take("1.25"); x.Found != 144 || x.Taken != 143 || x.Kept != 1 || x.Energy != fmt.Sprint(143*1250) {
		t.Errorf("first time: %+v", x)
	}
	if x := take("1.25"); x.Taken+x.Corrected != 0 || x.Same != 143 || x.Kept != 1 {
		t.Errorf("the same again: %+v", x)
	}
	if x := take("2"); x.Taken != 0 || x.Corrected != 143 || x.Kept != 1 {
		t.Errorf("a correction: %+v", x)
	}
	n := 0
	for h, err := range s.HalfHours(k, from, from.Add(72*time.Hour)) {
		check(t, err)
		n++
		want := int64(2000)
		if h.Start.Equal(own.Start) {
			want = 777 // what the gateway read itself stays
		}
		if h.Energy != want {
			t.Errorf("%v: %d, want %d", h.Start, h.Energy, want)
		}
	}
	if n != 144 {
		t.Errorf("%d half-hours", n)
	}
	if old, err := s.Corrections(k, spread.Start, spread.Start.Add(time.Minute)); err != nil || len(old) != 2 || old[0].Old.Energy != 777 {
		t.Errorf("earlier versions of the spread one: %+v, %v", old, err)
	}
	check(t, s.Close())
}

func TestImportRefusals(t *testing.T) {
	s := openFaulty(t, storePath(t))
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	two := strings.Replace(string(councilFile(2, "1")), "\n1200051234567,06", "\n1200057654321,06", 1)
	for _, c := range []struct {
		name, data, meter, id, want string
	}{
		{"no such meter", string(councilFile(1, "1")), "mian", "", `no meter "mian" in the configuration: it has main`},
		{"not a half-hourly file", "hello\n", "main", "", "f.csv: "},
		{"every row refused", "id,measure,start,kWh,quality\nm,import,2026-01-01T00:00:00Z,1,actual\nm,import,2026-01-01T00:30:00Z,1,actual\n", "main", "",
			`no half-hours in it: line 2: unknown quality "actual": use one of missing,`},
		{"not one value", "id,measure,start,kWh,quality\n", "main", "", "no half-hours in it: there is not one usable value in the file"},
		{"several meters", two, "main", "", "it holds several meters: say which one with --id: 1200051234567, 1200057654321"},
		{"another meter", two, "main", "999", "it does not hold 999: it holds 1200051234567, 1200057654321"},
	} {
		_, err := ImportFile(s, importConfig(), ImportRequest{File: "f.csv", Data: []byte(c.data), Meter: c.meter, ID: c.id, Label: hhfile.Start}, now)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	c := importConfig()
	c.Meters[0].Registers[0].Measure = energy.Export
	rep, err := ImportFile(s, c, ImportRequest{File: "f.csv", Data: councilFile(1, "1"), Meter: "main", Label: hhfile.Start}, now)
	if err != nil || len(rep.Series) != 1 || rep.Series[0].Refused == "" || rep.Series[0].Taken > 0 {
		t.Errorf("a measure that the meter does not have: %+v, %v", rep, err)
	}
	rep, err = ImportFile(s, importConfig(), ImportRequest{File: "f.csv", Data: councilFile(1, "1"), Meter: "main", Label: hhfile.Start}, now.AddDate(3, 0, 0))
	if err != nil || rep.Series[0].TooOld != 48 || rep.Series[0].Taken != 0 {
		t.Errorf("older than what is kept: %+v, %v", rep, err)
	}
	check(t, s.Close())
}

// The file of another supply is refused where both numbers are known, unless
// it is named.
func TestImportOfAnotherSupply(t *testing.T) {
	s := openFaulty(t, storePath(t))
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	file := func(id, measure string) []byte {
		return []byte("id,measure,start,kWh,quality\n" + id + "," + measure + ",2026-01-05T00:00:00Z,1,measured\n")
	}
	for _, c := range []struct {
		name, id, measure, named, want string
	}{
		{"the same", "2000000000006", "import", "", ""},
		{"another", "2000027391990", "import", "", "it is of MPAN 2000027391990, and meter main has 2000000000006: another meter's file? If it is right, name it with --id 2000027391990"},
		{"another, named", "2000027391990", "import", "2000027391990", ""},
		{"no MPAN", "K0229111D6", "import", "", ""},
		{"its check digit is wrong", "2000027391991", "import", "", ""},
		{"gas of another", "3938424403", "gas", "", "it is of MPRN 3938424403, and meter main has 4855910208"},
		{"gas of the same", "4855910208", "gas", "", ""},
	} {
		cfg := importConfig()
		cfg.Meters[0].MPAN, cfg.Meters[0].MPRN = "2000000000006", "4855910208"
		_, err := ImportFile(s, cfg, ImportRequest{File: "f.csv", Data: file(c.id, c.measure), Meter: "main", ID: c.named, Label: hhfile.Start}, now)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	check(t, s.Close())
}

// A real council file goes in whole.
func TestImportCouncilFile(t *testing.T) {
	data, err := os.ReadFile("../../shared/data/council/row-per-day-valid.csv")
	if err != nil {
		t.Skip("../shared/data is absent: the council's files cannot be tried")
	}
	f, err := hhfile.Parse(data, hhfile.Options{Label: hhfile.End})
	check(t, err)
	s := openFaulty(t, storePath(t))
	c := importConfig()
	c.Store.KeepHalfHours = 20 * 365 * config.Day
	rep, err := ImportFile(s, c, ImportRequest{File: "f.csv", Data: data, Meter: "main", ID: f.Series[0].ID, Label: hhfile.End}, time.Now().UTC())
	check(t, err)
	x := rep.Series[0]
	if x.Taken == 0 || x.Taken != len(f.Series[0].HalfHours) {
		t.Errorf("%+v", rep)
	}
	check(t, s.Close())
}

// What a feed gave and what a file says are of one kind: the later one stands,
// and the better one before it.
func TestImportAfterAFeed(t *testing.T) {
	s := openFaulty(t, storePath(t))
	k, at := energy.Key{Meter: "main", Measure: energy.Import}, time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	fed := func(n int, value int64, q energy.Quality) store.KeyedHalfHour {
		start := at.Add(time.Duration(n) * energy.Period)
		return keyedHalfHour(k, energy.HalfHour{Start: start, Energy: value, Cumulative: -1, TakenAt: start.Add(time.Hour), Quality: q,
			Evidence: energy.Evidence{First: energy.Sample{At: start}, Last: energy.Sample{At: start.Add(energy.Period), Value: value}, Samples: 1, Rule: energy.RuleInterval}})
	}
	check(t, s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{
		fed(0, 500, energy.Measured), fed(1, 500, energy.Measured), fed(2, 500, energy.Estimated), fed(3, 500, energy.Measured), fed(4, 500, energy.Estimated),
	}}))
	file := "id,measure,start,kWh,quality\n"
	for n, row := range []string{"0.5,measured", "0.6,measured", "0.6,measured", "0.6,estimated", "0.6,estimated"} {
		file += fmt.Sprintf("x,import,%s,%s\n", at.Add(time.Duration(n)*energy.Period).Format(time.RFC3339), row)
	}
	rep, err := ImportFile(s, importConfig(), ImportRequest{File: "f.csv", Data: []byte(file), Meter: "main"}, at.AddDate(0, 0, 9))
	check(t, err)
	if x := rep.Series[0]; x.Same != 1 || x.Corrected != 3 || x.Kept != 1 || x.Taken != 0 || x.Energy != "1800" {
		t.Errorf("%+v", x)
	}
	var got []int64
	for h, err := range s.HalfHours(k, at, at.AddDate(0, 0, 1)) {
		check(t, err)
		got = append(got, h.Energy)
	}
	if fmt.Sprint(got) != "[500 600 600 500 600]" {
		t.Errorf("%d", got)
	}
	if old, err := s.Corrections(k, at, at.AddDate(0, 0, 1)); err != nil || len(old) != 3 {
		t.Errorf("the versions before: %+v, %v", old, err)
	}
	check(t, s.Close())
}
