package doctor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

var update = flag.Bool("update", false, "write what comes as what is expected; read the difference before you commit it")

// doctorCase is testdata/NAME/case.json: a device's registers at two times and
// how it is configured, and in expected.txt beside it what the doctor says.
// Each folder is named after the mistake.
type doctorCase struct {
	Why           string // what it shows, and where it was met
	As            modbus.Point
	PerHour       int64             // base units that the meter can at most deliver in an hour
	Before, After map[string]string // "table/address": words in hex; half a minute apart
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var c doctorCase
	if err := d.Decode(&c); err != nil || c.Why == "" {
		t.Fatalf("%v, or no why", err)
	}
	m := &image{map[uint16]uint16{}, map[uint16]uint16{}}
	others := Others(c.As)
	bus := served(t, m, others)
	fill(t, m, c.Before)
	one := poll(t, bus)
	fill(t, m, c.After)
	two := poll(t, bus)
	var all []Judged
	for i, o := range others {
		j := Judged{Other: o, Seen: Seen{Point: o.Point, First: one[i]}}
		if one[i].Err == nil && two[i].Err == nil {
			j.Second, j.Apart = two[i], 30*time.Second
		}
		all = append(all, j)
	}
	var out strings.Builder
	all = Compare(all, c.PerHour)
	for _, j := range all {
		if j.Sense.Believable() {
			fmt.Fprintf(&out, "%s can be: %s\n", j.Name(), Amount(j.First.Value, c.As.Measure))
		}
	}
	fmt.Fprintf(&out, "says: %s\n", Misread(all))
	golden := filepath.Join(filepath.Dir(file), "expected.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("%s\ngot\n%s\nwant\n%s", c.Why, out.String(), want)
	}
}

// fill writes words into the tables.
func fill(t *testing.T, m *image, places map[string]string) {
	t.Helper()
	for place, words := range places {
		name, number, _ := strings.Cut(place, "/")
		table := map[string]map[uint16]uint16{"input": m.input, "holding": m.holding}[name]
		at, err := strconv.ParseUint(number, 0, 16)
		if err != nil || table == nil {
			t.Fatalf("place %q: %v", place, err)
		}
		for i, word := range strings.Fields(words) {
			b, err := hex.DecodeString(word)
			if err != nil || len(b) != 2 {
				t.Fatalf("word %q: %v", word, err)
			}
			table[uint16(at)+uint16(i)] = uint16(b[0])<<8 | uint16(b[1])
		}
	}
}
