package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// drop writes half-hourly files into a folder, as a supplier or a data
// collector does: the last week when it starts, one file for each day, and
// then each half-hour what is new. A day of an MPAN comes as a D0379, all else
// as CSV.
type drop struct {
	path    string
	sources []*source
	dice    *fault.Dice
	now     func() time.Time
	every   time.Duration // between two looks at the clock, of life

	files int
	given map[string]bool // half-hours that were in a file, by meter, measure and end
}

// dropFaults are those that files can have. One that is cut off within a
// number would be another number, which nobody can see: of a D0379 its trailer
// is missing then.
var dropFaults = []string{"late", "lost", "nan", "repeat", "swap", "foreign", "split", "disconnect"}

// dropDays is how many days back the first files go.
const dropDays = 7

// run writes until ctx ends.
func (d *drop) run(ctx context.Context) error {
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		return err
	}
	d.given = map[string]bool{}
	today := d.now().UTC().Truncate(24 * time.Hour)
	for day := today.AddDate(0, 0, -dropDays); day.Before(today); day = day.AddDate(0, 0, 1) {
		if err := d.day(ctx, day); err != nil {
			return err
		}
	}
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, _, gone := d.dice.On("disconnect"); !gone {
			if err := d.news(ctx, today); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// day writes the files of one UTC day.
func (d *drop) day(ctx context.Context, day time.Time) error {
	var rows []string
	for _, s := range d.sources {
		for _, r := range s.registers {
			all := d.fresh(s, r, day.Add(energy.Period), day.Add(24*time.Hour))
			flow := flowOf(s, r, day, all)
			if flow == "" {
				rows = append(rows, d.rows(s, r, all)...)
				continue
			}
			if err := d.write(ctx, "D0379-"+s.meter.Device+"-"+day.Format("20060102")+".usr", flow); err != nil {
				return err
			}
		}
	}
	return d.table(ctx, rows)
}

// news writes what has come since.
func (d *drop) news(ctx context.Context, from time.Time) error {
	var rows []string
	for _, s := range d.sources {
		for _, r := range s.registers {
			rows = append(rows, d.rows(s, r, d.fresh(s, r, from.Add(-24*time.Hour), d.now()))...)
		}
	}
	return d.table(ctx, rows)
}

// fresh are the half-hours that were in no file yet.
func (d *drop) fresh(s *source, r *register, from, to time.Time) (out []half) {
	for _, h := range halves(r, d.dice, from, to, d.now()) {
		key := s.meter.ID + r.cfg.Measure.String() + h.end.String()
		if !d.given[key] {
			d.given[key] = true
			out = append(out, h)
		}
	}
	return out
}

func (d *drop) rows(s *source, r *register, all []half) (out []string) {
	for _, row := range listed(all, func(h half) any {
		value, quality := h.value, "measured"
		if h.fault == "nan" {
			value, quality = "", "missing"
		}
		return fmt.Sprintf("%s,%s,%s,%s,%s", s.meter.Device, r.cfg.Measure, h.end.Add(-energy.Period).Format(time.RFC3339), value, quality)
	}) {
		out = append(out, row.(string))
	}
	return out
}

// table writes rows as CSV, now and then with what goes wrong with files.
func (d *drop) table(ctx context.Context, rows []string) error {
	if len(rows) == 0 {
		return nil
	}
	d.files++
	name := fmt.Sprintf("halfhours-%04d.csv", d.files)
	text := "id,measure,start,kWh,quality\n" + strings.Join(rows, "\n") + "\n"
	switch d.dice.Draw("foreign", "repeat", "split") {
	case "foreign":
		if err := d.write(ctx, fmt.Sprintf("halfhours-%04d-page.csv", d.files), "<html><body>Session expired</body></html>"); err != nil {
			return err
		}
	case "repeat":
		if err := d.write(ctx, fmt.Sprintf("halfhours-%04d (1).csv", d.files), text); err != nil {
			return err
		}
	case "split": // a slow upload
		path := filepath.Join(d.path, name)
		if err := os.WriteFile(path, []byte(text[:len(text)/2]), 0o644); err != nil {
			return err
		}
		if !wait(ctx, d.every) {
			return nil
		}
		return os.WriteFile(path, []byte(text), 0o644)
	}
	return d.write(ctx, name, text)
}

// write puts a file into the folder under its name only when it is whole.
func (d *drop) write(_ context.Context, name, text string) error {
	path := filepath.Join(d.path, name)
	if err := os.WriteFile(path+".part", []byte(text), 0o644); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".part", path))
}

var quantities = map[energy.Measure]string{energy.Import: "AI", energy.Export: "AE", energy.ReactiveImport: "RI", energy.ReactiveExport: "RE"}

// flowOf is a day as a D0379; "" where the meter has no MPAN, or the day a hole.
func flowOf(s *source, r *register, day time.Time, all []half) string {
	quantity := quantities[r.cfg.Measure]
	if quantity == "" || len(s.meter.Device) != 13 || !isDigits(s.meter.Device) || len(all) != 48 {
		return ""
	}
	stamp := day.Add(35 * time.Hour).Format("20060102150405")
	lines := []string{"ZHV|0000000001|D0379001|X|PION|C|UDMS|" + stamp + "||||OPER|", "25B|" + s.meter.Device + "|" + quantity + "|PION|", "26B|" + day.Format("20060102") + "|"}
	for _, h := range all {
		if h.fault == "nan" {
			return ""
		}
		lines = append(lines, "66L|A|"+h.value+"|")
	}
	return strings.Join(append(lines, fmt.Sprintf("ZPT|0000000001|%d||1|%s|", len(lines)-1, stamp)), "\n") + "\n"
}
