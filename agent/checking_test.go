package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A check meter may be a virtual one, and a file may tell of what it is made of:
// what it comes to then is held against what was measured, as at any other time.
func TestVirtualCheckMeterMadeByAFile(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		steady := func(t time.Time) (int64, error) { return int64(t.Sub(epoch) / time.Second), nil }
		f := newFake(registers{steady}, registers{func(t time.Time) (int64, error) {
			if d := t.Sub(epoch); d > 2*time.Hour+5*time.Minute && d < 5*time.Hour+5*time.Minute {
				return 0, errors.New("no answer")
			}
			return steady(t)
		}})
		conf := site(f, time.Minute)
		conf.Meters = append(conf.Meters, config.Meter{ID: "also", Virtual: &config.Virtual{Sum: []string{"b"}, Measures: []energy.Measure{energy.Import}}})
		conf.Meters[0].CheckMeter = "also"
		s := openFaulty(t, path)
		a := newAgent(t, f, conf, s)
		time.AfterFunc(7*time.Hour, func() {
			var b strings.Builder
			b.WriteString("id,measure,start,kWh,quality\n")
			for i := range 4 {
				fmt.Fprintf(&b, "one,import,%s,%s,measured\n", epoch.Add(3*time.Hour+time.Duration(i)*energy.Period).Format(time.RFC3339), []string{"1.800", "0.900"}[i%2])
			}
			_, err := a.Import(ImportRequest{File: "b.csv", Data: []byte(b.String()), Meter: "b"})
			check(t, err)
		})
		check(t, runFor(a, 8*time.Hour))
		if got, want := flagsOf(t, s, "a"), []string{"01 03:30[V09]", "01 04:30[V09]"}; !slices.Equal(got, want) {
			t.Errorf("flags %v, want %v", got, want)
		}
		check(t, s.Close())
	})
}
