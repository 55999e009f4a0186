package fault

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestList(t *testing.T) {
	for s, want := range map[string]string{
		"late=5%":                        "late=5%",
		"late=5%,zero=0.5%":              "late=5%,zero=0.5%",
		"modbus:late=5%,lost=2%":         "modbus:late=5%,modbus:lost=2%",
		"udmi:1970=1%,mqtt:repeat=2%":    "udmi:1970=1%,mqtt:repeat=2%",
		"disconnect@10m+30s":             "disconnect@10m0s+30s",
		"exchange@10m,rollover@0s":       "exchange@10m0s,rollover@0s",
		"retained=1h":                    "retained=1h0m0s",
		" late=1% , gateway: zero=100% ": "",
	} {
		var l List
		err := l.Set(s)
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken as %s", s, l.String())
			}
			continue
		}
		if err != nil || l.String() != want {
			t.Errorf("%q: %q, %v; want %q", s, l.String(), err, want)
		}
	}
}

func TestListMistakes(t *testing.T) {
	for s, want := range map[string]string{
		"":                    `use late`,
		"layte=5%":            `did you mean "late"?`,
		"zeros=5%":            `did you mean "zero"?`,
		"quux=5%":             "use late, lost",
		"late":                "give a share such as late=5%",
		"late=5":              "give a share",
		"late=0%":             "give a share",
		"late=101%":           "give a share",
		"late=x%":             "give a share",
		"late=NaN%":           "give a share",
		"late@10m":            "give a share",
		"retained=5%":         "give an age such as retained=1h",
		"retained=-1h":        "give an age",
		"disconnect=5%":       "say when it begins after the start and how long it lasts, such as disconnect@10m+30s",
		"disconnect@10m":      "how long it lasts",
		"disconnect@10m+0s":   "how long it lasts",
		"disconnect@-1m+1s":   "say when",
		"exchange@10m+5m":     "say when it happens after the start, such as exchange@10m",
		":late=5%":            "nothing stands before the colon",
		"late=60%,zero=60%":   "more than 100%",
		"late=60%,a:zero=60%": "more than 100%",
	} {
		l := List{{Name: "lost", Share: 0.01}}
		if err := l.Set(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
		if len(l) != 1 {
			t.Errorf("%q: it was taken in part: %s", s, l.String())
		}
	}
	var l List
	for _, s := range []string{"late=60%", "lost=40%"} { // each --fault adds
		if err := l.Set(s); err != nil {
			t.Error(err)
		}
	}
	if err := l.Set("zero=1%"); err == nil || len(l) != 2 {
		t.Errorf("101%% were taken: %s", l.String())
	}
}

func TestEachFaultHasHelp(t *testing.T) {
	for _, name := range Names() {
		k, _ := find(name)
		line := ""
		for one := range strings.SplitSeq(Help(), "\n") {
			if strings.HasPrefix(strings.TrimSpace(one), name) {
				line = strings.TrimSpace(one)
			}
		}
		form, _, _ := strings.Cut(line, " ")
		var l List
		if err := l.Set(form); err != nil || len(k.what) < 10 || !strings.HasSuffix(line, k.what) {
			t.Errorf("%s: help %q, %v", name, line, err)
		}
	}
}

func set(t *testing.T, s string) List {
	t.Helper()
	var l List
	if err := l.Set(s); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestShare(t *testing.T) {
	buses := []Bus{
		{[]string{"plant", "modbus", "rtu"}, []string{"late", "checksum", "disconnect"}},
		{[]string{"bms", "mqtt", "udmi"}, []string{"late", "1970"}},
	}
	for s, want := range map[string]string{
		"late=5%":             "[late=5%] [late=5%]",
		"checksum=5%,1970=1%": "[checksum=5%] [1970=1%]",
		"modbus:late=5%":      "[modbus:late=5%] []",
		"udmi:late=5%":        "[] [udmi:late=5%]",
		"bms:late=5%":         "[] [bms:late=5%]",
	} {
		got, err := Share(set(t, s), buses)
		if text := fmt.Sprint(got); err != nil || text != fmt.Sprintf("[%s]", want) {
			t.Errorf("%q: %s, %v; want %s", s, text, err, want)
		}
	}
	for s, want := range map[string]string{
		"bms:checksum=5%":             "fault bms:checksum=5%: bus bms cannot play it: it plays late, 1970",
		"exchange@1m":                 "no bus of this site can play it",
		"bns:late=5%":                 `"bns" is no bus, driver or format here: did you mean "bms"?`,
		"late=60%,rtu:checksum=40.5%": "more than 100%",
		"plant:late=60%,rtu:late=60%": "add up to more than 100%",
	} {
		l := List{}
		err := l.Set(s)
		if err == nil {
			_, err = Share(l, buses)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

// The same seed plays the same, and each fault as often as it is to.
func TestDice(t *testing.T) {
	start := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	l := set(t, "late=10%,zero=20%,disconnect@10m+30s")
	draw := func(seed uint64, name string) (out []string, d *Dice) {
		d = NewDice(l, seed, name, start, func() time.Time { return start })
		for range 10_000 {
			out = append(out, d.Draw())
		}
		return out, d
	}
	a, d := draw(7, "x")
	b, _ := draw(7, "x")
	if strings.Join(a, ",") != strings.Join(b, ",") {
		t.Error("the same seed played something else")
	}
	for _, other := range []struct {
		seed uint64
		name string
	}{{8, "x"}, {7, "y"}} {
		if c, _ := draw(other.seed, other.name); strings.Join(a, ",") == strings.Join(c, ",") {
			t.Errorf("seed %d of %s plays the same", other.seed, other.name)
		}
	}
	counts := map[string]int{}
	for _, f := range a {
		counts[f]++
	}
	for name, want := range map[string]int{"late": 1000, "zero": 2000, "": 7000} {
		if n := counts[name]; n < want-200 || n > want+200 {
			t.Errorf("%q came %d times of 10,000, want about %d", name, n, want)
		}
	}
	if got := d.Played(); got != fmt.Sprintf("late %d, zero %d", counts["late"], counts["zero"]) {
		t.Errorf("played %q", got)
	}
	for range 100 {
		if name := d.Draw("zero"); name != "" && name != "zero" {
			t.Fatalf("%s, where zero alone could be", name)
		}
	}
	all, once := 0, NewDice(l, 7, "x", start, func() time.Time { return start })
	for i := range 1000 {
		thing := fmt.Sprint("half-hour ", i)
		name := once.Of(thing, "late")
		if name != once.Of(thing, "late") || name != "" && name != "late" {
			t.Fatalf("%s: %q", thing, name)
		}
		if name != "" {
			all++
		}
	}
	if all < 60 || all > 140 || once.Played() != fmt.Sprintf("late %d", all) {
		t.Errorf("late %d times of 1,000, played %q", all, once.Played())
	}
}

func TestOn(t *testing.T) {
	start := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	now := start
	d := NewDice(set(t, "disconnect@10m+30s"), 1, "x", start, func() time.Time { return now })
	for at, want := range map[time.Duration]bool{0: false, 10*time.Minute - 1: false, 10 * time.Minute: true, 10*time.Minute + 30*time.Second - 1: true, 10*time.Minute + 30*time.Second: false} {
		now = start.Add(at)
		if since, left, on := d.On("disconnect"); on != want || on && (since != at-10*time.Minute || since+left != 30*time.Second) {
			t.Errorf("after %s: %v, %s since, %s left", at, on, since, left)
		}
	}
	if _, _, on := d.On("restart"); on {
		t.Error("what was not asked for is under way")
	}
}

func TestSetReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var l List
		for range rapid.IntRange(1, 5).Draw(r, "n") {
			k := rapid.SampledFrom(kinds).Draw(r, "kind")
			f := Fault{Name: k.name, Scope: rapid.SampledFrom([]string{"", "bus-1", "mqtt"}).Draw(r, "scope")}
			switch k.form {
			case share:
				f.Share = float64(rapid.IntRange(1, 19).Draw(r, "share")) / 100
			case aged:
				f.Age = time.Duration(rapid.Int64Range(1, 1e6).Draw(r, "age")) * time.Millisecond
			case spell:
				f.For = time.Duration(rapid.Int64Range(1, 1e6).Draw(r, "for")) * time.Millisecond
				fallthrough
			default:
				f.At = time.Duration(rapid.Int64Range(0, 1e6).Draw(r, "at")) * time.Millisecond
			}
			l = append(l, f)
		}
		var again List
		for _, f := range l { // a scope holds to the next: one by one
			if err := again.Set(f.String()); err != nil {
				r.Fatalf("%s: %v", f, err)
			}
		}
		if again.String() != l.String() {
			r.Fatalf("%s, then %s", l.String(), again.String())
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add("late=5%,modbus:zero=1%,disconnect@10m+30s,retained=1h")
	f.Fuzz(func(t *testing.T, s string) {
		var l, again List
		if l.Set(s) != nil {
			return
		}
		for _, one := range l {
			if err := again.Set(one.String()); err != nil {
				t.Fatalf("%q made %q, which is not taken: %v", s, one.String(), err)
			}
		}
	})
}
