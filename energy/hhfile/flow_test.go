package hhfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// flow writes a D0379 with n values of a day, and a trailer that counts right.
func flow(date string, n int, change ...string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "ZHV|7|D0379001|X|SUPP|C|UDMS|20240402113000||||OPER|\n25B|%s|AI|SUPP|\n26B|%s|\n", mpan, date)
	for i := range n {
		fmt.Fprintf(&s, "66L|A|%d.5|\n", i)
	}
	fmt.Fprintf(&s, "ZPT|7|%d||1|20240402113000|\n", n+2)
	return strings.NewReplacer(change...).Replace(s.String())
}

// A D0379 goes by UTC days, in summer and on the days of the clock changes as
// well, and its n-th value ends n half-hours after midnight UTC.
func TestFlowGoesByUTCDays(t *testing.T) {
	for _, date := range []string{"20240115", "20240331", "20240701", "20241027"} {
		f, err := Parse([]byte(flow(date, 48)), Options{})
		if err != nil || len(f.Problems) > 0 || f.Label != End || f.Layout != LayoutFlow {
			t.Fatalf("%s: %v %+v", date, err, f)
		}
		day, _ := time.Parse("20060102", date)
		hh := f.Series[0].HalfHours
		if len(hh) != 48 {
			t.Fatalf("%s: %d half-hours", date, len(hh))
		}
		for i, h := range hh {
			if want := day.Add(time.Duration(i) * 30 * time.Minute); !h.Start.Equal(want) || h.Energy != int64(i)*1000+500 {
				t.Errorf("%s: value %d is %d from %s, want from %s", date, i+1, h.Energy, h.Start, want)
			}
		}
	}
}

func TestFlowRefusals(t *testing.T) {
	whole := flow("20240115", 48)
	for _, c := range []struct {
		name, text string
		err        string // of the whole file
		problem    string
		halfHours  int
	}{
		{"whole", whole, "", "", 48},
		{"no header", strings.TrimPrefix(whole, "ZHV|7|D0379001|X|SUPP|C|UDMS|20240402113000||||OPER|\n"), "", "", 48},
		{"another flow", flow("20240115", 48, "D0379001", "D0010002"), `data flow "D0010002"`, "", 0},
		{"cut off in a line", whole[:len(whole)/2], "cut off", "", 0},
		{"cut off before its trailer", whole[:strings.Index(whole, "ZPT")], "cut off", "", 0},
		{"two in one", whole + whole, "several files in one", "", 0},
		{"47 values", flow("20240115", 47), "", "has 47 values, not 48", 0},
		{"49 values", flow("20240115", 49), "", "has more values, not 48", 0},
		{"a count of records that is wrong", flow("20240115", 48, "ZPT|7|50|", "ZPT|7|51|"), "", "the trailer counts 51 records, and the file has 50", 48},
		{"a count of meters that is wrong", flow("20240115", 48, "||1|", "||2|"), "", "the trailer counts 2 meters, and the file has 1", 48},
		{"another file's trailer", flow("20240115", 48, "ZPT|7|", "ZPT|8|"), "", `trailer is of file "8"`, 48},
		{"a quantity that is none", flow("20240115", 48, "|AI|", "|XX|"), "", `"XX" is not AI`, 0},
		{"no quantity above", flow("20240115", 48, "25B|", "25X|"), "", `records of type "25X" are not known`, 0},
		{"a date that is none", flow("20240230", 48), "", `"20240230" is not a date`, 0},
		{"a date long ago", flow("19990101", 48), "", `"19990101" is not a date`, 0},
		{"a value above every date", flow("20240115", 48, "26B|20240115|\n", ""), "", "without a date", 0},
		{"no meter", flow("20240115", 48, mpan, ""), "", "does not say which meter", 0},
		{"a negative value", flow("20240115", 48, "|0.5|", "|-0.5|"), "", "is negative", 47},
		{"a mark that is neither", flow("20240115", 48, "66L|A|0.5|", "66L|Z|0.5|"), "", "neither actual", 48},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse([]byte(c.text), Options{})
			if c.err != "" || err != nil {
				if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			halfHours, _, _ := sums(f)
			if halfHours != c.halfHours {
				t.Errorf("%d half-hours, want %d", halfHours, c.halfHours)
			}
			found := c.problem == "" && len(f.Problems) == 0
			for _, p := range f.Problems {
				found = found || c.problem != "" && strings.Contains(p.What, c.problem)
			}
			if !found {
				t.Errorf("problems %q, want one with %q", f.Problems, c.problem)
			}
		})
	}
}

// The four measures by their codes, an estimate, and a value that is not there.
func TestFlowMeasuresAndMarks(t *testing.T) {
	for code, m := range quantities {
		f, err := Parse([]byte(flow("20240115", 48, "|AI|", "|"+code+"|", "66L|A|0.5|", "66L|E|0.5|", "|1.5|", "||")), Options{})
		if err != nil || len(f.Series) != 1 || f.Series[0].Measure != m {
			t.Fatalf("%s: %v %+v", code, err, f)
		}
		hh := f.Series[0].HalfHours
		if len(hh) != 47 || hh[0].Quality != energy.Estimated || hh[1].Quality != energy.Measured || hh[1].Energy != 2500 {
			t.Errorf("%s: %d half-hours, first %+v, second %+v", code, len(hh), hh[0], hh[1])
		}
	}
}
