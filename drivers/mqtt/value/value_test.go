package value

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func TestNumber(t *testing.T) {
	for s, want := range map[string]string{
		"0": "0/1", "12345.67": "1234567/100", "-0.5": "-1/2", "+2": "2/1", "1e3": "1000/1", "1E3": "1000/1", "1.5e-2": "3/200", "1e+2": "100/1", "007": "7/1", "1e-40": "1/1" + strings.Repeat("0", 40),
		"1e40": "1" + strings.Repeat("0", 40) + "/1", "21.30108642578125": "698/1", strings.Repeat("1", 64): strings.Repeat("1", 64) + "/1",
	} {
		r, err := Number(s)
		if s == "21.30108642578125" {
			if f, exact := r.Float64(); f != 21.30108642578125 || !exact {
				t.Errorf("%s is %v", s, r)
			}
			continue
		}
		if err != nil || r.String() != want {
			t.Errorf("%q: %v, %v; want %s", s, r, err, want)
		}
	}
	for _, s := range []string{"", "-", ".", "1.", ".5", "1,5", "1.2.3", " 1", "1 ", "--1", "-+1", "0x10", "1/2", "1_0", "1e", "e1", "1e1.5", "1e+-1", "1e41", "1e-41", "1e999999999", "1ee1", "1e1e1", "1E1e1", "inf", "nan", "١", strings.Repeat("1", 65)} {
		if r, err := Number(s); err == nil {
			t.Errorf("%q taken as %v", s, r)
		}
		if PlainNumber(s) {
			t.Errorf("%q passes for a number", s)
		}
	}
	if !PlainNumber("1.5") {
		t.Error("1.5 is a number")
	}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		in         any
		want, unit string
		kind       drivers.Kind
	}{
		{json.Number("1.5"), "3/2", "", ""}, {"1.5", "3/2", "", ""}, {" 1.5\n", "3/2", "", ""}, {"1.5 kWh", "3/2", "kWh", ""}, {"1.5\u00a0m³", "3/2", "m³", ""}, {"1.5  kW h", "3/2", "kW h", ""},
		{nil, "", "", drivers.Sentinel}, {"", "", "", drivers.Sentinel}, {"NaN", "", "", drivers.Sentinel}, {"unavailable", "", "", drivers.Sentinel}, {"---", "", "", drivers.Sentinel}, {"nan kWh", "", "", drivers.Sentinel},
		{"1 019", "", "", drivers.Protocol}, {"1 ,5", "", "", drivers.Protocol}, {"1 -5", "", "", drivers.Protocol}, {"1,234.5", "", "", drivers.Protocol}, {"on", "", "", drivers.Protocol}, {true, "", "", drivers.Protocol}, {[]any{}, "", "", drivers.Protocol}, {map[string]any{}, "", "", drivers.Protocol},
		{json.Number("1e99"), "", "", drivers.Range},
	} {
		n, unit, err := Of(c.in)
		if c.kind == "" {
			if err != nil || n.String() != c.want || unit != c.unit {
				t.Errorf("%v: %v %q, %v", c.in, n, unit, err)
			}
			continue
		}
		var e *drivers.Error
		if n != nil || !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%v: %v, %v; want %s", c.in, n, err, c.kind)
		}
	}
	_, _, err := Of(strings.Repeat("ä", 500))
	if len(err.Error()) > 200 {
		t.Errorf("a foreign text fills the log: %v", err)
	}
}

func TestFloat(t *testing.T) {
	if r, err := Float(0.1); err != nil || r.Sign() <= 0 {
		t.Errorf("%v, %v", r, err)
	} else if f, exact := r.Float64(); f != 0.1 || !exact {
		t.Errorf("0.1 became %v", r)
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if r, err := Float(f); err == nil {
			t.Errorf("%v taken as %v", f, r)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1.5", "-1e3", "1e99", "0x1", "1_0", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Number(s)
		if err == nil && (r.Num().BitLen() > 400 || r.Denom().BitLen() > 400) {
			t.Fatalf("%q is a number of %d bits", s, r.Num().BitLen())
		}
		n, _, err := Of(s)
		if (n == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", s, n, err)
		}
	})
}
