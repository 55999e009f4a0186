package agent

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Tables show what a meter's display shows; not a digit is lost.
func TestShown(t *testing.T) {
	for _, c := range []struct {
		m           energy.Measure
		base        int64
		value, unit string
	}{
		{energy.Import, 18_342_127, "18342.127", "kWh"}, {energy.Import, 0, "0.000", "kWh"}, {energy.Export, 7, "0.007", "kWh"}, {energy.Export, 999, "0.999", "kWh"},
		{energy.Import, 1000, "1.000", "kWh"}, {energy.Import, -70, "-0.070", "kWh"}, {energy.Import, 1<<63 - 1, "9223372036854775.807", "kWh"},
		{energy.ReactiveImport, 1234, "1.234", "kvarh"}, {energy.Gas, 1_234_567, "1234.567", "m3"},
	} {
		value, unit := Shown(c.m.Present(c.base), c.m.UnitCode())
		if value != c.value || unit != c.unit {
			t.Errorf("%v %d: %s %s, want %s %s", c.m, c.base, value, unit, c.value, c.unit)
		}
	}
	if got, want := describe(energy.Event{Kind: energy.Opened, After: 28_196_311}, &register{key: key("a"), cfg: importRegister}), "first reading of import: the register shows 28196.311 kWh"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if value, unit := Shown("", "WHR"); value != "-" || unit != "kWh" {
		t.Errorf("nothing yet: %q %q", value, unit)
	}
}
