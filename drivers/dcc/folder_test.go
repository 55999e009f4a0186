package dcc

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

const (
	mpanA = "2000000000006"
	mpanB = "2000000000015"
)

// drop is a drop folder under test.
type drop struct {
	*testing.T
	*recorder
	clock *clock
	dir   string
	cfg   Config
	f     *folder
}

func newDrop(t *testing.T, query string, devices ...Device) *drop {
	d := &drop{T: t, recorder: newRecorder(t), clock: &clock{t: now}, dir: t.TempDir()}
	d.cfg = Config{Format: "csv", URLs: []string{"file://" + filepath.ToSlash(d.dir) + query}, Devices: devices, Marks: d.recorder, Now: d.clock.now, Logger: quiet}
	d.start()
	return d
}

// start is what a restart of the agent does.
func (d *drop) start() {
	l, err := New(d.cfg)
	if err != nil {
		d.Fatal(err)
	}
	d.f = l.(*folder)
}

func (d *drop) write(name, text string) {
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o640); err != nil {
		d.Fatal(err)
	}
}

// look looks now.
func (d *drop) look() error { return d.f.look(context.Background(), d.deliver) }

// settled looks, waits until files have come to rest, and looks again.
func (d *drop) settled() error {
	first := d.look()
	d.clock.add(rest)
	if err := d.look(); err != nil {
		return err
	}
	return first
}

// files lists a folder by what follows the time in its names.
func (d *drop) files(sub string) []string {
	entries, err := os.ReadDir(filepath.Join(d.dir, sub))
	if err != nil && !os.IsNotExist(err) {
		d.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		_, name, _ := strings.Cut(e.Name(), "Z-")
		if sub == "" {
			name = e.Name()
		}
		out = append(out, name)
	}
	return out
}

func (d *drop) read(sub, ending string) string {
	paths, _ := filepath.Glob(filepath.Join(d.dir, sub, "*"+ending))
	if len(paths) != 1 {
		d.Fatalf("%s has %d files that end in %s", sub, len(paths), ending)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		d.Fatal(err)
	}
	return string(b)
}

func (d *drop) expect(sub string, want ...string) {
	d.Helper()
	if got := d.files(sub); !slices.Equal(got, want) {
		d.Errorf("%q holds %q, want %q", sub, got, want)
	}
}

// plain is a file in our own layout: n half-hours from start, i-th with i Wh.
func plain(id string, start time.Time, n int) string {
	var s strings.Builder
	s.WriteString("id,measure,start,kWh,quality\n")
	for i := range n {
		fmt.Fprintf(&s, "%s,import,%s,%d.%03d,measured\n", id, start.Add(time.Duration(i)*energy.Period).Format(time.RFC3339), i/1000, i%1000)
	}
	return s.String()
}

func importOf(name string) Device {
	return Device{Meter: "main", Name: name, Measures: []energy.Measure{energy.Export, energy.Import}}
}

func TestFolderTakesAFile(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	if err := d.f.Health(); err == nil {
		t.Error("healthy before anything was looked at")
	}
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 48)+mpanA+",import,2024-03-02T00:00:00Z,9,estimated\n")
	d.write("upload.csv.part", "half of")
	d.write(".hidden.csv", "half of")
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	good, errs := d.take()
	if len(good) != 49 || len(errs) > 0 {
		t.Fatalf("%d half-hours, errors %v", len(good), errs)
	}
	for i, h := range good {
		want := drivers.Reading{Point: 1, Interval: energy.Period, Sample: energy.Sample{At: utc("2024-03-01 00:30").Add(time.Duration(i) * energy.Period), Value: int64(i)}}
		if i == 48 {
			want.Sample.Value, want.Estimated = 9000, true
		}
		if h.Reading != want {
			t.Errorf("half-hour %d is %+v, want %+v", i, h.Reading, want)
		}
	}
	d.expect("done", "a.csv")
	d.expect("bad")
	d.expect("", ".hidden.csv", "upload.csv.part")
}

// A file that still grows is not touched, however slowly it grows.
func TestFolderWaitsForWholeFiles(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	text := plain(mpanA, utc("2024-03-01 00:00"), 48)
	for i := 1; i <= 4; i++ {
		d.write("a.csv", text[:len(text)*i/4])
		if err := d.look(); err != nil {
			t.Fatal(err)
		}
		d.clock.add(rest - time.Second)
		if err := d.look(); err != nil {
			t.Fatal(err)
		}
		d.expect("", "a.csv")
	}
	d.clock.add(time.Second)
	if err := d.look(); err != nil {
		t.Fatal(err)
	}
	if good, _ := d.take(); len(good) != 48 {
		t.Errorf("%d half-hours", len(good))
	}
	d.expect("done", "a.csv")
}

// A clock that was set back does not make a file wait for as long.
func TestFolderClockSetBack(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 1))
	_ = d.look()
	d.clock.add(-24 * time.Hour)
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	d.expect("done", "a.csv")
}

// What was left out of a file is written beside it.
func TestFolderNotes(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 2)+mpanA+",import,2024-03-01T01:00:00Z,-1,measured\n")
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	d.expect("done", "a.csv", "a.csv.notes")
	if got := d.read("done", ".notes"); !strings.Contains(got, "line 4") || !strings.Contains(got, "negative") {
		t.Errorf("notes %q", got)
	}
}

// Which meter a file is of.
func TestFolderMeters(t *testing.T) {
	for _, c := range []struct {
		name    string
		devices []Device
		text    string
		device  int // that the half-hours are delivered to; -1: to none
	}{
		{"by its MPAN", []Device{importOf(mpanB), importOf(mpanA)}, plain(mpanA, utc("2024-03-01 00:00"), 2), 1},
		{"the only one", []Device{importOf("main")}, plain(mpanA, utc("2024-03-01 00:00"), 2), 0},
		{"not the only one in the file", []Device{importOf("main")}, plain(mpanA, utc("2024-03-01 00:00"), 2) + plain(mpanB, utc("2024-03-01 00:00"), 2), -1},
		{"not the only one of the folder", []Device{importOf("main"), importOf("other")}, plain(mpanA, utc("2024-03-01 00:00"), 2), -1},
	} {
		d := newDrop(t, "", c.devices...)
		d.write("a.csv", c.text)
		if err := d.settled(); err != nil {
			t.Fatal(err)
		}
		good, _ := d.take()
		if (len(good) > 0) != (c.device >= 0) || len(good) > 0 && (good[0].device != c.device || len(good) != 2) {
			t.Errorf("%s: %v", c.name, good)
		}
	}
}

// A D0379 goes through, and so does a label that the folder is told.
func TestFolderLayouts(t *testing.T) {
	d := newDrop(t, "?label=end", importOf(mpanA))
	d.write("a.usr", "ZHV|7|D0379001|X|SUPP|C|UDMS|20240402113000||||OPER|\r\n25B|"+mpanA+"|AI|SUPP|\r\n26B|20240331|\r\n"+strings.Repeat("66L|A|0.5|\r\n", 48)+"ZPT|7|50||1|20240402113000|\r\n")
	d.write("b.csv", "MPAN,ReadDatetime,kWh\n"+mpanA+",01/03/2024 04:00,1\n"+mpanA+",01/03/2024 05:00,2\n")
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	good, _ := d.take()
	got := latest(good, 0, 1)
	if len(got) != 50 || got[utc("2024-03-31 00:30")] != 500 || got[utc("2024-04-01 00:00")] != 500 || got[utc("2024-03-01 04:00")] != 1000 {
		t.Errorf("%d half-hours: %v", len(got), got)
	}
}

// Listen looks at once, says how it does, and ends with its context.
func TestFolderListen(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	ctx, cancel := context.WithCancel(context.Background())
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 2))
	_ = d.look()
	d.clock.add(rest)
	err := d.f.Listen(ctx, func(i int, r []drivers.Reading) {
		d.deliver(i, r)
		cancel()
	})
	if err != nil || d.f.Health() != nil {
		t.Errorf("Listen %v, health %v", err, d.f.Health())
	}
	d.expect("done", "a.csv")
}

// The export of another gateway goes in no better than it came out: what it read
// is actual where it says measured, and what it put in place of a value is none.
func TestFolderMakesNothingBetter(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	text := "id,measure,start,kWh,quality\n"
	for i, q := range []energy.Quality{energy.Missing, energy.Substituted, energy.Estimated, energy.Interpolated, energy.Measured} {
		text += fmt.Sprintf("%s,import,%s,%d,%s\n", mpanA, utc("2024-03-01 00:00").Add(time.Duration(i)*energy.Period).Format(time.RFC3339), i, q)
	}
	d.write("a.csv", text)
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	good, _ := d.take()
	if len(good) != 3 {
		t.Fatalf("%+v", good)
	}
	for i, h := range good {
		if h.Sample.Value != int64(i+2)*1000 || h.Estimated != (i < 2) {
			t.Errorf("%+v", h.Reading)
		}
	}
	d.expect("done", "a.csv", "a.csv.notes")
}
