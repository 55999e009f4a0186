package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A register that stands still while the power beside it flows is V07; one
// whose power flows the other way, or cannot be read, is not. The power makes
// no half-hour, and a meter without it is none the worse.
func TestRegisterThatStandsStill(t *testing.T) {
	watts := func(w int64) func(time.Time) (int64, error) {
		return func(time.Time) (int64, error) { return w, nil }
	}
	still := func(time.Time) (int64, error) { return 5000, nil }
	for _, c := range []struct {
		name           string
		imports, power func(time.Time) (int64, error)
		measure        energy.Measure
		want           bool
	}{
		{"stands still", still, watts(4000), energy.Import, true},
		{"counts", curve(1000), watts(4000), energy.Import, false},
		{"little flows", still, watts(300), energy.Import, false}, // 1.5 kWh in 5 hours
		{"it flows out", still, watts(-4000), energy.Import, false},
		{"export stands still", still, watts(-4000), energy.Export, true},
		{"export, and it flows in", still, watts(4000), energy.Export, false},
		{"no power", still, failing, energy.Import, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				s := openFaulty(t, path)
				f := newFake(registers{c.imports, c.power})
				cfg := site(f, 10*time.Second)
				m := &cfg.Meters[0]
				m.Registers = m.Registers[:1]
				m.Registers[0].Measure = c.measure
				m.CheckPower = &config.Register{Point: modbus.Point{Measure: energy.Import, Unit: "W"}, Power: true}
				a := newAgent(t, f, cfg, s)
				check(t, runFor(a, 5*time.Hour))
				n := 0
				for x, err := range s.Findings(epoch, epoch.AddDate(0, 0, 1)) {
					check(t, err)
					if x.Rule == 7 {
						n++
					}
				}
				if (n > 0) != c.want {
					t.Errorf("%d findings of V07", n)
				}
				flagged := 0
				hh := 0
				for h, err := range s.HalfHours(energy.Key{Meter: "a", Measure: c.measure}, epoch, epoch.AddDate(0, 0, 1)) {
					check(t, err)
					if hh++; h.Flags.Has(7) {
						flagged++
					}
				}
				if hh < 9 || (flagged > 0) != c.want {
					t.Errorf("%d half-hours, %d flagged", hh, flagged)
				}
				keys, err := s.Keys()
				check(t, err)
				st := a.Status().Meters[0]
				if len(keys) != 1 || st.State != "ok" || len(st.Registers) != 1 {
					t.Errorf("%v, %+v", keys, st)
				}
				said := 0
				for _, note := range a.notes.newestFirst() {
					if strings.HasPrefix(note.What, "check_power cannot be read") {
						said++
					}
				}
				if want := map[bool]int{true: 1}[c.name == "no power"]; said != want {
					t.Errorf("said %d times that the power cannot be read", said)
				}
				check(t, s.Close())
			})
		})
	}
}

// What a source marks, or said long ago, tells nothing.
func TestFlowThatIsNotKnown(t *testing.T) {
	b := &bus{agent: &Agent{}, log: quietLog}
	m := &meter{cfg: &config.Meter{ID: "a", CheckPower: &config.Register{}}, registers: []register{{key: key("a"), cfg: importRegister}}}
	hear := func(r drivers.Reading) { r.Point = 1; b.checks(m, []drivers.Reading{{Point: 0}, r}, epoch) }
	known := func(after time.Duration) bool {
		return m.facts(&m.registers[0], &drivers.Reading{}, energy.Sample{At: epoch}, epoch.Add(after)).PowerKnown
	}
	if known(0) {
		t.Error("known before it was heard")
	}
	hear(drivers.Reading{Sample: energy.Sample{Value: 7}})
	if !known(flowHolds) || known(flowHolds+time.Second) {
		t.Error("it holds for another time")
	}
	hear(drivers.Reading{Flags: energy.Flags(0).With(14)})
	if known(0) {
		t.Error("a marked one was believed")
	}
	hear(drivers.Reading{Sample: energy.Sample{Value: 7}})
	hear(drivers.Reading{Err: errors.New("no")})
	if known(0) {
		t.Error("it is known though it cannot be read")
	}
	m.cfg.CheckPower = nil
	hear(drivers.Reading{Sample: energy.Sample{Value: 7}})
	if known(0) {
		t.Error("it is not configured")
	}
}
