package hhfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// labelledDay is the day on which clocks go back, 27 October 2024, a row per
// reading as a sender writes it: each half-hour's value is its number, and its
// label what label makes of it.
func labelledDay(label func(start time.Time) string, leftOut ...int) []string {
	day := energy.DayIn(energy.London(), 2024, 10, 27)
	var rows []string
	for n := 1; n <= day.Periods(); n++ {
		if !slices.Contains(leftOut, n) {
			rows = append(rows, fmt.Sprintf("2000000000006,%s,%d", label(day.Start(n)), n))
		}
	}
	return rows
}

// The local time of the hour that comes twice names two half-hours: the first
// row of it is the first pass and the second the second, also where other rows of
// the day are not there.
func TestTheHourThatComesTwiceInAPartOfADay(t *testing.T) {
	const civil = "2006-01-02 15:04"
	local := func(at time.Time) string { return at.In(energy.London()).Format(civil) }
	starts := local
	ends := func(start time.Time) string { return local(start.Add(energy.Period)) }
	lateEnds := func(start time.Time) string { // half an hour after the label of the start, whatever the clock does then
		at, _ := time.Parse(civil, local(start))
		return at.Add(energy.Period).Format(civil)
	}
	noon := make([]int, 0, 25)
	for n := 27; n <= 50; n++ {
		noon = append(noon, n)
	}
	for _, c := range []struct {
		name  string
		label Label
		of    func(time.Time) string
	}{{"starts", Start, starts}, {"ends", End, ends}, {"starts and half an hour", End, lateEnds}} {
		for name, out := range map[string][]int{"one is not there": {30}, "it ends at noon": noon, "the first is not there": {1}} {
			for _, down := range []bool{false, true} {
				rows := labelledDay(c.of, out...)
				if down {
					slices.Reverse(rows)
				}
				f, err := Parse([]byte("MPAN,ReadDatetime,kWh\n"+strings.Join(rows, "\n")+"\n"), Options{Label: c.label})
				if err != nil {
					t.Fatal(err)
				}
				got := f.Series[0].HalfHours
				day := energy.DayIn(energy.London(), 2024, 10, 27)
				for _, h := range got {
					n := int(h.Start.Sub(day.Start(1))/energy.Period) + 1
					if h.Energy != int64(n)*1000 {
						t.Errorf("%s, %s, down %v: half-hour %d has the value of %d", c.name, name, down, n, h.Energy/1000)
					}
				}
				if len(got) != len(rows) {
					t.Errorf("%s, %s, down %v: %d half-hours of %d rows: %v", c.name, name, down, len(got), len(rows), f.Problems)
				}
			}
		}
	}
}
