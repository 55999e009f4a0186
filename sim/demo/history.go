package demo

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// Site is the demo's shop and bakery: two supplies of one business, the shop
// with solar panels on its roof.
type Site struct {
	Shop, Solar, Bakery *meter.Load
	From                time.Time // the first half-hour of their history
}

// NewSite makes the loads of the demo's site, from 13 calendar months before
// now until a week after it. The same now always gives the same site.
func NewSite(now time.Time) Site {
	from := time.Date(now.UTC().Year(), now.UTC().Month()-13, 1, 0, 0, 0, 0, time.UTC)
	until := now.AddDate(0, 0, 7)
	return Site{
		Shop:   meter.NewLoad("shop", meter.Shop, from, until),
		Solar:  meter.NewLoad("solar", meter.Solar, from, until),
		Bakery: meter.NewLoad("bakery", meter.Bakery, from, until),
		From:   from,
	}
}

// Units are the site's meters as they stand behind one Modbus gateway.
func (s Site) Units() map[uint8]meter.Unit {
	return map[uint8]meter.Unit{
		1: {Serial: 2_026_001, Import: s.Shop.Register, Export: s.Solar.Register},
		2: {Serial: 2_026_002, Import: s.Bakery.Register},
	}
}

// writeHistory writes the half-hours of [s.From, until) as a supplier would
// send them: one file, a line for each half-hour of each register.
func (s Site) writeHistory(path string, until time.Time) (int, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := bufio.NewWriter(f)
	w := csv.NewWriter(buf)
	w.Write([]string{"id", "measure", "start", "kWh", "quality"})
	n := 0
	for _, r := range []struct {
		meter   string
		measure energy.Measure
		load    *meter.Load
	}{{"shop", energy.Import, s.Shop}, {"shop", energy.Export, s.Solar}, {"bakery", energy.Import, s.Bakery}} {
		for t := s.From; t.Before(until); t = t.Add(energy.Period) {
			wh := r.load.HalfHour(t)
			w.Write([]string{r.meter, r.measure.String(), t.Format(time.RFC3339),
				fmt.Sprintf("%d.%03d", wh/1000, wh%1000), energy.Measured.String()})
			n++
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return 0, err
	}
	if err := buf.Flush(); err != nil {
		return 0, err
	}
	return n, f.Close()
}

// kWh writes an amount of Wh for people: 1234 as "1.2".
func kWh(wh int64) string { return strconv.FormatFloat(float64(wh)/1000, 'f', 1, 64) }
