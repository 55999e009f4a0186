package ingest

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestDayGolden(t *testing.T) {
	d := &day{number: 20514} // 2026-03-02
	end := d.end
	d.put(0, slot{energy: 100, cumulative: 5100, quality: energy.Measured, rule: energy.RuleBracketed, batch: 7, taken: end(0) + 20})
	d.put(1, slot{energy: 90, cumulative: 5190, quality: energy.Measured, rule: energy.RuleBracketed, batch: 8, taken: end(1) + 21})
	d.put(2, slot{energy: 95, cumulative: -1, quality: energy.Estimated, rule: energy.RuleSpread, batch: 8, taken: end(1) + 21})
	d.put(47, slot{energy: 0, cumulative: 6000, quality: energy.Estimated, rule: energy.RuleImportedEst, batch: 3, taken: end(47) + 1})
	const want = "01" + "070000000080" + // version; half-hours 0, 1, 2, 47
		"c801" + "13" + "0a" + "bd01" + // 100, -10, +5, -95
		"020401" + "010203" + "010205" + // quality and rule
		"05" + "ec27" + "02" + "03" + "f02e" + // register 5100 and on; unknown; 6000
		"01" + "0e" + "28" + "02" + "02" + "01" + "09" + "27" // batches 7 (+20 s), 8 (+1 s), 3 (-20 s)
	if got := hex.EncodeToString(d.encode()); got != want {
		t.Errorf("encoded\n%s, want\n%s", got, want)
	}
	raw, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeDay(d.number, raw)
	if err != nil {
		t.Fatal(err)
	}
	if *back != *d {
		t.Errorf("decoded %+v", back)
	}
}

// drawDay draws any day that can be stored.
func drawDay(t *rapid.T) *day {
	d := &day{number: rapid.Int64Range(0, 80000).Draw(t, "number")}
	for i := range perDay {
		if !rapid.Bool().Draw(t, "present") {
			continue
		}
		d.put(i, slot{
			energy:     rapid.OneOf(rapid.Int64Range(0, 500), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "energy"),
			cumulative: rapid.OneOf(rapid.Just(int64(-1)), rapid.Int64Range(0, 2000), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "cumulative"),
			quality:    energy.Quality(rapid.IntRange(1, 4).Draw(t, "quality")), rule: energy.Rule(rapid.Byte().Draw(t, "rule")),
			flags: energy.Flags(rapid.OneOf(rapid.Just(uint32(0)), rapid.Just(uint32(16)), rapid.Uint32()).Draw(t, "flags")),
			batch: rapid.OneOf(rapid.Uint64Range(1, 4), rapid.Uint64Range(1, math.MaxInt64)).Draw(t, "batch"),
			taken: d.end(i) + rapid.Int64Range(1, 1e9).Draw(t, "late"),
		})
	}
	return d
}

func TestDayRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDay(t)
		data := d.encode()
		if d.have == 0 {
			if data != nil {
				t.Fatalf("an empty day takes %d bytes", len(data))
			}
			return
		}
		back, err := decodeDay(d.number, data)
		if err != nil {
			t.Fatal(err)
		}
		if *back != *d {
			t.Fatalf("stored %+v, read %+v", d, back)
		}
	})
}

func TestDayRefuses(t *testing.T) {
	d := &day{number: 1}
	for i := range 5 {
		d.put(i, slot{energy: 1, cumulative: 5, quality: energy.Measured, batch: 1, taken: d.end(i) + 1})
	}
	good := d.encode()
	for n := range good { // cut anywhere
		if _, err := decodeDay(1, good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a day", n, len(good))
		}
	}
	if _, err := decodeDay(1, append(bytes.Clone(good), 0)); err == nil {
		t.Error("a spare byte was passed over")
	}
	bad := bytes.Clone(good)
	bad[0] = 9
	if _, err := decodeDay(1, bad); err == nil {
		t.Error("version 9 was read")
	}
}

// The measure: at most 6 bytes for a half-hour, however it came.
func TestDaySize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	shop := func(i int) int64 { // Wh in a half-hour, with noise
		if i > 16 && i < 40 {
			return 3000 + random.Int64N(2500)
		}
		return 250 + random.Int64N(100)
	}
	for name, late := range map[string]func(d *day, i int) (uint64, int64){
		"one batch":  func(d *day, i int) (uint64, int64) { return 900, d.end(47) + 30 },
		"48 batches": func(d *day, i int) (uint64, int64) { return 40000 + uint64(i), d.end(i) + 5 + random.Int64N(60) },
	} {
		d := &day{number: 20514}
		register := int64(123_456_789)
		for i := range perDay {
			e := shop(i)
			register += e
			b, taken := late(d, i)
			q, rule := energy.Measured, energy.RuleBracketed
			if i%11 == 0 {
				q, rule = energy.Interpolated, energy.RuleInterpolate
			}
			d.put(i, slot{energy: e, cumulative: register, quality: q, rule: rule, batch: b, taken: taken})
		}
		per := float64(len(d.encode())) / perDay
		t.Logf("%s: %.2f bytes per half-hour", name, per)
		if per > 6 {
			t.Errorf("%s: %.2f bytes per half-hour, at most 6", name, per)
		}
	}
}

func TestPut(t *testing.T) {
	d := &day{number: 1}
	old := slot{energy: 5, cumulative: 10, quality: energy.Estimated, rule: energy.RuleSpread, batch: 1, taken: d.end(3) + 1}
	if !d.put(3, old) {
		t.Error("a new half-hour changed nothing")
	}
	again := old
	again.batch, again.taken = 2, old.taken+60
	if d.put(3, again) || d.slots[3] != old {
		t.Error("the same value again changed the half-hour")
	}
	flagged := again
	flagged.flags = 1 << 4
	if !d.put(3, flagged) || d.slots[3].flags != 1<<4 || d.slots[3].batch != 1 || d.slots[3].taken != old.taken {
		t.Error("flags of the same value: they are taken over, the value keeps its batch")
	}
	if d.put(3, flagged) {
		t.Error("the same flags again changed the half-hour")
	}
	for name, change := range map[string]func(*slot){
		"energy": func(s *slot) { s.energy++ }, "quality": func(s *slot) { s.quality = energy.Substituted }, "rule": func(s *slot) { s.rule = energy.RuleProfileScaled },
	} {
		one := &day{number: 1}
		other := again
		change(&other)
		if one.put(3, old); !one.put(3, other) || one.slots[3] != other {
			t.Errorf("another %s by itself did not make another value", name)
		}
	}
	if d.drop(4) {
		t.Error("dropping nothing changed the day")
	}
	if !d.drop(3) || d.have != 0 || d.slots[3] != (slot{}) {
		t.Error("a half-hour was not dropped")
	}
	better := again
	better.quality = energy.Measured
	if !d.put(3, better) || d.slots[3] != better {
		t.Error("the newer batch did not win")
	}
}

// A day with flags is version 2: what follows version 1's columns is counted
// runs of them, which must cover every half-hour and have a flag somewhere.
func TestDayFlags(t *testing.T) {
	d := &day{number: 20514}
	for i := range 3 {
		d.put(i, slot{energy: 100, cumulative: -1, quality: energy.Measured, rule: energy.RuleBracketed, batch: 1, taken: d.end(i) + 20})
	}
	bare := d.encode()
	d.slots[1].flags, d.slots[2].flags = energy.Flags(0).With(5), energy.Flags(0).With(5)
	flagged := d.encode()
	want := append(bytes.Clone(bare), 1, 0, 2, 1<<4)
	want[0] = dayFlagged
	if bare[0] != dayVersion || !bytes.Equal(flagged, want) {
		t.Fatalf("%x, want %x", flagged, want)
	}
	for name, c := range map[string]struct {
		tail []byte
		ok   bool
	}{
		"one run":         {[]byte{3, 1}, true},
		"three runs":      {[]byte{1, 1, 1, 2, 1, 0}, true},
		"the highest bit": {[]byte{3, 0xff, 0xff, 0xff, 0xff, 0x0f}, true},
		"beyond 32 bits":  {[]byte{3, 0x80, 0x80, 0x80, 0x80, 0x10}, false},
		"none":            {nil, false},
		"no flag":         {[]byte{3, 0}, false},
		"too few":         {[]byte{2, 1}, false},
		"too many":        {[]byte{4, 1}, false},
		"too many later":  {[]byte{2, 1, 2, 1}, false},
		"an empty run":    {[]byte{0, 1, 3, 1}, false},
		"a spare byte":    {[]byte{3, 1, 0}, false},
	} {
		b := append(bytes.Clone(bare), c.tail...)
		b[0] = dayFlagged
		if _, err := decodeDay(20514, b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeDay(f *testing.F) {
	d := &day{number: 20514}
	f.Add([]byte{})
	for i := range perDay {
		d.put(i, slot{energy: int64(i * i), cumulative: int64(i%3) - 1, quality: energy.Quality(1 + i%4), rule: 1, batch: uint64(1 + i/7), taken: d.end(i) + int64(i)})
		if i%9 == 0 {
			f.Add(d.encode())
		}
	}
	f.Add(d.encode())
	d.slots[3].flags, d.slots[40].flags = 1, 1<<31
	f.Add(d.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decodeDay(20514, data)
		if err != nil {
			return
		}
		for _, i := range d.present() {
			if s := d.slots[i]; s.energy < 0 || s.cumulative < -1 || s.quality == energy.Missing || !s.quality.Valid() || s.batch == 0 {
				t.Fatalf("half-hour %d: %+v", i, s)
			}
		}
		again, err := decodeDay(20514, d.encode())
		if err != nil {
			t.Fatal(err)
		}
		if *again != *d {
			t.Fatalf("read %+v, stored again %+v", d, again)
		}
	})
}
