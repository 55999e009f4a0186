package hhfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/perseus-edge/perseus-edge/energy"
)

// takes parses a file and says what came of it: half-hours, and the problems
// whose words have says in them.
func takes(t *testing.T, file, says string) (hh []energy.HalfHour, problems int) {
	t.Helper()
	f, err := Parse([]byte(file), Options{Label: Start})
	if err != nil {
		t.Fatalf("%.60q: %v", file, err)
	}
	for _, s := range f.Series {
		hh = append(hh, s.HalfHours...)
	}
	for _, p := range f.Problems {
		if strings.Contains(p.What, says) {
			problems++
		}
	}
	return hh, problems
}

// values are n fields of a value.
func values(n int, v string) string { return strings.Repeat(","+v, n) }

// numbered are the headings of n periods.
func numbered(n int) string {
	s := "MPAN,ConsumptionDate"
	for i := range n {
		s += fmt.Sprintf(",kWh_%d", i+1)
	}
	return s + "\n"
}

// The years 2000 to 2100 are taken, in every layout: what lies outside is a
// slip of the keyboard, or of a program that had no date.
func TestYearsThatAreTaken(t *testing.T) {
	for _, year := range []int{1999, 2000, 2100, 2101} {
		for name, file := range map[string]string{
			"plain": fmt.Sprintf("id,measure,start,kWh,quality\n%s,import,%d-06-15T00:00:00Z,1,measured\n", mpan, year),
			"days":  numbered(48) + fmt.Sprintf("%s,15/06/%d", mpan, year) + values(48, "1") + "\n",
			"flow":  fmt.Sprintf("ZHV|f|D0379001|X|P|C|U|20240101000000||||OPER|\n25B|%s|AI|S|\n26B|%d0615|\n", mpan, year) + strings.Repeat("66L|A|1.000|\n", 48) + "ZPT|f|50||1|20240101000000|\n",
		} {
			hh, _ := takes(t, file, "")
			if want := year == 2000 || year == 2100; len(hh) > 0 != want {
				t.Errorf("%s of %d: %d half-hours", name, year, len(hh))
			}
		}
	}
}

func TestCivilOrder(t *testing.T) {
	a := civil{2024, 3, 9, 5}
	for _, c := range []struct {
		b      civil
		before bool
	}{{a, false}, {civil{2024, 3, 9, 6}, true}, {civil{2024, 3, 9, 4}, false}, {civil{2024, 3, 10, 0}, true}, {civil{2024, 3, 8, 47}, false}} {
		if a.before(c.b) != c.before {
			t.Errorf("%v before %v", a, c.b)
		}
	}
}

// Databases write midnight with decimals; a part of a second is no midnight.
func TestMidnightWithDecimals(t *testing.T) {
	for s, want := range map[string]bool{"2024-03-09 00:00:00.000": true, "2024-03-09 00:00:00.0000000": true, "2024-03-09 00:00:00.0000005": false} {
		if _, err := parseDate(s); (err == nil) != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// A row of a day ends where its columns do: one short is told, and what is no
// row of readings at all is told as such.
func TestRowsThatEndEarly(t *testing.T) {
	day := mpan + ",15/06/2024"
	for _, c := range []struct {
		row, says string
		problems  int
	}{
		{day + values(46, "1"), "the row ends after", 0},
		{day + values(45, "1"), "the row ends after", 1},
		{"total,48", "this is no row of readings", 1},
		{"end of file", "this is no row of readings", 1},
	} {
		if _, n := takes(t, numbered(48)+c.row+"\n", c.says); n != c.problems {
			t.Errorf("%.40s: %d times %q, want %d", c.row, n, c.says, c.problems)
		}
	}
	for row, problems := range map[string]int{"15/06/2024 10:30," + mpan: 1, "15/06/2024 10:30," + mpan + ",": 0} {
		if hh, n := takes(t, "Timestamp,MPAN,kWh\n"+row+"\n"+"15/06/2024 11:00,"+mpan+",1\n", "this is no row of readings"); n != problems || len(hh) != 1 {
			t.Errorf("%s: %d half-hours, told %d times, want %d", row, len(hh), n, problems)
		}
	}
	// The date's own column must be there.
	head := strings.Replace(numbered(48), "MPAN,ConsumptionDate", "MPAN,Site,Name,ConsumptionDate", 1)
	if _, n := takes(t, head+"a,b,c\n"+mpan+",x,y,15/06/2024"+values(48, "1")+"\n", "this is no row of readings"); n != 1 {
		t.Errorf("a row that ends before its date: told %d times", n)
	}
}

// Of a file with columns for 50 periods, a row that fills the 49th is one of
// settlement periods, in order; one that ends at the 48th is of the clock. A
// 49th period of an ordinary day is in no day.
func TestPeriodsOfLongDays(t *testing.T) {
	long := func(n int) []energy.HalfHour { // 27 October 2024 has 50 periods: clocks go back at 01:00 UTC
		hh, _ := takes(t, numbered(50)+mpan+",27/10/2024"+values(n, "1")+"\n", "")
		return hh
	}
	begin := time.Date(2024, 10, 26, 23, 0, 0, 0, time.UTC)
	for n, last := range map[int]time.Time{48: begin.Add(49 * energy.Period), 49: begin.Add(48 * energy.Period), 50: begin.Add(49 * energy.Period)} {
		hh := long(n)
		if len(hh) != n || !hh[n-1].Start.Equal(last) {
			t.Errorf("%d values: %d half-hours, the last %v, want %v", n, len(hh), hh[len(hh)-1].Start, last)
		}
	}
	hh, n := takes(t, numbered(50)+mpan+",15/06/2024"+values(49, "1")+"\n", "has no such half-hour")
	if len(hh) != 48 || n != 1 {
		t.Errorf("49 values on a day of 48: %d taken, told %d times", len(hh), n)
	}
}

// On the day of 46 a row of 48 columns is in order only where both of the last
// two are empty.
func TestPeriodsOfTheShortDay(t *testing.T) {
	for filled, last := range map[int]time.Time{
		46: time.Date(2024, 3, 31, 22, 30, 0, 0, time.UTC), // in order
		47: time.Date(2024, 3, 31, 22, 0, 0, 0, time.UTC),  // by the clock: the 47th is 23:00 of summer time
	} {
		hh, _ := takes(t, numbered(48)+mpan+",31/03/2024"+values(filled, "1")+values(48-filled, "")+"\n", "")
		if !hh[len(hh)-1].Start.Equal(last) {
			t.Errorf("%d filled: the last is %v, want %v", filled, hh[len(hh)-1].Start, last)
		}
	}
}

// The first column counts like any other, in every layout.
func TestFirstColumn(t *testing.T) {
	names, row := []string{"id", "measure", "start", "kWh", "quality"}, []string{mpan, "import", "2024-06-15T00:00:00Z", "1", "measured"}
	for range names {
		names, row = append(names[1:], names[0]), append(row[1:], row[0])
		if hh, _ := takes(t, strings.Join(names, ",")+"\n"+strings.Join(row, ",")+"\n", ""); len(hh) != 1 {
			t.Errorf("%v: %d half-hours", names, len(hh))
		}
	}
	names, row = []string{"Date", "Time", "kWh", "MPAN"}, []string{"15/06/2024", "10:30", "1", mpan}
	for range names {
		names, row = append(names[1:], names[0]), append(row[1:], row[0])
		if hh, _ := takes(t, strings.Join(names, ",")+"\n"+strings.Join(row, ",")+"\n", ""); len(hh) != 1 || hh[0].Start.Hour() != 9 {
			t.Errorf("%v: %v", names, hh)
		}
	}
	// A column of date and time goes before one of the time alone, also the first.
	if hh, _ := takes(t, "Timestamp,Time,kWh,MPAN\n15/06/2024 10:30,11:30,1,"+mpan+"\n", ""); len(hh) != 1 || hh[0].Start.Hour() != 9 {
		t.Errorf("%v", hh)
	}
}

func TestLetters(t *testing.T) {
	if got := letters("`az{ /09:_é"); got != "az09" {
		t.Error(got)
	}
}

// Without headings a row is one of 46 to 50 numbers behind a meter and a date.
// Places may be empty; words are none.
func TestBareRows(t *testing.T) {
	for n, want := range map[int]bool{45: false, 46: true, 50: true, 51: false} {
		_, err := Parse([]byte(mpan+",15/06/2024"+values(n, "1")+"\n"), Options{Label: Start})
		if (err == nil) != want {
			t.Errorf("%d values: %v", n, err)
		}
	}
	if hh, _ := takes(t, mpan+",15/06/2024"+values(46, "1")+",,\n", ""); len(hh) != 46 {
		t.Errorf("with empty places: %d", len(hh))
	}
	for _, row := range []string{mpan + ",15/06/2024" + values(47, "1") + ",none", mpan + ",15/06/2024,none" + values(47, "1")} {
		if _, err := Parse([]byte(row+"\n"), Options{Label: Start}); err == nil {
			t.Errorf("%.40s was taken", row)
		}
	}
}

// What cannot be taken is quoted, but not at any length.
func TestQuotedAtMost(t *testing.T) {
	for n, dots := range map[int]bool{80: false, 81: true} {
		_, err := Parse([]byte(strings.Repeat("x", n)+"\n"), Options{})
		if err == nil || strings.Contains(err.Error(), "...") != dots {
			t.Errorf("%d characters: %v", n, err)
		}
	}
	// Broken lines are told as far as there is room, and once more.
	const head = "id,measure,start,kWh,quality\n"
	broken := func(n int) int {
		_, got := takes(t, head+strings.Repeat("\"x\n", n), "")
		return got
	}
	if a, b := broken(maxProblems+1), broken(maxProblems+9); a != maxProblems+1 || b != a {
		t.Errorf("%d and %d are told", a, b)
	}
}

// The separator is the one that the file names, else the one that it uses.
func TestSeparators(t *testing.T) {
	plain := func(comma string) string {
		return strings.ReplaceAll("id,measure,start,kWh,quality\n\""+mpan+"\",import,2024-06-15T00:00:00Z,1,measured\n", ",", comma)
	}
	for name, file := range map[string]string{
		"named":               "sep=~\n" + plain("~"),
		"named, with a quote": "sep=\"\n" + plain(","),
		"semicolons":          plain(";"),
		"tabs":                plain("\t"),
		"bars":                plain("|"),
		"spaces behind":       strings.ReplaceAll(plain(","), ",", ", "),
		"three of them":       "kWh;MPAN;Date;Time\n1;" + mpan + ";15/06/2024;10:30\n",
	} {
		if hh, _ := takes(t, file, ""); len(hh) != 1 {
			t.Errorf("%s: %d half-hours", name, len(hh))
		}
	}
	// Under tabs a space belongs to the field, and an empty one is empty.
	rows, _ := split("a\tb\tc\td\n\"1\"\t\t\t2\n")
	if len(rows) != 2 || !slices.Equal(rows[1].fields, []string{"1", "", "", "2"}) {
		t.Errorf("%v", rows)
	}
}

// "sep=" and what stands for one separator is no heading; a longer line may be.
func TestIsSep(t *testing.T) {
	for s, want := range map[string]bool{"sep=,": true, "SEP=;": true, "sep=\",": true, "sep=,,,": false, "se": false} {
		if isSep(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// UTF-16 is read to its last letter, whether or not a line ends there.
func TestUTF16ToTheEnd(t *testing.T) {
	raw := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune("id,kWh 15")) {
		raw = append(raw, byte(u), byte(u>>8))
	}
	for n, want := range map[int]string{0: "id,kWh 15", 1: "id,kWh 1"} {
		if got := decode(raw[:len(raw)-n]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A gas meter point has 6 to 11 digits: under a heading that means either, one
// of them in kWh is not taken, and anything else is an MPAN with a slip.
func TestGasPoints(t *testing.T) {
	for id, gas := range map[string]bool{"12345": false, "123456": true, "12345678901": true, "123456789012": false} {
		hh, n := takes(t, "MPR,ReadDatetime,kWh\n"+id+",15/06/2024 10:30,1\n", "this is gas")
		if (n == 1) != gas || (len(hh) == 0) != gas {
			t.Errorf("%s: %d half-hours, said %d times", id, len(hh), n)
		}
	}
}

// The same half-hour twice is told where the value or the mark is another one,
// and the later line wins; word for word the same is nothing to tell.
func TestTwice(t *testing.T) {
	for second, told := range map[string]int{"1,measured": 0, "2,measured": 1, "1,estimated": 1} {
		line := mpan + ",import,2024-06-15T00:00:00Z,"
		hh, n := takes(t, "id,measure,start,kWh,quality\n"+line+"1,measured\n"+line+second+"\n", "gives another value or mark")
		if got := fmt.Sprintf("%d,%s", hh[0].Energy/1000, hh[0].Quality); len(hh) != 1 || n != told || got != second {
			t.Errorf("%s: %s, told %d times", second, got, n)
		}
	}
}

// Readings of a day on which the clocks change, where the file has only some of
// them: the hour that was skipped is in no half-hour; as the end of one 02:00 can
// stand for 01:00; and a row that comes twice elsewhere does not move the hour
// that came twice.
func TestReadingsAroundTheChange(t *testing.T) {
	for name, c := range map[string]struct {
		label Label
		times string // local
		want  string // starts, UTC
	}{
		"skipped, as starts": {Start, "31/03/2024 00:30|31/03/2024 01:00|31/03/2024 02:00", "00:30 01:00"},
		"skipped, as ends":   {End, "31/03/2024 00:30|31/03/2024 02:00|31/03/2024 02:30", "00:00 00:30 01:00"},
		"twice elsewhere":    {End, "27/10/2024 02:00|27/10/2024 05:00|27/10/2024 05:00", "00:30 04:30"},
	} {
		file := "Timestamp,MPAN,kWh\n"
		for at := range strings.SplitSeq(c.times, "|") {
			file += at + "," + mpan + ",1\n"
		}
		f, err := Parse([]byte(file), Options{Label: c.label})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range f.Series[0].HalfHours {
			got = append(got, h.Start.Format("15:04"))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}
