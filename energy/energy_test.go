package energy

import (
	"strings"
	"testing"
)

func TestMeasures(t *testing.T) {
	for _, c := range []struct {
		m                      Measure
		name, base, code, show string
	}{
		{Import, "import", "Wh", "WHR", "1234"},
		{Export, "export", "Wh", "WHR", "1234"},
		{ReactiveImport, "reactive-import", "varh", "K3", "1.234"},
		{ReactiveExport, "reactive-export", "varh", "K3", "1.234"},
		{Gas, "gas", "L", "MTQ", "1.234"},
		{Generation, "generation", "Wh", "WHR", "1234"},
		{Heat, "heat", "Wh", "WHR", "1234"},
		{Cooling, "cooling", "Wh", "WHR", "1234"},
		{Water, "water", "L", "MTQ", "1.234"},
	} {
		if c.m.String() != c.name || c.m.BaseUnit() != c.base || c.m.UnitCode() != c.code || c.m.Present(1234) != c.show {
			t.Errorf("%v: %s %s %s", c.m, c.m.BaseUnit(), c.m.UnitCode(), c.m.Present(1234))
		}
		var back Measure
		if text, _ := c.m.MarshalText(); back.UnmarshalText(text) != nil || back != c.m {
			t.Errorf("%v became %v", c.m, back)
		}
	}
	if Gas.Present(5) != "0.005" || Gas.Present(-5) != "-0.005" || Gas.Present(0) != "0.000" {
		t.Error("small amounts")
	}
	for _, m := range []Measure{0, 10, 255} {
		if m.Valid() || !strings.HasPrefix(m.String(), "measure(") {
			t.Errorf("%v is a measure", m)
		}
	}
	m := Export
	if err := m.UnmarshalText([]byte("warmth")); err == nil || m != Export || !strings.Contains(err.Error(), "reactive-import") {
		t.Errorf("%v, %v", m, err)
	}
	if (Key{"a", Gas}).String() != "a/gas" {
		t.Error("key")
	}
}

func TestQualities(t *testing.T) {
	for q := Missing; q <= Measured; q++ {
		var back Quality
		if text, _ := q.MarshalText(); back.UnmarshalText(text) != nil || back != q || !q.Valid() {
			t.Errorf("%v became %v", q, back)
		}
	}
	if q := Quality(5); q.Valid() || q.String() != "quality(5)" {
		t.Errorf("%v", q)
	}
	q := Measured
	if err := q.UnmarshalText([]byte("good")); err == nil || q != Measured {
		t.Errorf("%v, %v", q, err)
	}
	if Worst(Measured, Estimated) != Estimated || Worst(Missing, Measured) != Missing {
		t.Error("Worst gives the better one")
	}
}

func TestFlags(t *testing.T) {
	var f Flags
	if f.List() != nil || f.Has(1) || f.With(0) != 0 || f.With(21) != 0 || f.With(-1) != 0 {
		t.Error("no flags")
	}
	for n := 1; n <= 20; n++ {
		g := Flags(0).With(n)
		if g != 1<<(n-1) || !g.Has(n) || g.Has(n-1) || g.Has(n+1) || len(g.List()) != 1 {
			t.Errorf("V%02d: %b", n, g)
		}
		f = f.With(n)
	}
	all := f.List()
	if f != FlagsAll || len(all) != 20 || all[0] != "V01" || all[19] != "V20" || f.With(5) != f {
		t.Errorf("%b: %v", f, all)
	}
	if f = Flags(1<<31 | 1<<20); f.Has(0) || f.Has(21) || f.Has(32) || f.List() != nil {
		t.Error("a bit of no rule is a flag")
	}
}

// The scheme knows electricity and gas; what else is metered stays on site.
func TestCarried(t *testing.T) {
	want := map[Measure]bool{Import: true, Export: true, ReactiveImport: true, ReactiveExport: true, Gas: true}
	for m := range Water + 2 {
		if m.Carried() != want[m] {
			t.Errorf("%s: carried %v", m, m.Carried())
		}
	}
}
