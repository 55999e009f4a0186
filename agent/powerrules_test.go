package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// powerSite is a site whose meter a shows a power alone.
func powerSite(f *fakeBus, m energy.Measure) *config.Config {
	c := site(f, 10*time.Second)
	r := &c.Meters[0].Registers[0]
	r.Measure, r.Power, r.Unit, r.Type, r.MaxPower, r.MaxGap = m, true, "W", "int64", 50_000, 5*time.Minute
	return c
}

// A power that cannot be is not a register that went down: V05 speaks of it, in
// watts, whichever way it points and whatever was there before it.
func TestMonstrousPower(t *testing.T) {
	for _, wild := range []int64{-8_388_608, 8_388_607} {
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			s := openFaulty(t, path)
			f := newFake(registers{func(at time.Time) (int64, error) {
				if at.Sub(epoch) == time.Hour+10*time.Second {
					return wild, nil
				}
				return 4000, nil
			}})
			c := powerSite(f, energy.Import)
			check(t, runFor(newAgent(t, f, c, s), 3*time.Hour))
			var said []string
			for x, err := range s.Findings(epoch, epoch.AddDate(0, 0, 1)) {
				check(t, err)
				v, err := validate.ParseFinding(x.Body)
				check(t, err)
				said = append(said, v.ID()+" "+v.Severity.String()+" "+v.Found+"; "+v.Expected)
			}
			want := "V05 warning " + map[bool]string{true: "-8388608", false: "8388607"}[wild < 0] + " W; at most 50000 W either way"
			if !slices.Equal(said, []string{want}) {
				t.Errorf("%q, want %q", said, want)
			}
			for _, h := range halfHours(t, s, key("a")) {
				if h.Energy != 2000 || h.Quality != energy.Estimated {
					t.Errorf("%v: %d %v", h.Start, h.Energy, h.Quality)
				}
			}
			check(t, s.Close())
		})
	}
}

// A power is no register: when the meter goes, or shows a total from then on,
// what was integrated closes it, not its watts. They are below 0 of an export.
func TestPowerIsNoClosingReading(t *testing.T) {
	goes := func(c *config.Config) { c.Meters[0].ID = "b" }
	for name, x := range map[string]struct {
		of     energy.Measure
		watts  int64
		change func(*config.Config)
	}{
		"the meter goes": {energy.Import, 4000, goes},
		"of an export":   {energy.Export, -4000, goes},
		"a register now": {energy.Import, 4000, func(c *config.Config) {
			c.Meters[0].Registers[0].Power, c.Meters[0].Registers[0].Unit, c.Meters[0].Registers[0].Type = false, "Wh", "uint64"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				s := openFaulty(t, path)
				f := newFake(registers{func(time.Time) (int64, error) { return x.watts, nil }})
				check(t, runFor(newAgent(t, f, powerSite(f, x.of), s), 2*time.Hour))
				c := powerSite(f, x.of)
				x.change(c)
				check(t, runFor(newAgent(t, f, c, s), 2*time.Hour))
				k, n := energy.Key{Meter: "a", Measure: x.of}, 0
				for st, err := range s.Statements(&k) {
					check(t, err)
					y, err := energy.ParseStatement(st.Body)
					check(t, err)
					if n++; n == 2 && (y.Closing == nil || y.Closing.Value < 7900 || y.Closing.Value > 8000) {
						t.Errorf("%s", st.Body) // 4 kW for two hours, or 10 s less
					}
				}
				if n != 2 {
					t.Errorf("%d statements", n)
				}
				check(t, s.Close())
			})
		})
	}
}
