package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/sim/meter"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// measured makes the half-hours of a load as an agent that polls every ten
// seconds would: with evidence.
func measured(l *meter.Load, t time.Time) energy.HalfHour {
	end := t.Add(energy.Period)
	return energy.HalfHour{
		Start: t, Energy: l.HalfHour(t), Cumulative: l.Register(end), TakenAt: end.Add(4321 * time.Millisecond), Quality: energy.Measured,
		Evidence: energy.Evidence{
			First: energy.Sample{At: t.Add(-5679 * time.Millisecond), Value: l.Register(t.Add(-6 * time.Second))},
			Last:  energy.Sample{At: end.Add(4321 * time.Millisecond), Value: l.Register(end.Add(4 * time.Second))}, Samples: 180, Rule: energy.RuleBracketed},
	}
}

// wireSize encodes one day of one meter and measure, signature and all.
func wireSize() error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	l := meter.NewLoad("shop", meter.Shop, start, start.AddDate(0, 0, 2))
	s := batch.Series{Meter: "main", Measure: energy.Import, First: start, Opening: l.Register(start), Closing: l.Register(start.AddDate(0, 0, 1))}
	for t := start; t.Before(start.AddDate(0, 0, 1)); t = t.Add(energy.Period) {
		s.Values = append(s.Values, batch.Value{Energy: l.HalfHour(t), Quality: energy.Measured, Rule: energy.RuleBracketed})
	}
	raw, err := batch.Encode(batch.Batch{
		Gateway: "https://directory.example.org/g/7k2m9qxa04tb", Serial: []byte("sixteen byte no."), Sequence: 1234, Previous: batch.Hash{1, 2, 3},
		Made: start.AddDate(0, 0, 1).Add(time.Minute), Grants: []string{"q9Zx3vB7nM2kL8pR4tY6wA"}, Series: []batch.Series{s},
	}, key)
	if err != nil {
		return err
	}
	row("a half-hour on the wire, a day sent at once", fmt.Sprintf("%.2f B", float64(len(raw))/48), "8 B", "its share of names, chain and signature included")
	return nil
}

// storeSize fills a store with a year of ten meters, half-hour by half-hour of
// a day in one commit a day.
func storeSize() error {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "agent.db")
	end := start.AddDate(1, 0, 0)
	st, _, err := store.Open(path, store.Options{Now: func() time.Time { return end }})
	if err != nil {
		return err
	}
	loads := make([]*meter.Load, 10)
	for i := range loads {
		loads[i] = meter.NewLoad(fmt.Sprint("meter", i), meter.Shop, start, end.AddDate(0, 0, 1))
	}
	for day := start; day.Before(end); day = day.AddDate(0, 0, 1) {
		var r store.Round
		for i, l := range loads {
			for t := day; t.Before(day.AddDate(0, 0, 1)); t = t.Add(energy.Period) {
				r.HalfHours = append(r.HalfHours, store.KeyedHalfHour{Key: energy.Key{Meter: fmt.Sprint("meter", i), Measure: energy.Import}, HalfHour: measured(l, t)})
			}
		}
		if err := st.Commit(r); err != nil {
			return err
		}
	}
	if err := st.Close(); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	mib := float64(fi.Size()) / (1 << 20)
	row("a year of half-hours of 10 meters on disk", fmt.Sprintf("%.2f MiB", mib), "6 MiB", fmt.Sprintf("%.1f B a half-hour, evidence included", float64(fi.Size())/(10*365*48)))
	return nil
}
