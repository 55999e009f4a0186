package hhfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

const sharedData = "../../../shared/data"

// What the rest of the world sends: every file of the shared collection, with
// what must come out. Totals were added up independently, as exact decimals.
var shared = []struct {
	name      string
	layout    string
	label     Label
	series    int
	halfHours int
	total     int64
	estimated int
	problems  []string // a part of each problem, in order
	err       string
}{
	{name: "council/all-missing-readings.csv", layout: LayoutDays, label: Start, series: 1, halfHours: 28, total: 732199, problems: []string{"unit", "3 decimals", "mark"}},
	{name: "council/amr_highlands-empty.csv", err: "the file is empty"},
	{name: "council/banes-bad-example-date-file.csv", layout: LayoutDays, label: End, problems: []string{"not one usable", "KABOOM"}},
	{name: "council/banes-bad-example-file.csv", layout: LayoutDays, label: End, series: 1, halfHours: 48, total: 226103, problems: []string{"mark", "KABOOM"}},
	{name: "council/banes-bad-example-missing-and-invalid-mpan-file.csv", layout: LayoutDays, label: End, series: 1, halfHours: 48, total: 226191, problems: []string{"mark", "10 characters", "which meter", "spreadsheet"}},
	{name: "council/banes-bad-example-missing-data-file.csv", layout: LayoutDays, label: End, series: 1, halfHours: 95, total: 450138, problems: []string{"mark"}},
	{name: "council/banes-example-file.csv", layout: LayoutDays, label: End, series: 5, halfHours: 240, total: 1114429, problems: []string{"mark"}},
	{name: "council/duplicate-rows.csv", layout: LayoutDays, label: Start, series: 1, halfHours: 48, total: 901889, problems: []string{"unit", "3 decimals", "mark", "line 2 gives another value or mark"}},
	{name: "council/empty-msft.csv", err: "the file is empty"},
	{name: "council/empty-with-header.csv", layout: LayoutDays, label: Start, problems: []string{"not one usable"}},
	{name: "council/empty.csv", err: "the file is empty"},
	{name: "council/energy_assets_invalid.csv", err: "web page (HTML)"},
	{name: "council/example-bad-sheffield-file.csv", layout: LayoutNumbers, label: Start, series: 1, halfHours: 96, total: 1099850, problems: []string{"3 decimals", "mark"}}, // 1,099,849.0 Wh: both days end on half a Wh
	{name: "council/example-bad-sheffield-proper-file.csv", layout: LayoutNumbers, label: Start, series: 1, halfHours: 4224, total: 8284252, problems: []string{"mark", "2019-10-27 has 50"}},
	{name: "council/example-highlands-file.csv", layout: LayoutReadings, label: End, series: 1, halfHours: 48, total: 321400},
	{name: "council/example-missing-half-hours.csv", layout: LayoutReadings, label: End, series: 11, halfHours: 526, total: 5385700, estimated: 48},
	{name: "council/example-offset.csv", layout: LayoutReadings, label: Start, series: 8, halfHours: 382, total: 4036600, estimated: 37},
	{name: "council/example-sheffield-file.csv", layout: LayoutNumbers, label: Start, series: 1, halfHours: 96, total: 1099850, problems: []string{"3 decimals", "mark"}},
	{name: "council/example.csv", layout: LayoutReadings, label: End, series: 10, halfHours: 480, total: 4468500, estimated: 48},
	{name: "council/incomplete-row.csv", layout: LayoutDays, label: Start, problems: []string{"unit", "not one usable", "ends after 3"}},
	{name: "council/malformed.csv", layout: LayoutDays, label: Start, series: 1, halfHours: 48, total: 901889, problems: []string{"unit", "3 decimals", "mark", "quotes"}},
	{name: "council/no-readings.csv", layout: LayoutDays, label: Start, problems: []string{"unit", "not one usable"}},
	{name: "council/not_a_csv.csv", err: "PNG picture"},
	{name: "council/row-per-day-empty-msft.csv", err: "the file is empty"},
	{name: "council/row-per-day-empty-with-header.csv", layout: LayoutDays, label: Start, problems: []string{"not one usable"}},
	{name: "council/row-per-day-empty.csv", err: "the file is empty"},
	{name: "council/row-per-day-some-missing-readings.csv", layout: LayoutDays, label: Start, series: 1, halfHours: 124, total: 2535977, problems: []string{"unit", "3 decimals", "mark"}},
	{name: "council/row-per-day-valid.csv", layout: LayoutDays, label: Start, series: 1, halfHours: 48, total: 901889, problems: []string{"unit", "3 decimals", "mark"}},
	{name: "council/some-missing-readings.csv", layout: LayoutReadings, label: Start, series: 2, halfHours: 94, total: 448200, estimated: 37},
	{name: "council/valid-no-header.csv", layout: LayoutBare, label: Start, series: 1, halfHours: 48, total: 901889, problems: []string{"unit", "3 decimals", "mark"}},
	{name: "council/valid.csv", layout: LayoutReadings, label: End, series: 1, halfHours: 48, total: 1272100},
	{name: "council/with-carriage-return-line-endings.csv", layout: LayoutDays, label: End, series: 1, halfHours: 96, total: 210734, problems: []string{"14 characters", "Report Time Zone"}},
	{name: "council/with-mixed-line-endings.csv", layout: LayoutBare, label: Start, series: 1, halfHours: 144, total: 893900, problems: []string{"unit", "mark"}},
	{name: "council/with-nulls-and-empty-lines.csv", layout: LayoutReadings, label: End, series: 1, halfHours: 15, total: 79100, problems: []string{"begin at 00:30"}},
	{name: "council/with-nulls-empty-lines-invalid-chars.csv", layout: LayoutReadings, label: End, series: 2, halfHours: 6, total: 22000, problems: []string{"begin at 00:30"}},
	{name: "perse/half-hourly-2024-01-to-2024-06.json", layout: LayoutPerse, label: Start, series: 1, halfHours: 8734, total: 160905000},
}

func TestSharedData(t *testing.T) {
	needShared(t)
	seen := map[string]bool{}
	for _, c := range shared {
		seen[filepath.Base(c.name)] = true
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(readFile(t, filepath.Join(sharedData, c.name)), Options{})
			if c.err != "" || err != nil {
				if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			halfHours, estimated, total := sums(f)
			if f.Layout != c.layout || f.Label != c.label || len(f.Series) != c.series || halfHours != c.halfHours || total != c.total || estimated != c.estimated {
				t.Errorf("got %q label %d: %d series, %d half-hours (%d estimated), %d Wh\nwant %q label %d: %d, %d (%d), %d",
					f.Layout, f.Label, len(f.Series), halfHours, estimated, total,
					c.layout, c.label, c.series, c.halfHours, c.estimated, c.total)
			}
			checkProblems(t, f, c.problems)
			checkLaws(t, f)
		})
	}
	files, _ := filepath.Glob(sharedData + "/council/*")
	for _, p := range files {
		if !seen[filepath.Base(p)] {
			t.Errorf("%s has no row in the table", p)
		}
	}
}

// The labels decide where the first value of a file belongs.
func TestSharedDataPlaces(t *testing.T) {
	needShared(t)
	for _, c := range []struct{ name, start, energy string }{
		{"council/valid.csv", "2019-08-25T23:00:00Z", "14400"},            // 26 Aug 2019 00:30 BST is the end
		{"council/example-offset.csv", "2019-12-03T00:00:00Z", "1000"},    // 00:00 is the start
		{"council/banes-example-file.csv", "2019-11-13T00:00:00Z", "969"}, // [00:30]
		{"perse/half-hourly-2024-01-to-2024-06.json", "2024-01-01T00:00:00Z", "17900"},
	} {
		f, err := Parse(readFile(t, filepath.Join(sharedData, c.name)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := f.Series[0].HalfHours[0]
		if got := h.Start.Format(time.RFC3339); got != c.start || energy.Import.Present(h.Energy) != c.energy {
			t.Errorf("%s: first half-hour %s %d, want %s %s", c.name, got, h.Energy, c.start, c.energy)
		}
	}
}

// 2024-03-31 has 46 periods in Perse's file, P1 to P46 without a hole.
func TestSharedShortDay(t *testing.T) {
	needShared(t)
	f, err := Parse(readFile(t, filepath.Join(sharedData, "perse/half-hourly-2024-01-to-2024-06.json")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	day := energy.SettlementDay(2024, time.March, 31)
	n := 0
	for i, h := range f.Series[0].HalfHours {
		if i > 0 && !h.Start.Equal(f.Series[0].HalfHours[i-1].Start.Add(energy.Period)) {
			t.Fatalf("hole or overlap before %v", h.Start)
		}
		if d, _ := energy.SettlementPeriod(h.Start); d == day {
			n++
		}
	}
	if n != 46 {
		t.Errorf("2024-03-31 has %d half-hours, want 46", n)
	}
}

func needShared(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(sharedData); err != nil {
		t.Skip("../shared/data is absent: the files of other parties are not tested")
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sums(f *File) (halfHours, estimated int, total int64) {
	for _, s := range f.Series {
		halfHours += len(s.HalfHours)
		for _, h := range s.HalfHours {
			total += h.Energy
			if h.Quality < energy.Measured {
				estimated++
			}
		}
	}
	return halfHours, estimated, total
}

func checkProblems(t *testing.T, f *File, want []string) {
	t.Helper()
	ok := len(f.Problems) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.Contains(f.Problems[i].What, want[i])
	}
	if !ok {
		t.Errorf("problems %q\nwant parts %q", f.Problems, want)
	}
}

// checkLaws states what holds for every file that is taken.
func checkLaws(t *testing.T, f *File) {
	t.Helper()
	if f.Label == Auto && len(f.Series) > 0 {
		t.Error("half-hours without knowing the label")
	}
	for i, s := range f.Series {
		if i > 0 && (f.Series[i-1].ID > s.ID || f.Series[i-1].ID == s.ID && f.Series[i-1].Measure >= s.Measure) {
			t.Errorf("series %s/%s is out of order or comes twice", s.ID, s.Measure)
		}
		for j, h := range s.HalfHours {
			rule := energy.RuleImported
			if h.Quality <= energy.Estimated {
				rule = energy.RuleImportedEst
			}
			switch {
			case h.Energy < 0 || h.Cumulative != -1 || h.Quality == energy.Missing || h.Evidence.Rule != rule:
				t.Fatalf("%s: impossible half-hour %+v", s.ID, h)
			case h.Start.Location() != time.UTC || !h.Start.Equal(energy.HalfHourStart(h.Start)) || !h.TakenAt.After(h.Start.Add(energy.Period)):
				t.Fatalf("%s: impossible times %+v", s.ID, h)
			case j > 0 && !h.Start.After(s.HalfHours[j-1].Start):
				t.Fatalf("%s: %v is not after %v", s.ID, h.Start, s.HalfHours[j-1].Start)
			}
		}
	}
}
