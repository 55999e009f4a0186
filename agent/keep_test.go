package agent

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// When a register is read in another way, or from another meter, its numbers
// cannot be compared with what was kept: a new series begins with a statement
// that says why, and no energy appears out of the difference.
func TestAnotherWayOfReading(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Meter)
		want   energy.StatementKind // of the second statement; "": there is none
	}{
		{"nothing", func(m *config.Meter) {}, ""},
		{"poll", func(m *config.Meter) { m.Poll = time.Minute }, ""},
		{"serial number learnt", func(m *config.Meter) { m.Serial = "1234567" }, ""},
		{"transformers", func(m *config.Meter) { m.Registers[0].CT = "200/5" }, energy.ConfigChangeStatement},
		{"address", func(m *config.Meter) { m.Registers[0].Address = 9 }, energy.ConfigChangeStatement},
		{"modulus", func(m *config.Meter) { m.Registers[0].Modulus = 1 << 40 }, energy.ConfigChangeStatement},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				f := newFake(registers{curve(1000)})
				said, rule17 := twoRuns(t, path, f, func(*config.Meter) {}, c.change, curve(1000))
				if want := map[bool]int{true: 0, false: 1}[c.want == ""]; rule17 != want {
					t.Errorf("%d findings of V17, want %d", rule17, want)
				}
				if c.want == "" {
					if len(said) != 1 {
						t.Fatalf("%d statements, want the opening only", len(said))
					}
					return
				}
				if len(said) != 2 || said[1].Kind != c.want {
					t.Fatalf("statements: %+v", said)
				}
				if said[1].Closing == nil || said[1].Opening == nil || said[1].Closing.Value > said[1].Opening.Value || said[1].Previous == "" {
					t.Errorf("%+v", said[1])
				}
			})
		})
	}
}

func TestMeterExchange(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(50_000_000)})
		said, rule17 := twoRuns(t, path, f, func(m *config.Meter) { m.Serial = "OLD" }, func(m *config.Meter) { m.Serial = "NEW" }, curve(3))
		if rule17 != 1 {
			t.Errorf("%d findings of V17, want 1", rule17)
		}
		if len(said) != 2 || said[0].Kind != energy.OpeningStatement || said[1].Kind != energy.ExchangeStatement {
			t.Fatalf("statements: %+v", said)
		}
		if said[0].Serial != "OLD" || said[1].Serial != "NEW" || said[1].Closing.Value < 50_000_000 || said[1].Opening.Value > 1_000_000 {
			t.Errorf("%+v %+v", said[1].Closing, said[1].Opening)
		}
		if said[0].Register != "fake unit 1 0x0000 uint64" {
			t.Errorf("register: %q", said[0].Register)
		}
	})
}

// twoRuns reads a meter for two hours, then with another configuration and
// curve for two more, and gives the statements of both.
func twoRuns(t *testing.T, path string, f *fakeBus, first, second func(*config.Meter), then func(time.Time) (int64, error)) (said []energy.Statement, rule17 int) {
	t.Helper()
	s := openFaulty(t, path)
	for i, change := range []func(*config.Meter){first, second} {
		c := site(f, 10*time.Second)
		change(&c.Meters[0])
		if i == 1 {
			f.devices[0][0] = then
		}
		check(t, runFor(newAgent(t, f, c, s), 2*time.Hour))
	}
	for _, h := range halfHours(t, s, key("a")) {
		if h.Energy > 5000 {
			t.Errorf("%v: %d Wh out of nothing", h.Start, h.Energy)
		}
	}
	for x, err := range s.Findings(epoch, epoch.AddDate(1, 0, 0)) {
		check(t, err)
		if x.Rule == 17 {
			rule17++
		}
	}
	raw, err := s.PendingStatements(10)
	check(t, err)
	var out []energy.Statement
	for _, r := range raw {
		x, err := energy.ParseStatement(r.Body)
		check(t, err)
		out = append(out, x)
	}
	check(t, s.Close())
	return out, rule17
}

// A meter that is taken out and put in again goes on with its chain.
func TestMeterThatComesBack(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		f := newFake(registers{curve(1000)})
		for _, id := range []string{"a", "other", "a"} {
			c := site(f, 10*time.Second)
			c.Meters[0].ID = id
			check(t, runFor(newAgent(t, f, c, s), 2*time.Hour))
		}
		var kinds []energy.StatementKind
		previous, k := "", key("a")
		for st, err := range s.Statements(&k) {
			check(t, err)
			x, err := energy.ParseStatement(st.Body)
			check(t, err)
			if x.Previous != previous {
				t.Errorf("%s follows on %q, want %q", x.Kind, x.Previous, previous)
			}
			previous = fmt.Sprintf("%x", sha256.Sum256(st.Body))
			kinds = append(kinds, x.Kind)
		}
		if !slices.Equal(kinds, []energy.StatementKind{energy.OpeningStatement, energy.ClosingStatement, energy.OpeningStatement}) {
			t.Errorf("%v", kinds)
		}
		check(t, s.Close())
	})
}

// never: the operator has stated no exchange.
func never(time.Time) bool { return false }

func newRegister() register {
	return register{key: key("a"), cfg: importRegister, check: validate.New(key("a"), validate.Options{})}
}

var importRegister = &config.Register{Point: modbus.Point{Measure: energy.Import}}

func TestDamagedStateBeginsAnew(t *testing.T) {
	for _, kept := range [][]byte{{1}, {9, 9}, make([]byte, 49), append([]byte{keptVersion}, make([]byte, 68)...), append([]byte{1}, make([]byte, 60)...)} {
		r := newRegister()
		if err := r.restore(kept, &validate.Checkers{}, validate.Options{}, energy.Period, never); err == nil {
			t.Errorf("%x: restored", kept)
		}
		if r.counter == nil {
			t.Errorf("%x: no accumulator to go on with", kept)
		}
	}
}

// FuzzRestore: nothing that a damaged store may hold keeps the agent from
// starting, and what is restored can be kept again.
func FuzzRestore(f *testing.F) {
	r := newRegister()
	r.counter = energy.NewAccumulator(importRegister.Energy(), energy.Period)
	r.counter.Add(energy.Sample{At: epoch, Value: 5}, nil)
	r.counter.Add(energy.Sample{At: epoch.Add(time.Hour), Value: 500}, nil)
	f.Add(r.appendKept(nil))
	f.Add([]byte{keptVersion})
	f.Fuzz(func(t *testing.T, kept []byte) {
		r := newRegister()
		err := r.restore(kept, &validate.Checkers{}, validate.Options{}, energy.Period, never)
		if r.counter == nil {
			t.Fatal("no accumulator to go on with")
		}
		if err == nil && len(kept) > 0 {
			again := newRegister()
			if err := again.restore(r.appendKept(nil), &validate.Checkers{}, validate.Options{}, energy.Period, never); err != nil {
				t.Fatalf("kept again, cannot be restored: %v", err)
			}
		}
		r.counter.Add(energy.Sample{At: epoch.Add(48 * time.Hour), Value: 600}, nil)
	})
}
