package validate

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

func example() Finding {
	return Finding{
		Rule: 5, Severity: Error, Key: mainImport, From: noon, To: noon.Add(energy.Period),
		Found: "90000 Wh", Expected: "at most 41569 Wh", Note: "a <note> & more", Count: 3,
	}
}

const golden = `{"count":3,"expected":"at most 41569 Wh","found":"90000 Wh","from":"2026-07-15T12:00:00Z","measure":"import","meter":"main","note":"a <note> & more","rule":"V05","severity":"error","to":"2026-07-15T12:30:00Z"}`

func TestFindingJSON(t *testing.T) {
	f := example()
	f.From = f.From.In(energy.London())
	k, err := f.Keyed()
	if err != nil || string(k.Body) != golden || !k.At.Equal(noon) || k.At.Location() != time.UTC || k.Rule != 5 || k.Key != mainImport {
		t.Fatalf("%v: %s\n%+v", err, k.Body, k)
	}
	back, err := ParseFinding([]byte(golden))
	if err != nil || back != example() {
		t.Errorf("%v: %+v", err, back)
	}
	want := "V05 error main/import: more energy than the connection can carry: 90000 Wh, expected at most 41569 Wh (3 times); a <note> & more"
	if back.String() != want {
		t.Errorf("%s\nwant %s", back, want)
	}
	back.Count, back.Note = 1, ""
	if s := back.String(); strings.Contains(s, "times") || strings.Contains(s, ";") {
		t.Error(s)
	}
}

func TestFindingRefused(t *testing.T) {
	for name, change := range map[string]func(*Finding){
		"rule 0":         func(f *Finding) { f.Rule = 0 },
		"rule 21":        func(f *Finding) { f.Rule = 21 },
		"no severity":    func(f *Finding) { f.Severity = 0 },
		"severity 4":     func(f *Finding) { f.Severity = 4 },
		"no meter":       func(f *Finding) { f.Meter = "" },
		"long meter":     func(f *Finding) { f.Meter = strings.Repeat("m", 201) },
		"line in meter":  func(f *Finding) { f.Meter = "a\nb" },
		"no measure":     func(f *Finding) { f.Measure = 0 },
		"count 0":        func(f *Finding) { f.Count = 0 },
		"no time":        func(f *Finding) { f.From, f.To = time.Time{}, time.Time{} },
		"ends too early": func(f *Finding) { f.To = f.From.Add(-1) },
	} {
		f := example()
		change(&f)
		if _, err := f.Keyed(); err == nil || !strings.HasPrefix(err.Error(), "finding") {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.check(); err == nil {
			t.Errorf("%s passes the check", name)
		}
	}
	for _, change := range []func(*Finding){
		func(f *Finding) { f.Rule = 1 }, func(f *Finding) { f.Rule = 20 }, func(f *Finding) { f.Severity = Info },
		func(f *Finding) { f.Meter = strings.Repeat("m", 200) }, func(f *Finding) { f.Count = 1 }, func(f *Finding) { f.To = f.From },
	} {
		f := example()
		change(&f)
		if _, err := f.Keyed(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestParseFindingRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"empty":         "",
		"space":         strings.Replace(golden, ",", ", ", 1),
		"order":         strings.Replace(strings.Replace(golden, `"count":3,`, "", 1), `{`, `{"expected":"","count":3,`, 1),
		"unknown field": strings.Replace(golden, `{`, `{"a":1,`, 1),
		"rule":          strings.Replace(golden, "V05", "V99", 1),
		"lower case":    strings.Replace(golden, "V05", "v05", 1),
		"severity":      strings.Replace(golden, `"error"`, `"fatal"`, 1),
		"measure":       strings.Replace(golden, `"import"`, `"steam"`, 1),
		"count":         strings.Replace(golden, `"count":3`, `"count":0`, 1),
		"two":           golden + golden,
		"line":          golden + "\n",
		"zone":          strings.Replace(golden, "12:00:00Z", "13:00:00+01:00", 1),
		"long":          golden + strings.Repeat(" ", MaxFinding),
		"empty note":    strings.Replace(golden, "a <note> & more", "", 1),
	} {
		if f, err := ParseFinding([]byte(raw)); err == nil || !strings.HasPrefix(err.Error(), "finding") {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

// What is too long is not even looked at.
func TestParseFindingLength(t *testing.T) {
	for n, refused := range map[int]bool{MaxFinding: false, MaxFinding + 1: true} {
		if _, err := ParseFinding([]byte(strings.Repeat("[", n))); err == nil || strings.Contains(err.Error(), "at most") != refused {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		strings.Repeat("a", 200):       strings.Repeat("a", 200),
		strings.Repeat("a", 201):       strings.Repeat("a", 197) + "...",
		strings.Repeat("ü", 101):       strings.Repeat("ü", 98) + "...",
		"a" + strings.Repeat("ü", 100): "a" + strings.Repeat("ü", 98) + "...",
		"a\xffb":                       "a?b",
		"a\nb\x00\x7f\u2028\u2029":     "a b    ",
	} {
		if got := short(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Any finding that is complete goes into the store and comes back the same,
// whatever a source put into its words.
func TestFindingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Finding{
			Rule: rapid.IntRange(1, Count).Draw(t, "rule"), Severity: Severity(rapid.IntRange(1, 3).Draw(t, "severity")),
			Key:  energy.Key{Meter: rapid.StringOfN(rapid.RuneFrom([]rune(`ab"\\<ü水`)), 1, 50, 200).Draw(t, "meter"), Measure: energy.Measure(rapid.IntRange(1, 5).Draw(t, "measure"))},
			From: noon.Add(time.Duration(rapid.Int64Range(-1e18, 1e18).Draw(t, "from"))), Count: rapid.IntRange(1, 1e9).Draw(t, "count"),
			Found: rapid.StringOfN(rapid.RuneFrom([]rune("\"\\\n\x00\u2028é")), 0, 300, -1).Draw(t, "found"), Expected: string(rapid.SliceOf(rapid.Byte()).Draw(t, "expected")), Note: rapid.String().Draw(t, "note"),
		}
		f.To = f.From.Add(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "long")))
		k, err := f.Keyed()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseFinding(k.Body)
		if err != nil {
			t.Fatalf("%v: %s", err, k.Body)
		}
		again, err := back.Keyed()
		if err != nil || !bytes.Equal(again.Body, k.Body) || len(k.Body) > MaxFinding {
			t.Fatalf("%v: %s\n%s", err, k.Body, again.Body)
		}
		f.Found, f.Expected, f.Note = short(f.Found), short(f.Expected), short(f.Note)
		if back != f {
			t.Fatalf("%+v\nbecame %+v", f, back)
		}
	})
}

func FuzzParseFinding(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseFinding(raw)
		if err != nil {
			return
		}
		again, err := got.MarshalJSON()
		if err != nil || !bytes.Equal(again, raw) || !utf8.Valid(again) {
			t.Errorf("%s\nbecame %s (%v)", raw, again, err)
		}
	})
}
