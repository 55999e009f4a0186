package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

func all(t *testing.T, s Store, k energy.Key) (out []energy.HalfHour) {
	t.Helper()
	for h, err := range s.HalfHours(k, epoch, epoch.AddDate(9, 0, 0)) {
		check(t, err)
		out = append(out, h)
	}
	return out
}

func statements(t *testing.T, s Store) (out []energy.Statement) {
	t.Helper()
	var raw [][]byte
	for k, err := range s.Statements(nil) {
		check(t, err)
		x, err := energy.ParseStatement(k.Body)
		check(t, err)
		out, raw = append(out, x), append(raw, k.Body)
	}
	check(t, energy.VerifyChain(raw))
	return out
}

// A tenant's share and the landlord's rest add up to the meter to the Wh,
// restarts and outages included, and a new virtual meter gets its history.
func TestVirtualMeters(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(5000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		part := func(s string) virtual.Part {
			p, err := virtual.ParsePart(s)
			check(t, err)
			return p
		}
		share := func(id, text string) config.Meter {
			return config.Meter{ID: id, Virtual: &config.Virtual{
				Measures: []energy.Measure{energy.Import}, Of: "a", Method: virtual.AreaOccupied, Shares: []config.Share{{Part: part(text), Text: text}},
			}}
		}
		c.Meters = append(c.Meters, share("tenant", "0.35"), share("landlord", "0.65"))
		check(t, runFor(newAgent(t, f, c, s), 5*time.Hour))
		time.Sleep(3 * time.Hour)
		c.Meters = append(c.Meters, config.Meter{ID: "both", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a", "b"}}})
		check(t, runFor(newAgent(t, f, c, s), 5*time.Hour+time.Minute))
		a, b := halfHours(t, s, key("a")), halfHours(t, s, key("b"))
		tenant, landlord, both := halfHours(t, s, key("tenant")), halfHours(t, s, key("landlord")), halfHours(t, s, key("both"))
		if len(a) != 26 || len(b) != 26 || len(tenant) != len(a) || len(landlord) != len(a) || len(both) != len(b) {
			t.Fatalf("%d, %d, %d, %d half-hours", len(a), len(tenant), len(landlord), len(both))
		}
		for i := range b {
			if both[i].Energy != a[i].Energy+b[i].Energy || !both[i].Start.Equal(a[i].Start) {
				t.Errorf("%v: %d is not %d and %d", b[i].Start, both[i].Energy, a[i].Energy, b[i].Energy)
			}
		}
		for i := range a {
			if a[i].Energy != tenant[i].Energy+landlord[i].Energy {
				t.Errorf("%v: %d is not %d and %d", a[i].Start, a[i].Energy, tenant[i].Energy, landlord[i].Energy)
			}
			if tenant[i].Quality != a[i].Quality || tenant[i].Evidence.Rule != energy.RuleShareArea {
				t.Errorf("%v: %v by %v", a[i].Start, tenant[i].Quality, tenant[i].Evidence.Rule)
			}
		}
		check(t, s.Close())
	})
}

// What is missing is filled where the operator asks for it, days later, and
// marked as what it is.
func TestSubstituted(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		steady := func(offset int64) func(time.Time) (int64, error) {
			return func(t time.Time) (int64, error) { return offset + int64(t.Sub(epoch)/time.Second), nil }
		}
		hole := epoch.Add(6*24*time.Hour + 10*time.Hour)
		f := newFake(registers{func(at time.Time) (int64, error) {
			if at.Before(hole) {
				return steady(1_000_000)(at)
			}
			return steady(50)(at) // exchanged, and nobody says when or at what
		}}, registers{steady(7)})
		s := openFaulty(t, path)
		c := site(f, time.Minute)
		c.Meters[0].CheckMeter, c.Meters[0].Substitute, c.Meters[0].SubstituteAfter = "b", []string{"check-meter"}, 24*time.Hour
		a := newAgent(t, f, c, s)
		check(t, runFor(a, 9*24*time.Hour))
		n := 0
		for _, h := range halfHours(t, s, key("a")) {
			switch h.Quality {
			case energy.Missing:
				t.Errorf("%v is missing", h.Start)
			case energy.Substituted:
				n++
				if h.Evidence.Rule != energy.RuleCheckMeter || h.Energy != 1800 {
					t.Errorf("%v: %d Wh by rule %d", h.Start, h.Energy, h.Evidence.Rule)
				}
			}
		}
		if n == 0 {
			t.Error("nothing was filled")
		}
		check(t, s.Close())
	})
}

// Readings that a bus gives late, of the time of an outage, give its
// half-hours their true shape; the sum stays.
func TestLateReadings(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		out := func(d time.Duration, down bool) { time.AfterFunc(d, func() { f.down.Store(down) }) }
		out(2*time.Hour+5*time.Minute, true)
		out(7*time.Hour+5*time.Minute, false)
		time.AfterFunc(9*time.Hour, func() {
			b := a.buses[0]
			b.mu.Lock()
			defer b.mu.Unlock()
			for at := epoch.Add(2*time.Hour + 10*time.Minute); at.Before(epoch.Add(7 * time.Hour)); at = at.Add(time.Minute) {
				v, _ := curve(1000)(at)
				b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: at, Value: v}, History: true}, a.Now(), true)
			}
		})
		check(t, runFor(a, 12*time.Hour))
		hs := halfHours(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if q[energy.Estimated] > 0 || q[energy.Measured] < 20 {
			t.Errorf("%v", q)
		}
		old, err := s.Corrections(key("a"), epoch, epoch.Add(24*time.Hour))
		check(t, err)
		if len(old) < 8 {
			t.Errorf("%d earlier versions are kept", len(old))
		}
		check(t, s.Close())
	})
}
