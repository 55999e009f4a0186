package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

// A file of daily values is read again when it changed; what cannot be read
// takes nothing away, and is reported once.
func TestGasFilesChange(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.csv"), filepath.Join(dir, "b.csv")
	var said []string
	g := NewGas(gasSite(t, ", zone: NT", fmt.Sprintf("gas: {calorific_values: [%s, %s]}\n", a, b)), func(err error) { said = append(said, err.Error()) })
	fifteenth, err := gas.ParseDay("2026-01-15")
	check(t, err)
	is := func(what, cv string, reports int, words string) {
		t.Helper()
		for range 2 {
			if got, err := mustBasis(g, fifteenth); err != nil || got.CV.String() != cv || got.Daily != (cv != "39.5") {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
		}
		if len(said) != reports || words != "" && !strings.Contains(said[len(said)-1], words) {
			t.Errorf("%s: said %q", what, said)
		}
	}
	changed := 0
	write := func(path, text string) {
		t.Helper()
		changed++
		writeFile(t, path, text)
		when := january(15).Add(time.Duration(changed) * time.Second) // a file system may keep whole seconds only
		check(t, os.Chtimes(path, when, when))
	}
	is("nothing is there", "39.5", 1, "a.csv: no such file or directory\ncalorific values: stat "+b)
	write(b, cvHeader+cvLine("15/01/2026", "NT", "39.1"))
	is("one of them came", "39.1", 2, "a.csv: no such file")
	write(a, cvHeader+cvLine("15/01/2026", "NT", "38.9"))
	is("both: the later in the list holds", "39.1", 2, "")
	if err := g.Check(); err != nil {
		t.Error(err)
	}
	write(b, cvHeader+cvLine("15/01/2026", "NT", "39.2"))
	is("a better value", "39.2", 2, "")
	write(b, cvHeader+cvLine("15/01/2026", "NT", "93.2"))
	is("no natural gas", "39.2", 3, "b.csv: line 2")
	if err := g.Check(); err == nil || !strings.Contains(err.Error(), "b.csv: line 2") {
		t.Errorf("check: %v", err)
	}
	check(t, os.Remove(b))
	check(t, os.Mkdir(b, 0o700))
	is("a folder", "39.2", 4, "b.csv is not a file")
	check(t, os.Remove(b))
	f, err := os.Create(b)
	check(t, err)
	check(t, errors.Join(f.Truncate(gas.MaxFile+1), f.Close()))
	is("too large", "39.2", 5, "more than 33554432")
	write(b, cvHeader)
	is("taken back", "38.9", 5, "")
	if last, ok := g.Last("NT"); !ok || last != fifteenth {
		t.Errorf("%v %v", last, ok)
	}
	if _, ok := g.Last("SE"); ok {
		t.Error("there is none of SE")
	}
	// At the very start the files that can be read are used.
	check(t, os.Remove(b))
	first := NewGas(g.cfg, nil)
	if got, err := mustBasis(first, fifteenth); err != nil || got.CV.String() != "38.9" {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(g.Factor(), "National Gas daily values, else gas-calorific-values.yaml sha256:") {
		t.Error(g.Factor())
	}
}

// A statement of a gas register says by what its energy is worked out; one of
// electricity says nothing of it.
func TestGasStatements(t *testing.T) {
	for want, change := range map[string]func(*config.Meter){
		`|"vcf":"1.02264"}`:                        func(*config.Meter) {},
		`|"vcf":"1.0351","zone":"NT"}`:             func(m *config.Meter) { m.Zone, m.VCF = "NT", 1_035_100 },
		`"corrected":true,|"vcf":"1","zone":"SE"}`: func(m *config.Meter) { m.Zone, m.Corrected = "SE", true },
	} {
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			f := newFake(registers{curve(1000)}, registers{curve(1000)})
			c := site(f, time.Minute)
			c.Meters[0].Registers[0].Measure, c.Meters[0].Registers[0].Unit = energy.Gas, "L"
			change(&c.Meters[0])
			s := openFaulty(t, path)
			check(t, runFor(newAgent(t, f, c, s), time.Hour))
			said, err := s.PendingStatements(100)
			check(t, err)
			for _, k := range said {
				first, last, _ := strings.Cut(want, "|")
				of := strings.Contains(string(k.Body), `"factor":"gas-calorific-values.yaml sha256:`) && strings.Contains(string(k.Body), first) && strings.HasSuffix(string(k.Body), last)
				if of != (k.Measure == energy.Gas) || strings.Contains(string(k.Body), "corrected") != (first != "" && k.Measure == energy.Gas) {
					t.Errorf("want %s in %s", want, k.Body)
				}
			}
			if len(said) != 2 {
				t.Errorf("%d statements", len(said))
			}
			check(t, s.Close())
		})
	}
}

// A file that cannot be used stops no agent: it is a note, from the start; but a
// configuration that brings one is not taken over.
func TestGasFileThatIsMissing(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		c := site(f, time.Minute)
		c.Gas.CalorificValues = []string{filepath.Join(t.TempDir(), "none.csv")}
		s := openFaulty(t, path)
		a := newAgent(t, f, c, s)
		if notes := a.Status().Notes; len(notes) != 1 || !strings.Contains(notes[0].What, "others stand in for them") || !strings.Contains(notes[0].What, "none.csv") {
			t.Errorf("%+v", notes)
		}
		check(t, runFor(a, time.Hour+5*time.Minute))
		if n := len(halfHours(t, s, key("a"))); n != 2 {
			t.Errorf("%d half-hours", n)
		}
		c.Buses = nil
		if err := Try(c, quietLog); err == nil || !strings.Contains(err.Error(), "none.csv") {
			t.Errorf("taken over: %v", err)
		}
		c.Gas.CalorificValues = nil
		check(t, Try(c, quietLog))
		check(t, s.Close())
	})
}
