package hhfile

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

const mpan = "2000000000006"

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		in    string
		power int
		want  amount
		err   error
	}{
		{"0", 0, 0, nil},
		{"17.9", 0, 17_900_000_000_000, nil},
		{"+1.", 0, one, nil},
		{".5", 0, one / 2, nil},
		{"-1.5", 0, -one * 3 / 2, nil},
		{"1.5E-05", 0, 15_000_000, nil},
		{"2e2", 0, 200 * one, nil},
		{"1500", -3, one * 3 / 2, nil},
		{"1.5", 3, 1500 * one, nil},
		{"0.1000000000005", 0, 100_000_000_000, nil},     // half, to even
		{"0.1000000000015", 0, 100_000_000_002, nil},     // half, to even
		{"0.10000000000050001", 0, 100_000_000_001, nil}, // above half
		{"0.10000000000049999", 0, 100_000_000_000, nil}, // below half
		{"0.0000000000000000001", 0, 0, nil},             // nothing left
		{"1e-999", 0, 0, nil},                            //
		{"6e-13", 0, 1, nil},                             // above half of the smallest
		{"5e-13", 0, 0, nil},                             // half of it, to even
		{"1000000", 0, largest, nil},                     // the largest that is taken
		{"1000000.000000000001", 0, 0, errTooLarge},      //
		{"1e999", 0, 0, errTooLarge},                     //
		{"99999999999999999999999", 0, 0, errTooLarge},   //
		{"", 0, 0, errNotNumber}, {"-", 0, 0, errNotNumber}, {".", 0, 0, errNotNumber},
		{"1,5", 0, 0, errNotNumber}, {"1e", 0, one, nil}, {"1e1.5", 0, 0, errNotNumber},
		{"NaN", 0, 0, errNotNumber}, {"0x10", 0, 0, errNotNumber}, {"1e1000", 0, 0, errNotNumber},
	} {
		got, err := parseAmount(c.in, c.power)
		if got != c.want || err != c.err {
			t.Errorf("parseAmount(%q, %d) = %d, %v; want %d, %v", c.in, c.power, got, err, c.want, c.err)
		}
	}
}

// parseAmount agrees with exact rationals.
func TestParseAmountExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9]{0,6}(\.[0-9]{1,16})?(e-?[0-9])?`).Draw(t, "s")
		r, ok := new(big.Rat).SetString(s)
		got, err := parseAmount(s, 0)
		if !ok || err != nil {
			if ok && err == errNotNumber {
				t.Fatalf("%q is a number", s)
			}
			return
		}
		r.Mul(r, new(big.Rat).SetInt64(int64(one)))
		diff := new(big.Rat).Sub(r, new(big.Rat).SetInt64(int64(got)))
		if diff.Abs(diff).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q = %d, off by %v", s, got, diff)
		}
	})
}

// The carrier keeps the running total within half a base unit, and no value is
// negative or off by more than one.
func TestCarrier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c carrier
		var exact amount
		var given int64
		for _, v := range rapid.SliceOfN(rapid.Int64Range(0, 5*int64(perBase)), 1, 60).Draw(t, "values") {
			got := c.next(amount(v))
			exact += amount(v)
			given += got
			if off := exact - amount(given)*perBase; off > perBase/2 || off < -perBase/2 {
				t.Fatalf("total off by %d of %d", off, perBase)
			}
			if off := amount(v) - amount(got)*perBase; got < 0 || off > perBase || off < -perBase {
				t.Fatalf("%d became %d", v, got)
			}
		}
	})
}

func TestParseCivil(t *testing.T) {
	for in, want := range map[string]string{
		"2024-03-31": "2024-03-31 0", "31/03/2024": "2024-03-31 0", "31/03/24": "2024-03-31 0", "1/3/2024": "2024-03-01 0",
		"31 Mar 2024": "2024-03-31 0", "31-Mar-24": "2024-03-31 0", "Nov 13 2019 12:00AM": "2019-11-13 0", "Nov  3 2019 12:00AM": "2019-11-03 0",
		"26 Aug 2019 00:30:00": "2019-08-26 1", "2019-08-26T23:30": "2019-08-26 47", "26/08/2019 24:00": "2019-08-26 48",
		"20240331": "2024-03-31 0", "2024-03-31 00:00:00.000": "2024-03-31 0", "13 Nov 2019 11:30PM": "2019-11-13 47",
		"KABOOM": "", "03/31/2024": "", "31/02/2024": "", "1970-01-01": "", "2024-03-31 00:15": "", "2024-03-31 00:30:01": "", "": "", "2024-03-31 25:00": "",
	} {
		c, err := parseCivil(in)
		got := fmt.Sprintf("%s %d", c.date(), c.slot)
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("parseCivil(%q) = %s, %v; want %q", in, got, err, want)
		}
	}
	if _, err := parseDate("2024-03-31 10:00"); err == nil {
		t.Error("a time of day was taken for a date")
	}
}

func TestWhatItLooksLike(t *testing.T) {
	for in, want := range map[string]string{
		"": "empty", "\r\n\x00\n": "empty", "sep=,\r\n": "empty", "\xef\xbb\xbf": "empty", "\xff\xfe": "empty",
		"\x89PNG\r\n\x1a\n": "PNG", "PK\x03\x04...": ".xlsx", "%PDF-1.4": "PDF", "\xd0\xcf\x11\xe0": ".xls",
		"<!DOCTYPE html><p>": "web page", "\n <HTML>": "web page", "<?xml version=\"1.0\"?><a/>": "XML",
		`{"error":"no"}`: "not Perse's", `[1,2]`: "not Perse's", `{"data":[{"P1":1}]}`: "not Perse's", `{`: "broken or cut off at byte 1",
		"name,age\nada,36\n": "no line looks like", `"`: "no line in it",
		"Date," + strings.Join(clock(0), ",") + "\n":                     "name no meter",
		"ReadDatetime,kWh\n":                                             "name no meter",
		"MPAN,Date," + strings.Join(append(clock(0)[:47], "23:00"), ","): "one half-hour after another",
		"MPAN,Date," + strings.Join(clock(2)[:46], ","):                  "label start or end",
	} {
		_, err := Parse([]byte(in), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%.40q): %v, want %q", in, err, want)
		}
	}
	if _, err := Parse([]byte("x"), Options{Label: 7}); err == nil {
		t.Error("an unknown label was taken")
	}
}

// clock gives the 48 times of a day as headings, from slot first on.
func clock(first int) []string {
	out := make([]string, 48)
	for i := range out {
		s := (i + first) % 48
		out[i] = fmt.Sprintf("%02d:%02d", s/2, s%2*30)
	}
	return out
}

func TestLabelOption(t *testing.T) {
	rows := "MPR,ReadDatetime,kWh\n" + mpan + ",05 Feb 2024 03:00,1\n" + mpan + ",05 Feb 2024 00:00,2\n"
	day := "MPAN,Date,Units," + strings.Join(clock(0), ",") + "\n" + mpan + ",05/02/2024,kWh" + strings.Repeat(",1", 48) + "\n"
	for _, c := range []struct {
		in    string
		label Label
		first string
	}{
		{rows, Start, "2024-02-05T00:00:00Z"},
		{rows, End, "2024-02-04T23:30:00Z"},
		{day, Start, "2024-02-05T00:00:00Z"},
		{day, End, "2024-02-04T23:30:00Z"},
	} {
		f, err := Parse([]byte(c.in), Options{Label: c.label})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Series[0].HalfHours[0].Start.Format(time.RFC3339); got != c.first || f.Label != c.label {
			t.Errorf("label %v: first half-hour %s, want %s", c.label, got, c.first)
		}
	}
}

// A file in UTC all year is read as such when the location says so.
func TestLocation(t *testing.T) {
	in := "MPAN,Date,Units," + strings.Join(clock(0), ",") + "\n" + mpan + ",31/03/2024,kWh" + strings.Repeat(",1", 48) + "\n"
	f, err := Parse([]byte(in), Options{Location: time.UTC})
	if err != nil || len(f.Series[0].HalfHours) != 48 {
		t.Fatalf("%v, %v", f, err)
	}
}

func TestNow(t *testing.T) {
	now := time.Date(2024, 2, 5, 1, 15, 0, 0, time.UTC)
	in := "MPAN,Date,Units," + strings.Join(clock(0), ",") + "\n" + mpan + ",05/02/2024,kWh" + strings.Repeat(",1", 48) + "\n"
	f, err := Parse([]byte(in), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	h := f.Series[0].HalfHours
	if len(h) != 2 || !h[0].TakenAt.Equal(now) || !strings.Contains(f.Problems[len(f.Problems)-1].What, "not ended yet") {
		t.Errorf("%d half-hours, %v", len(h), f.Problems)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	in := "MPR,ReadDatetime,kWh\n" + strings.Repeat(mpan+",never,1\n", 5000)
	f, err := Parse([]byte(in), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Problems); n != maxProblems+1 || !strings.Contains(f.Problems[n-1].What, "more problems") {
		t.Errorf("%d problems, the last %v", n, f.Problems[n-1])
	}
}

// What is written in a layout comes back to the Wh, over days of every length.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SampledFrom([]string{"2024-03-29", "2024-06-01", "2024-10-25"}).Draw(t, "first")
		at, _ := time.Parse(time.DateOnly, first)
		var want []energy.HalfHour
		var days []energy.Day
		for i := range rapid.IntRange(1, 4).Draw(t, "days") {
			d := energy.SettlementDay(at.Year(), at.Month(), at.Day()+i)
			days = append(days, d)
			for n := 1; n <= d.Periods(); n++ {
				want = append(want, energy.HalfHour{Start: d.Start(n), Energy: rapid.Int64Range(0, 99999).Draw(t, "Wh")})
			}
		}
		layout := rapid.SampledFrom([]func([]energy.Day, []energy.HalfHour) string{writePlain, writeBare, writeReadings}).Draw(t, "layout")
		f, err := Parse([]byte(layout(days, want)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := f.Series[0].HalfHours
		if len(got) != len(want) {
			t.Fatalf("%d half-hours, want %d", len(got), len(want))
		}
		for i := range want {
			if !got[i].Start.Equal(want[i].Start) || got[i].Energy != want[i].Energy {
				t.Fatalf("half-hour %d: %v %d, want %v %d", i, got[i].Start, got[i].Energy, want[i].Start, want[i].Energy)
			}
		}
	})
}

func kwh(wh int64) string { return fmt.Sprintf("%d.%03d", wh/1000, wh%1000) }

func writePlain(_ []energy.Day, hs []energy.HalfHour) string {
	s := "id,measure,start,kWh,quality\n"
	for _, h := range hs {
		s += fmt.Sprintf("%s,import,%s,%s,measured\n", mpan, h.Start.Format(time.RFC3339), kwh(h.Energy))
	}
	return s
}

func writeBare(days []energy.Day, hs []energy.HalfHour) string {
	s := ""
	for _, d := range days {
		s += mpan + ",K1," + d.String()
		for range d.Periods() {
			s += "," + kwh(hs[0].Energy)
			hs = hs[1:]
		}
		s += "\r"
	}
	return s
}

func writeReadings(_ []energy.Day, hs []energy.HalfHour) string {
	s := "MPR,ReadDatetime,kWh,ReadType\n"
	for _, h := range hs {
		end := h.Start.Add(energy.Period).In(energy.London())
		s += fmt.Sprintf("%s,%s,%s,Actual\n", mpan, end.Format("02 Jan 2006 15:04:05"), kwh(h.Energy))
	}
	return s
}
