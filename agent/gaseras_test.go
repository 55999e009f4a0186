package agent

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// A change of what gas is converted by is stated, begins there, and leaves what
// was worked out before as it was; but for what the operator dates earlier.
func TestGasIsConvertedInAnotherWay(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour) // calorific values begin with the gas day of 1 January 2000
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		k := energy.Key{Meter: "a", Measure: energy.Gas}
		said := func() (out []energy.Statement) {
			for st, err := range s.Statements(&k) {
				check(t, err)
				x, err := energy.ParseStatement(st.Body)
				check(t, err)
				out = append(out, x)
			}
			return out
		}
		// kWh is the energy of all half-hours with the factor of each.
		kWh := func(c *config.Config) (out []string) {
			for h, err := range NewGas(c, nil).HalfHours(s, k, epoch, epoch.AddDate(0, 0, 2)) {
				check(t, err)
				check(t, h.As.Err)
				out = append(out, fmt.Sprintf("%s %d l %d Wh %s", h.Start.Format("15:04"), h.Energy, h.As.Wh, h.As.Basis.VCF))
			}
			return out
		}
		run := func(change func(*config.Meter)) *config.Config {
			c := site(f, 10*time.Second)
			c.Meters[0].Registers[0].Measure, c.Meters[0].Registers[0].Unit = energy.Gas, "L"
			change(&c.Meters[0])
			a := newAgent(t, f, c, s)
			check(t, runFor(a, 2*time.Hour+5*time.Minute))
			for _, m := range a.Status().Meters[0].Registers {
				if m.Events["reset"]+m.Events["exchanged"] > 0 {
					t.Errorf("%+v", m.Events)
				}
			}
			return c
		}
		first := run(func(m *config.Meter) {})
		before := kWh(first)
		run(func(m *config.Meter) { m.VCF = gas.DefaultVCF }) // the same, in other words
		if n := len(said()); n != 1 || len(before) < 3 {
			t.Fatalf("%d statements, want the opening alone; %v", n, before)
		}
		same := kWh(first)
		second := run(func(m *config.Meter) { m.VCF, m.Zone = 1_100_000, "NT" })
		third := run(func(m *config.Meter) { m.VCF, m.Zone = 1_100_000, "NT" })
		all := said()
		if len(all) != 2 {
			t.Fatalf("%d statements: %+v", len(all), all)
		}
		x := all[1]
		if x.Kind != energy.ConfigChangeStatement || x.Gap != energy.GapCounted || x.VCF != "1.1" || x.Zone != "NT" || x.Previous == "" ||
			x.Closing == nil || x.Closing.Value > x.Opening.Value || !x.Closing.ReadAt.Before(x.Opening.ReadAt) || x.Opening.Raw == "" {
			t.Errorf("%+v", x)
		}
		after := kWh(third)
		if !slices.Equal(after[:len(same)], same) {
			t.Errorf("what was worked out before is another now:\n%s\nwas\n%s", strings.Join(after[:len(same)], "\n"), strings.Join(same, "\n"))
		}
		for _, line := range after[len(same)+1:] { // the half-hour of the change has the old way
			if !strings.HasSuffix(line, " 1.1") {
				t.Errorf("%s, want by 1.1", line)
			}
		}
		if got := kWh(second); !slices.Equal(got, after) {
			t.Error("a configuration that says the same gives another energy")
		}
		if got := kWh(first); !slices.Equal(got, after) {
			t.Error("an older configuration gives another energy: it is the statements that count")
		}
		// The operator says that it has been so from 13:00 on.
		since := epoch.Add(13 * time.Hour)
		fourth := run(func(m *config.Meter) { m.VCF, m.Zone, m.ConvertedFrom = 1_100_000, "NT", since })
		run(func(m *config.Meter) { m.VCF, m.Zone, m.ConvertedFrom = 1_100_000, "NT", since })
		if all = said(); len(all) != 3 || !all[2].ConvertedFrom.Equal(since) || all[2].Kind != energy.ConfigChangeStatement {
			t.Fatalf("%d statements: %+v", len(all), all[len(all)-1])
		}
		for i, line := range kWh(fourth) {
			if strings.HasSuffix(line, " 1.1") != (i >= 2) {
				t.Errorf("%d: %s", i, line)
			}
		}
		// No volume was lost in any of it: the half-hours sum to the advance.
		hh := slices.Collect(func(yield func(energy.HalfHour) bool) {
			for h, err := range s.HalfHours(k, epoch, epoch.AddDate(0, 0, 2)) {
				check(t, err)
				if !yield(h) {
					return
				}
			}
		})
		var sum int64
		for _, h := range hh[1:] {
			if h.Quality == energy.Missing {
				t.Errorf("%v is missing", h.Start)
			}
			sum += h.Energy
		}
		if last := hh[len(hh)-1]; sum != last.Cumulative-hh[0].Cumulative {
			t.Errorf("%d litres, the register advanced by %d", sum, last.Cumulative-hh[0].Cumulative)
		}
		var words []string
		for x, err := range s.Findings(epoch, epoch.AddDate(1, 0, 0)) {
			check(t, err)
			f, err := validate.ParseFinding(x.Body)
			check(t, err)
			if f.Rule == 17 {
				words = append(words, f.String())
			}
		}
		if words != nil {
			t.Errorf("the volume is read as ever, and yet: %v", words)
		}
		check(t, s.Close())
	})
}

// The kWh of a gas day with a change in it sum to the energy of its parts,
// rounded once.
func TestAGasDayOfTwoFactors(t *testing.T) {
	c := gasSite(t, "", "")
	v := volumes{said: []energy.KeyedStatement{converted(t, january(10), "1.02264", ""), converted(t, january(15).Add(10*time.Hour), "1.1", "")}}
	for i := range 48 {
		v.of = append(v.of, half(january(15).Add(5*time.Hour+time.Duration(i)*energy.Period).Format(time.RFC3339), 7, energy.Measured))
	}
	var sum int64
	for h, err := range NewGas(c, nil).HalfHours(v, gasKey, january(15), january(17)) {
		check(t, err)
		check(t, h.As.Err)
		sum += h.As.Wh
	}
	// 10 half-hours by 1.02264 and 38 by 1.1, at 39.5 MJ/m3:
	// 0.07 x 1.02264 x 39.5 / 3.6 + 0.266 x 1.1 x 39.5 / 3.6 = 3.99598 kWh.
	if sum != 3996 {
		t.Errorf("%d Wh, want 3996", sum)
	}
	// A meter that the configuration does not name any more is converted as stated.
	c.Meters = nil
	n := 0
	for h, err := range NewGas(c, nil).HalfHours(v, gasKey, january(15), january(17)) {
		check(t, err)
		if n++; h.As.Err != nil {
			t.Fatal(h.As.Err)
		}
	}
	v.said = nil
	for h := range NewGas(c, nil).HalfHours(v, gasKey, january(15), january(17)) {
		if h.As.Err == nil || !strings.Contains(h.As.Err.Error(), "not in the configuration any more, and no statement says") {
			t.Fatal(h.As.Err)
		}
	}
	if n != 48 {
		t.Error(n)
	}
}

// converted is a statement of g that says by what its volume is converted.
func converted(t *testing.T, at time.Time, vcf, zone string) energy.KeyedStatement {
	t.Helper()
	k, err := energy.Statement{
		Kind: energy.ConfigChangeStatement, Meter: "g", Measure: energy.Gas, Unit: "L", VCF: vcf, Zone: zone, Opening: &energy.Reading{ReadAt: at, Value: 1},
	}.Keyed()
	check(t, err)
	return k
}

func TestEras(t *testing.T) {
	at := func(h int) time.Time { return epoch.Add(time.Duration(h) * time.Hour) }
	m := func(n int) gas.Meter { return gas.Meter{VCF: gas.VCF(1_000_000 + n)} }
	type step struct{ from, meter int }
	for _, c := range []struct {
		steps []step
		want  string
	}{
		{[]step{{0, 1}}, "0:1"},
		{[]step{{0, 1}, {2, 2}}, "0:1 2:2"},
		{[]step{{0, 1}, {2, 1}}, "0:1"},                     // nothing new
		{[]step{{0, 1}, {2, 2}, {4, 1}}, "0:1 2:2 4:1"},     // back again
		{[]step{{0, 1}, {2, 2}, {1, 3}}, "0:1 1:3"},         // dated before the last one: it takes its place
		{[]step{{0, 1}, {2, 2}, {2, 3}}, "0:1 2:3"},         // and at its very instant
		{[]step{{2, 1}, {0, 2}}, "0:2"},                     // dated before all
		{[]step{{0, 1}, {2, 2}, {1, 1}, {3, 2}}, "0:1 3:2"}, // the second was withdrawn
		{[]step{{0, 1}, {9, 2}, {3, 1}, {5, 3}}, "0:1 5:3"}, // a planned one was dropped
		{[]step{{0, 1}, {9, 2}, {10, 2}, {11, 1}}, "0:1 9:2 11:1"},
	} {
		var e eras
		for _, s := range c.steps {
			e = e.begin(at(s.from), m(s.meter))
		}
		var got []string
		for _, x := range e {
			got = append(got, fmt.Sprintf("%d:%d", int(x.from.Sub(epoch).Hours()), x.meter.VCF-1_000_000))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%v: %s, want %s", c.steps, g, c.want)
		}
	}
	e := eras{}.begin(at(1), m(1)).begin(at(3), m(2))
	for h, want := range map[int]int{0: 0, 1: 0, 2: 0, 3: 1, 4: 1} {
		if got := e.at(at(h)); got != want {
			t.Errorf("hour %d: era %d, want %d", h, got, want)
		}
	}
	if got := e.at(at(3).Add(-time.Nanosecond)); got != 0 {
		t.Error("an era begins too early")
	}
}

// A virtual meter is converted where its inputs are converted alike, hour by hour.
func TestErasOfAVirtualMeter(t *testing.T) {
	c := gasSite(t, "}\n  - {id: h, bus: b, unit: 2, registers: {gas: {address: 0, type: uint32, unit: L}}}\n  - {id: v, virtual: {sum: [g, h]}", "")
	of := func(meter string, at time.Time, vcf string) energy.KeyedStatement {
		k, err := energy.Statement{Kind: energy.OpeningStatement, Meter: meter, Measure: energy.Gas, Unit: "L", VCF: vcf, Opening: &energy.Reading{ReadAt: at, Value: 1}}.Keyed()
		check(t, err)
		return k
	}
	s := statementsOf{all: []energy.KeyedStatement{of("g", january(1), "1.02264"), of("h", january(2), "1.02264"), of("g", january(5), "1.1"), of("h", january(7), "1.1")}}
	got := NewGas(c, nil).erasOf(s, energy.Key{Meter: "v", Measure: energy.Gas})
	var words []string
	for _, e := range got {
		words = append(words, fmt.Sprintf("%s %s %v", e.from.Format("2 Jan"), e.meter.VCF, e.err))
	}
	want := "1 Jan 1.02264 <nil>|5 Jan 1.1 meters g and h, of which it is made, are converted differently: see each of them|7 Jan 1.1 <nil>"
	if g := strings.Join(words, "|"); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

// statementsOf are the statements of several registers.
type statementsOf struct {
	volumes
	all []energy.KeyedStatement
}

func (s statementsOf) Statements(k *energy.Key) iter.Seq2[energy.KeyedStatement, error] {
	return func(yield func(energy.KeyedStatement, error) bool) {
		for _, x := range s.all {
			if x.Key == *k && !yield(x, nil) {
				return
			}
		}
	}
}

// A feed of half-hours has no register: its first total opens, and a change of
// the factor holds from the moment that it is configured, also where older
// half-hours come again.
func TestGasIntervalsAreConvertedInAnotherWay(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		s := openFaulty(t, path)
		k := energy.Key{Meter: "a", Measure: energy.Gas}
		begun := epoch.Add(12 * time.Hour)
		run := func(vcf gas.VCF, ends ...time.Time) *config.Config {
			f := newFake(registers{curve(0)})
			c := site(f, 10*time.Second)
			c.Meters[0].VCF, c.Meters[0].Registers[0].Measure, c.Meters[0].Registers[0].Unit = vcf, energy.Gas, "L"
			c.Buses[0].Driver = "feed"
			a, err := New(Options{Config: c, Store: s, Logger: quietLog, Version: "test", Listeners: map[string]ListenerFactory{
				"feed": func(config.Bus, []config.Meter, func() time.Time, Keeper, *slog.Logger) (drivers.Listener, error) {
					return feedOf(ends), nil
				},
			}})
			check(t, err)
			check(t, runFor(a, time.Hour))
			return c
		}
		c := run(0, begun)
		run(0, begun.Add(30*time.Minute))
		last := run(1_100_000, begun, begun.Add(time.Hour), begun.Add(2*time.Hour))
		run(1_100_000, begun.Add(150*time.Minute), begun.Add(3*time.Hour))
		var said []string
		for st, err := range s.Statements(&k) {
			check(t, err)
			x, err := energy.ParseStatement(st.Body)
			check(t, err)
			said = append(said, fmt.Sprintf("%s %s %s %s", x.Kind, x.Method, x.VCF, x.At().Format("15:04")))
		}
		if got, want := strings.Join(said, "|"), "opening interval-totals 1.02264 11:30|config-change interval-totals 1.1 14:00"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, c := range []*config.Config{c, last} {
			for h, err := range NewGas(c, nil).HalfHours(s, k, epoch, epoch.AddDate(0, 0, 1)) {
				check(t, err)
				check(t, h.As.Err)
				if want := map[bool]gas.VCF{false: gas.DefaultVCF, true: 1_100_000}[!h.Start.Before(begun.Add(2*time.Hour))]; h.As.Basis.VCF != want {
					t.Errorf("%v: by %s, want %s", h.Start, h.As.Basis.VCF, want)
				}
			}
		}
		check(t, s.Close())
	})
}

// feedOf says once, for each of these instants, that 100 litres flowed in the
// half-hour before.
type feedOf []time.Time

func (f feedOf) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for _, end := range f {
		deliver(0, []drivers.Reading{{Sample: energy.Sample{At: end, Value: 100}, Interval: energy.Period, History: true}})
	}
	<-ctx.Done()
	return nil
}

func (feedOf) Health() error { return nil }
