package hhfile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What perseus-agent readings prints can be taken in elsewhere, to the unit;
// what does not fit is named.
func TestOwnExport(t *testing.T) {
	const head = "meter,measure,from,to,taken_at,energy,unit,cumulative,quality,rule,samples,checks,derived,derived_unit,gas_day\n"
	f, err := Parse([]byte(head+
		"main,import,2026-11-22T05:00:00Z,2026-11-22T05:30:00Z,2026-11-22T05:30:01Z,6001,WHR,10005999,measured,bracketed,60,,,,\n"+
		"main,import,2026-11-22T05:30:00Z,2026-11-22T06:00:00Z,2026-11-22T06:00:01Z,7,WHR,,estimated,spread,0,V05,,,\n"+
		"main,import,2026-11-22T06:00:00Z,2026-11-22T06:30:00Z,,,,,missing,none,,,,,\n"+
		"gas,gas,2026-11-22T05:00:00Z,2026-11-22T05:30:00Z,2026-11-22T05:30:01Z,3.003,MTQ,0.634,measured,bracketed,56,V04,33696,WHR,2026-11-22\n"+
		"main,reactive-import,2026-11-22T05:00:00Z,2026-11-22T05:30:00Z,2026-11-22T05:30:01Z,1.500,K3,,interpolated,interpolated,2,,,,\n"),
		Options{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
	if err != nil || len(f.Problems) > 0 || f.Layout != LayoutExport || f.Label != Start {
		t.Fatalf("%v %+v", err, f)
	}
	var got []string
	for _, s := range f.Series {
		for _, h := range s.HalfHours {
			got = append(got, fmt.Sprintf("%s %s %s %d %s", s.ID, s.Measure, h.Start.Format("15:04"), h.Energy, h.Quality))
		}
	}
	want := "gas gas 05:00 3003 measured|main import 05:00 6001 measured|main import 05:30 7 estimated|main reactive-import 05:00 1500 interpolated"
	if g := strings.Join(got, "|"); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
	for row, says := range map[string]string{
		"main,import,2026-11-22T05:00:00Z,2026-11-22T06:00:00Z,,6,WHR,,measured": "is not a half-hour",
		"main,import,2026-11-22T05:00:00Z,,,6,WHR,,measured":                     "is not a half-hour",
		"main,import,2026-11-22T05:00:00Z,2026-11-22T05:30:00Z,,6,KWH,,measured": `unit "KWH": import is in WHR here`,
		"main,import,2026-11-22T05:10:00Z,2026-11-22T05:40:00Z,,6,WHR,,measured": "is not the start of a half-hour",
	} {
		f, err := Parse([]byte(head+row+"\n"), Options{})
		if err != nil || len(f.Series) > 0 || len(f.Problems) != 2 || !strings.Contains(f.Problems[1].What, says) {
			t.Errorf("%s: %v %+v", row, err, f)
		}
	}
	if energy.Import.UnitCode() != "WHR" {
		t.Error("the power of ten goes by WHR")
	}
}
