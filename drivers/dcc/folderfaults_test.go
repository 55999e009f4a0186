package dcc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whatever dies between deliver and rename: the file is taken again, and every
// half-hour is stored in the end.
func TestFolderCrashes(t *testing.T) {
	const n = 3*atOnce + 7
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2023-06-01 00:00"), n))
	all := []heard{}
	for crash := 2; ; crash++ { // the first Settle is the gate
		d.settles = 0
		d.refuse = func() error {
			if d.settles == crash {
				panic("power cut")
			}
			return nil
		}
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			if err := d.settled(); err != nil {
				t.Fatal(err)
			}
			return false
		}()
		d.die()
		good, _ := d.take()
		all = append(all, good...)
		if !died {
			break
		}
		d.expect("", "a.csv")
		d.expect("done")
		d.start()
	}
	if got := latest(all, 0, 1); len(got) != n || sum(got) != n*(n-1)/2 {
		t.Errorf("%d half-hours with %d Wh are stored, want %d", len(got), sum(got), n)
	}
	d.expect("done", "a.csv")
	d.expect("")
}

// It dies after all was stored, before the file is put away: here, the folder
// for it is gone.
func TestFolderCrashBeforeRename(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 48))
	_ = d.look()
	d.clock.add(rest)
	d.refuse = func() error {
		if d.settles == 2 {
			_ = os.RemoveAll(filepath.Join(d.dir, "done"))
		}
		return nil
	}
	if err := d.look(); err == nil || !strings.Contains(err.Error(), "cannot be put away") {
		t.Fatalf("error %v", err)
	}
	d.expect("", "a.csv")
	d.start()
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	if good, _ := d.take(); len(good) != 96 || sum(latest(good, 0, 1)) != 48*47/2 {
		t.Errorf("%d half-hours stored, want the same 48 twice", len(good))
	}
	d.expect("done", "a.csv")
}

// While nothing can be stored, or in the midst of it, the file stays and
// nothing of it is lost; then it is taken.
func TestFolderFullDisk(t *testing.T) {
	for refusals := 1; refusals <= 3; refusals++ {
		d := newDrop(t, "", importOf(mpanA))
		d.write("a.csv", plain(mpanA, utc("2024-01-01 00:00"), atOnce+1))
		d.refuse = func() error {
			if d.settles == refusals {
				return errFull
			}
			return nil
		}
		if err := d.settled(); err == nil || !strings.Contains(err.Error(), errFull.Error()) {
			t.Fatalf("error %v", err)
		}
		d.expect("", "a.csv")
		if refusals == 1 && len(d.pending) > 0 {
			t.Error("delivered although nothing can be stored")
		}
		d.refuse = nil
		if err := d.look(); err != nil {
			t.Fatal(err)
		}
		good, _ := d.take()
		if got := latest(good, 0, 1); len(got) != atOnce+1 {
			t.Errorf("%d half-hours", len(got))
		}
		d.expect("done", "a.csv")
	}
}

func TestFolderBadFiles(t *testing.T) {
	whole := "ZHV|7|D0379001|X|SUPP|C|UDMS|20240402113000||||OPER|\n25B|" + mpanA + "|AI|SUPP|\n26B|20240301|\n" + strings.Repeat("66L|A|0.5|\n", 48)
	for _, c := range []struct{ name, text, reason string }{
		{"empty.csv", "", "the file is empty"},
		{"page.csv", "<!DOCTYPE html><html>Log in</html>", "web page"},
		{"other.csv", plain(mpanB, utc("2024-03-01 00:00"), 2) + plain("x", utc("2024-03-01 00:00"), 2), "it holds " + mpanB + ", x"},
		{"exportless.csv", strings.ReplaceAll(plain(mpanA, utc("2024-03-01 00:00"), 2), "import", "reactive-import"), "configured meter and measure"},
		{"future.csv", plain(mpanA, utc("2024-05-01 00:00"), 2), "not ended yet"},
		{"cut.usr", whole, "cut off"},
		{"label.csv", "MPAN,ReadDatetime,kWh\n" + mpanA + ",01/03/2024 04:00,1\n" + mpanA + ",01/03/2024 05:00,1\n", "label option"},
	} {
		d := newDrop(t, "", importOf(mpanA))
		d.write(c.name, c.text)
		if err := d.settled(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		d.expect("bad", c.name, c.name+".reason")
		d.expect("done")
		if got := d.read("bad", ".reason"); !strings.Contains(got, c.reason) || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: reason %q, want one with %q", c.name, got, c.reason)
		}
		if good, _ := d.take(); len(good) > 0 {
			t.Errorf("%s: %d half-hours were delivered", c.name, len(good))
		}
	}
}

func TestFolderTooLarge(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	for name, size := range map[string]int64{"just.csv": MaxFile, "over.csv": MaxFile + 1} {
		d.write(name, plain(mpanA, utc("2024-03-01 00:00"), 1))
		if err := os.Truncate(filepath.Join(d.dir, name), size); err != nil { // NULs, which hhfile drops
			t.Fatal(err)
		}
	}
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	d.expect("done", "just.csv")
	d.expect("bad", "over.csv", "over.csv.reason")
}

// The same name again, within the same second: both are kept, and so is every
// reason.
func TestFolderNameClashes(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	long := strings.Repeat("ä", 120) + ".csv"
	for range 3 {
		d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 2))
		d.write("b.csv", "")
		d.write(long, plain(mpanA, utc("2024-03-01 00:00"), 1))
		if err := d.settled(); err != nil {
			t.Fatal(err)
		}
		d.clock.add(-rest)
	}
	count := func(sub string) int { return len(d.files(sub)) }
	if count("") != 0 || count("done") != 6 || count("bad") != 6 {
		t.Errorf("%d left, %d done, %d bad", count(""), count("done"), count("bad"))
	}
}

// A file that cannot be read does not hold up the others.
func TestFolderUnreadableFile(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 2))
	d.write("z.csv", plain(mpanA, utc("2024-03-02 00:00"), 2))
	_ = d.look()
	d.clock.add(rest)
	d.refuse = func() error {
		if d.settles == 1 { // between the listing and the reading of a.csv
			_ = os.Remove(filepath.Join(d.dir, "a.csv"))
		}
		return nil
	}
	if err := d.look(); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("error %v", err)
	}
	d.expect("done", "z.csv")
	if err := d.look(); err != nil {
		t.Errorf("the file is gone, and yet: %v", err)
	}
}

// A file that changes while it is read is left for later.
func TestFolderChangesWhileRead(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("a.csv", plain(mpanA, utc("2024-03-01 00:00"), 2))
	_ = d.look()
	d.clock.add(rest)
	later := now.Add(time.Hour)
	d.refuse = func() error {
		if d.settles == 1 {
			return os.Chtimes(filepath.Join(d.dir, "a.csv"), later, later)
		}
		return nil
	}
	if err := d.look(); err == nil || !strings.Contains(err.Error(), "changed while") {
		t.Errorf("error %v", err)
	}
	d.expect("", "a.csv")
	if err := d.settled(); err != nil {
		t.Fatal(err)
	}
	d.expect("done", "a.csv")
}

func TestFolderGone(t *testing.T) {
	d := newDrop(t, "", importOf(mpanA))
	d.write("file", "x")
	d.f.path = filepath.Join(d.dir, "file", "sub")
	if err := d.look(); err == nil || !strings.Contains(err.Error(), "cannot be used") {
		t.Errorf("error %v", err)
	}
}
