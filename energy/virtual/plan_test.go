package virtual

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func always(num, den int64) []Dated { return []Dated{{Part: Part{num, den}}} }

func TestDefinitions(t *testing.T) {
	jan, feb := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	share := func(id string, num, den int64) Meter {
		return Meter{ID: id, Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(num, den)}
	}
	for _, c := range []struct {
		name, wrong string
		defs        []Meter
	}{
		{"nothing", "", nil},
		{"sum", "", []Meter{{ID: "v", Kind: Sum, Of: []string{"a", "b"}}}},
		{"sum of one", "", []Meter{{ID: "v", Kind: Sum, Of: []string{"a"}}}},
		{"sum of none", "a sum needs at least one", []Meter{{ID: "v", Kind: Sum}}},
		{"difference", "", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}}}},
		{"difference of one", "at least one to take off", []Meter{{ID: "v", Kind: Difference, Of: []string{"a"}}}},
		{"no id", "has no id", []Meter{{Kind: Sum, Of: []string{"a"}}}},
		{"no input id", "input 2 has no id", []Meter{{ID: "v", Kind: Sum, Of: []string{"a", ""}}}},
		{"no kind", "neither a sum", []Meter{{ID: "v", Of: []string{"a"}}}},
		{"kind 4", "neither a sum", []Meter{{ID: "v", Kind: 4, Of: []string{"a"}}}},
		{"twice in a sum", "a is named twice", []Meter{{ID: "v", Kind: Sum, Of: []string{"a", "b", "a"}}}},
		{"main taken off itself", "a is named twice", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "a"}}}},
		{"defined twice", "v is defined twice", []Meter{{ID: "v", Kind: Sum, Of: []string{"a"}}, {ID: "v", Kind: Sum, Of: []string{"b"}}}},
		{"of itself", "made of itself: v -> v", []Meter{{ID: "v", Kind: Sum, Of: []string{"v"}}}},
		{"around", "made of itself: x -> y -> z -> x", []Meter{
			{ID: "w", Kind: Sum, Of: []string{"a"}}, {ID: "x", Kind: Sum, Of: []string{"y"}},
			{ID: "y", Kind: Difference, Of: []string{"a", "z"}}, {ID: "z", Kind: Share, Of: []string{"x"}, Method: Other, Shares: always(1, 2)}}},
		{"a cycle off the path", "made of itself: y -> z -> y", []Meter{
			{ID: "x", Kind: Sum, Of: []string{"y"}}, {ID: "y", Kind: Sum, Of: []string{"z"}}, {ID: "z", Kind: Sum, Of: []string{"y"}}}},
		{"method of a sum", "only a share has", []Meter{{ID: "v", Kind: Sum, Of: []string{"a"}, Method: Other}}},
		{"shares of a difference", "only a share has", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}, Shares: always(1, 2)}}},
		{"share of two", "exactly one meter, not of 2", []Meter{{ID: "v", Kind: Share, Of: []string{"a", "b"}, Method: Other, Shares: always(1, 2)}}},
		{"share without method", "needs a method", []Meter{{ID: "v", Kind: Share, Of: []string{"a"}, Shares: always(1, 2)}}},
		{"share with method 5", "needs a method", []Meter{{ID: "v", Kind: Share, Of: []string{"a"}, Method: 5, Shares: always(1, 2)}}},
		{"the last method", "", []Meter{{ID: "v", Kind: Share, Of: []string{"a"}, Method: Other, Shares: always(1, 2)}}},
		{"no share", "how large", []Meter{{ID: "v", Kind: Share, Of: []string{"a"}, Method: Other}}},
		{"share 0", "", []Meter{share("v", 0, 1)}},
		{"share 1", "", []Meter{share("v", 1, 1)}},
		{"share above 1", "between 0 and 1", []Meter{share("v", 3, 2)}},
		{"share below 0", "between 0 and 1", []Meter{share("v", -1, 2)}},
		{"share 0/0", "between 0 and 1", []Meter{share("v", 0, 0)}},
		{"just the whole", "", []Meter{share("a", 1, 3), share("b", 1, 3), share("c", 1, 3), share("d", 0, 1)}},
		{"a little more", "shares of main add up to more than 1 from the beginning on: a 1/3, b 1/3, c 334/1000", []Meter{share("a", 1, 3), share("b", 1, 3), share("c", 334, 1000)}},
		{"of different meters", "", []Meter{share("a", 2, 3), {ID: "b", Kind: Share, Of: []string{"other"}, Method: Other, Shares: always(2, 3)}}},
		{"too much later", "more than 1 from 2026-02-01T00:00:00Z on: a 7/10, b 1/2", []Meter{
			{ID: "a", Kind: Share, Of: []string{"main"}, Method: Other, Shares: []Dated{{jan, Part{1, 2}}, {feb, Part{7, 10}}}}, share("b", 1, 2)}},
		{"dates out of order", "from 2026-01-01 comes after that from 2026-02-01", []Meter{
			{ID: "a", Kind: Share, Of: []string{"main"}, Method: Other, Shares: []Dated{{feb, Part{1, 2}}, {jan, Part{1, 2}}}}}},
		{"a date twice", "each date once", []Meter{
			{ID: "a", Kind: Share, Of: []string{"main"}, Method: Other, Shares: []Dated{{jan, Part{1, 2}}, {jan, Part{1, 2}}}}}},
		{"too fine", "fewer decimals", []Meter{share("a", 1, 999_999_937), share("b", 1, 999_999_929), share("c", 1, 999_999_893), share("d", 1, 999_999_883)}},
		{"tolerance", "", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}, Tolerance: Tolerance{1000, 1}}}},
		{"tolerance above the whole", "is not one", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}, Tolerance: Tolerance{1001, 1}}}},
		{"tolerance below 0", "is not one", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}, Tolerance: Tolerance{-1, 0}}}},
		{"floor below 0", "is not one", []Meter{{ID: "v", Kind: Difference, Of: []string{"a", "b"}, Tolerance: Tolerance{0, -1}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(energy.Period, c.defs)
			wants(t, err, c.wrong)
		})
	}
}

func TestOrder(t *testing.T) {
	p := plan(t,
		Meter{ID: "tenant", Kind: Share, Of: []string{"rest"}, Method: Other, Shares: always(1, 2)},
		Meter{ID: "rest", Kind: Difference, Of: []string{"all", "shop"}},
		Meter{ID: "all", Kind: Sum, Of: []string{"main-a", "main-b"}},
		Meter{ID: "alone", Kind: Sum, Of: []string{"pump"}},
		Meter{ID: "again", Kind: Sum, Of: []string{"tenant", "all"}})
	same := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%v, not %v", got, want)
		}
	}
	same(p.Order(), "all", "rest", "tenant", "alone", "again")
	same(p.Inputs("rest"), "all", "shop")
	same(p.Inputs("pump"))
	p.Inputs("rest")[0] = "changed"
	same(p.Inputs("rest"), "all", "shop")
	if _, ok := p.HalfHour("pump", noon, energy.HalfHour{}, nil); ok {
		t.Error("a real meter is virtual")
	}
}

// What the caller does with its definitions afterwards changes nothing.
func TestDefinitionsAreCopied(t *testing.T) {
	defs := []Meter{{ID: "v", Kind: Share, Of: []string{"a"}, Method: Other, Shares: always(1, 2)}}
	p := plan(t, defs...)
	defs[0].Of[0], defs[0].Shares[0].Part = "b", Part{1, 1}
	h, _ := p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, 100, 1000)})
	if p.Inputs("v")[0] != "a" || h.Energy != 50 {
		t.Errorf("%v, %+v", p.Inputs("v"), h)
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ give, want time.Duration }{
		{energy.Period, energy.Period}, {time.Minute, time.Minute}, {24 * time.Hour, 24 * time.Hour},
		{0, energy.Period}, {-time.Minute, energy.Period}, {7 * time.Minute, energy.Period},
	} {
		p, err := New(c.give, []Meter{{ID: "v", Kind: Sum, Of: []string{"a"}}})
		if err != nil {
			t.Fatal(err)
		}
		h, _ := p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, 1, 1)})
		if got := h.Evidence.Last.At.Sub(noon); got != c.want {
			t.Errorf("%v became %v", c.give, got)
		}
	}
}

func TestMethods(t *testing.T) {
	for _, s := range []string{"AreaOccupied", "NumberOfOccupants", "AdditionalMetering", "Other"} {
		if m, err := ParseMethod(s); err != nil || m.String() != s {
			t.Errorf("%s: %v, %v", s, m, err)
		}
	}
	for _, s := range []string{"", "area", "other", "method(5)"} {
		_, err := ParseMethod(s)
		wants(t, err, "AreaOccupied, NumberOfOccupants, AdditionalMetering, Other")
	}
	if Method(0).String() != "method(0)" || Method(5).String() != "method(5)" {
		t.Error("names of what is none")
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		text, want, wrong string
	}{
		{"0.35", "7/20", ""}, {"35%", "7/20", ""}, {" 12.5 % ", "1/8", ""}, {"7/20", "7/20", ""}, {"1/3", "1/3", ""},
		{"1", "1/1", ""}, {"100%", "1/1", ""}, {"0", "0/1", ""}, {"0%", "0/1", ""}, {"0.123456789", "123456789/1000000000", ""},
		{"1.000000001", "", "more than the whole"}, {"101%", "", "more than the whole"}, {"4/3", "", "more than the whole"},
		{"0.1234567891", "", "nine decimals"}, {"1/1000000001", "", "nine decimals"}, {"1/1000000000", "1/1000000000", ""},
		{"0.000000000000000000001", "", "nine decimals"},
		{"", "", "write it as"}, {"%", "", "write it as"}, {"-0.1", "", "write it as"}, {"+1", "", "write it as"}, {"1e-1", "", "write it as"},
		{"0x1", "", "write it as"}, {"1_0%", "", "write it as"}, {"a third", "", "write it as"}, {"1/0", "", "write it as"}, {"1/2%", "", "write it as"},
		{"1/2/3", "", "write it as"}, {"0.1.1", "", "write it as"}, {"35 % %", "", "write it as"}, {"NaN", "", "write it as"},
		{"0.5000000000000000000000", "1/2", ""}, {"0.50000000000000000000000", "", "write it as"}, // 24 and 25 characters
		{"999999999999999999999999", "", "more than the whole"},
	} {
		p, err := ParsePart(c.text)
		wants(t, err, c.wrong)
		if err == nil && p.String() != c.want {
			t.Errorf("%q: %s, not %s", c.text, p, c.want)
		}
	}
}

func TestPartOf(t *testing.T) {
	for _, c := range []struct {
		num, den, n, want int64
	}{
		{1, 2, 0, 0}, {1, 2, 1, 1}, {1, 2, 2, 1}, {1, 2, 3, 2}, // halves go up,
		{1, 2, -1, 0}, {1, 2, -2, -1}, {1, 2, -3, -1}, // also below 0
		{1, 3, 1, 0}, {1, 3, 2, 1}, {1, 3, 4, 1}, {1, 3, -1, 0}, {1, 3, -2, -1}, {1, 3, -4, -1}, {1, 3, -5, -2},
		{0, 1, 99, 0}, {1, 1, 99, 99}, {1, 1, -99, -99}, {1, 1, math.MaxInt64, math.MaxInt64}, {1, 1, math.MinInt64, math.MinInt64},
		{1, 2, math.MaxInt64, 1 << 62}, {1, 2, math.MinInt64, -1 << 62},
		{math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64, math.MaxInt64 - 1},
		{1, math.MaxInt64, math.MaxInt64/2 + 1, 1}, {1, math.MaxInt64, math.MaxInt64 / 2, 0},
	} {
		if got := (Part{c.num, c.den}).of(c.n); got != c.want {
			t.Errorf("%d/%d of %d: %d, not %d", c.num, c.den, c.n, got, c.want)
		}
	}
}

func FuzzParsePart(f *testing.F) {
	for _, s := range []string{"0.35", "35%", "7/20", "1/3", "0x1p-2", "1/0", "100 %", ".5", "5."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePart(s)
		if err != nil {
			return
		}
		if !p.valid() || p.Den > maxDen {
			t.Fatalf("%q became %s", s, p)
		}
		if back, err := ParsePart(p.String()); err != nil || back != p {
			t.Fatalf("%q became %s became %s, %v", s, p, back, err)
		}
	})
}
