package meter

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

func TestLoadIsBelievableAndExact(t *testing.T) {
	from := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(1, 0, 0)
	for name, c := range map[string]struct {
		shape      Shape
		low, high  int64 // kWh a year
		sundayLess bool
	}{"shop": {Shop, 15_000, 40_000, true}, "bakery": {Bakery, 20_000, 40_000, true}, "solar": {Solar, 4_000, 12_000, false}} {
		l := NewLoad(name, c.shape, from, to)
		var sum, sunday, monday int64
		for h := from; h.Before(to); h = h.Add(energy.Period) {
			e := l.HalfHour(h)
			if e < 0 || e > 20_000 {
				t.Fatalf("%s: %d Wh in the half-hour at %v", name, e, h)
			}
			sum += e
			switch h.Weekday() {
			case time.Sunday:
				sunday += e
			case time.Monday:
				monday += e
			}
		}
		if sum != l.Register(to)-l.Register(from) {
			t.Errorf("%s: half-hours sum to %d, the register moved by %d", name, sum, l.Register(to)-l.Register(from))
		}
		if kWh := sum / 1000; kWh < c.low || kWh > c.high {
			t.Errorf("%s: %d kWh a year", name, kWh)
		}
		if c.sundayLess && sunday >= monday {
			t.Errorf("%s: Sundays %d Wh, Mondays %d Wh", name, sunday, monday)
		}
		if again := NewLoad(name, c.shape, from, to); again.Register(to) != l.Register(to) {
			t.Errorf("%s: not the same register twice", name)
		}
	}
}

// The simulated meter read through the real driver shows the load's register.
func TestServerThroughTheDriver(t *testing.T) {
	now := time.Date(2026, 3, 3, 10, 10, 0, 0, time.UTC)
	l := NewLoad("shop", Shop, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	url := "tcp://" + ports.Address(t)
	s, err := NewServer(url, func() time.Time { return now }, map[uint8]Unit{3: {Serial: 77, Import: l.Register, Export: func(time.Time) int64 { return 42 }}}, Faults{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	u64 := func(m energy.Measure, a uint16) modbus.Point {
		return modbus.Point{Measure: m, Address: a, Type: "uint64", Unit: m.BaseUnit()}
	}
	b, err := modbus.New(modbus.Config{URL: url, Devices: []modbus.Device{
		{Meter: "a", Unit: 3, Points: []modbus.Point{u64(energy.Import, ImportAddress), u64(energy.Export, ExportAddress)}},
		{Meter: "b", Unit: 3, Points: []modbus.Point{u64(energy.ReactiveImport, ReactiveAddress)}},
		{Meter: "c", Unit: 4, Points: []modbus.Point{u64(energy.Import, ImportAddress)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rs, err := b.Poll(t.Context(), 0, nil)
	if err != nil || len(rs) != 2 || rs[0].Sample.Value != l.Register(now) || rs[1].Sample.Value != 42 {
		t.Errorf("got %+v, %v; want %d and 42", rs, err, l.Register(now))
	}
	for _, dev := range []int{1, 2} {
		if rs, _ := b.Poll(t.Context(), dev, nil); len(rs) != 1 || rs[0].Err == nil {
			t.Errorf("device %d: a register or unit that is not there answered %+v", dev, rs)
		}
	}
}

func TestFaults(t *testing.T) {
	var f Faults
	if err := f.Set("zero=1%,late=5%"); err != nil || f.Zero != 0.01 || f.Late != 0.05 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"zero", "zero=x", "zero=101%", "fire=1%", "zero=60%,late=60%"} {
		if err := f.Set(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	s := &Server{now: time.Now, units: map[uint8]Unit{1: {Import: func(time.Time) int64 { return 7 }}}}
	s.faults, s.rng = Faults{Zero: 0.5, Busy: 0.2}, newRand(3)
	counts := map[string]int{}
	for range 1000 {
		w, err := s.read(1, ImportAddress, 4)
		switch {
		case err != nil:
			counts["busy"]++
		case w[3] == 0:
			counts["zero"]++
		case w[3] == 7:
			counts["right"]++
		}
	}
	for k, want := range map[string]int{"busy": 200, "zero": 500, "right": 300} {
		if d := counts[k] - want; d < -60 || d > 60 {
			t.Errorf("%s: %d of 1000, want about %d", k, counts[k], want)
		}
	}
}
