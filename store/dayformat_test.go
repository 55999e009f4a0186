package store

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

func instants() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(earliest, latest).Draw(t, "ms")).UTC()
	})
}

func near(base time.Time) *rapid.Generator[time.Time] {
	return rapid.OneOf(instants(), rapid.Just(time.Time{}), rapid.Map(rapid.IntRange(-20_000, 2_000_000), func(ms int) time.Time {
		return time.UnixMilli(max(earliest, min(latest, base.UnixMilli()+int64(ms)))).UTC()
	}))
}

func values() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 5000), rapid.SampledFrom([]int64{0, -1, math.MinInt64, math.MaxInt64}))
}

// dayEntries draws the entries of a day: regular or not, plausible or not.
func dayEntries(t *rapid.T, day int32) (all []entry) {
	start := time.UnixMilli(int64(day) * dayMillis).UTC()
	step := rapid.SampledFrom([]time.Duration{energy.Period, time.Minute, time.Second, 7 * time.Millisecond}).Draw(t, "step")
	cumulative := values().Draw(t, "cumulative")
	var last energy.Sample
	flags := energy.Flags(0)
	for range rapid.IntRange(0, 48).Draw(t, "entries") {
		skip := rapid.SampledFrom([]int{0, 0, 0, 0, 1, 3}).Draw(t, "skip")
		start = start.Add(time.Duration(skip) * step)
		if dayOf(start.UnixMilli()) != day {
			break
		}
		e := entry{status: status(rapid.IntRange(0, 2).Draw(t, "status"))}
		e.Start, e.Energy = start, values().Draw(t, "energy")
		e.Quality = energy.Quality(rapid.IntRange(0, 4).Draw(t, "quality"))
		e.Evidence.Rule = energy.Rule(rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(0, 255)).Draw(t, "rule"))
		if rapid.IntRange(0, 3).Draw(t, "other flags") == 0 {
			flags = energy.Flags(rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32()).Draw(t, "flags"))
		}
		e.Flags = flags
		e.Evidence.Samples = rapid.OneOf(rapid.Just(180), rapid.IntRange(math.MinInt32, math.MaxInt32)).Draw(t, "samples")
		switch rapid.IntRange(0, 3).Draw(t, "kind of register") {
		case 0:
			e.Cumulative = -1
		case 1:
			e.Cumulative = values().Draw(t, "register")
		default:
			cumulative += e.Energy
			e.Cumulative = cumulative
		}
		if rapid.Bool().Draw(t, "evidence") {
			e.Evidence.First = energy.Sample{At: near(start).Draw(t, "first at"), Value: values().Draw(t, "first")}
			e.Evidence.Last = energy.Sample{At: near(start).Draw(t, "last at"), Value: values().Draw(t, "last")}
			if rapid.Bool().Draw(t, "joined") {
				e.Evidence.First = last
			}
			if rapid.IntRange(0, 3).Draw(t, "beside a hole") == 0 {
				e.Evidence.Start = energy.Sample{At: near(start).Draw(t, "start at"), Value: values().Draw(t, "start")}
			}
		}
		e.TakenAt = near(start).Draw(t, "taken at")
		if rapid.Bool().Draw(t, "taken then") {
			e.TakenAt = e.Evidence.Last.At
		}
		last = e.Evidence.Last
		all = append(all, e)
		start = start.Add(step)
	}
	return all
}

func TestDayRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := dayOf(instants().Draw(t, "day").UnixMilli())
		if int64(day)*dayMillis < earliest || int64(day+1)*dayMillis > latest {
			return
		}
		want := dayEntries(t, day)
		got, err := decodeDay(1, day, encodeDay(1, day, want))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// A byte that changed is noticed, wherever it is.
func TestDayNoticesDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := encodeDay(1, 20513, dayEntries(t, 20513))
		v[rapid.IntRange(0, len(v)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if _, err := decodeDay(1, 20513, v); err == nil {
			t.Fatal("not noticed")
		}
	})
}

func FuzzDecodeDay(f *testing.F) {
	var day []entry
	for _, h := range plain(halfHours(main_, 0, 48)) {
		day = append(day, entry{h, acked})
	}
	const d = 20513 // day0
	f.Add(int32(d), encodeDay(1, d, day))
	f.Add(int32(d), encodeDay(1, d, day[:1]))
	f.Add(int32(d), encodeDay(1, d, nil))
	flagged := slices.Clone(day)
	flagged[0].Flags, flagged[20].Flags, flagged[21].Flags, flagged[47].Flags = 1, energy.FlagsAll, energy.FlagsAll, 1<<31
	f.Add(int32(d), encodeDay(1, d, flagged))
	f.Add(int32(d), encodeDay(1, d, flagged[20:22]))
	started := slices.Clone(flagged)
	started[0].Evidence.Start, started[47].Evidence.Start = started[0].Evidence.Last, started[0].Evidence.First
	f.Add(int32(d), encodeDay(1, d, started))
	f.Add(int32(d), encodeDay(1, d, started[47:]))
	f.Add(int32(0), []byte{dayVersion, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, day int32, b []byte) {
		if len(b) > 5 { // the checksum would stop everything: put it right
			fixSum(b, slotKey(day, 1))
		}
		entries, err := decodeDay(1, day, b)
		if err != nil {
			return
		}
		if len(entries) > len(b)/leastEntry {
			t.Fatalf("%d half-hours out of %d bytes", len(entries), len(b))
		}
		packed := encodeDay(1, day, entries)
		want := byte(dayVersion)
		if slices.ContainsFunc(entries, func(e entry) bool { return e.Flags != 0 }) {
			want = dayFlagged
		}
		if slices.ContainsFunc(entries, func(e entry) bool { return e.Evidence.Start != energy.Sample{} }) {
			want = dayStarted
		}
		if packed[0] != want || b[0] != want {
			t.Fatalf("version %d, written again as %d, want %d", b[0], packed[0], want)
		}
		again, err := decodeDay(1, day, packed)
		if err != nil || len(entries) > 0 && !reflect.DeepEqual(again, entries) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, entries)
		}
	})
}

func FuzzDecodeHour(f *testing.F) {
	const h = 20513 * 24
	var samples []energy.Sample
	for i := range 360 {
		samples = append(samples, energy.Sample{At: day0.Add(time.Duration(i) * 10 * time.Second), Value: int64(i * 3)})
	}
	f.Add(int32(h), encodeHour(1, h, samples))
	f.Add(int32(h), encodeHour(1, h, samples[:1]))
	f.Fuzz(func(t *testing.T, hour int32, b []byte) {
		if len(b) > 5 {
			fixSum(b, slotKey(hour, 1))
		}
		got, err := decodeHour(1, hour, b)
		if err != nil || len(got) == 0 {
			return
		}
		again, err := decodeHour(1, hour, encodeHour(1, hour, got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, got)
		}
		_, _ = appendSamples(1, hour, b, got[len(got)-1:])
	})
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(batch{body: []byte("body"), runs: []run{{1, 5, 10, 3}, {2, -5, 1, 1}, {2, earliest, latest, 2}}}.encode(5))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 5 {
			fixSum(b, be64(5))
		}
		got, err := decodeBatch(be64(5), b)
		if err != nil {
			return
		}
		again, err := decodeBatch(be64(5), got.encode(5))
		if err != nil || again.hash != got.hash || !reflect.DeepEqual(again.runs, got.runs) || string(again.body) != string(got.body) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, got)
		}
	})
}

func FuzzDecodeStatement(f *testing.F) {
	f.Add(encodeStatement(energy.KeyedStatement{Key: main_, At: day0, Body: []byte("{}")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 5 {
			fixSum(b, nil)
		}
		if st, err := decodeStatement(b); err == nil {
			if again, err := decodeStatement(encodeStatement(st)); err != nil || !reflect.DeepEqual(again, st) {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, st)
			}
		}
	})
}

// Samples come in any order and in any portions; each instant is kept once.
func TestSamplesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const hour = 20513 * 24
		offsets := rapid.SliceOfN(rapid.IntRange(0, hourMillis-1), 1, 60).Draw(t, "offsets")
		want := map[int64]int64{}
		var packed []byte
		for len(offsets) > 0 {
			n := rapid.IntRange(1, len(offsets)).Draw(t, "portion")
			var part []energy.Sample
			for _, o := range offsets[:n] {
				part = append(part, energy.Sample{At: time.UnixMilli(hour*hourMillis + int64(o)).UTC(), Value: values().Draw(t, "value")})
			}
			sortSamples(part)
			for _, s := range part {
				if _, there := want[s.At.UnixMilli()]; !there {
					want[s.At.UnixMilli()] = s.Value
				}
			}
			var err error
			if packed, err = appendSamples(1, hour, packed, part); err != nil {
				t.Fatal(err)
			}
			offsets = offsets[n:]
		}
		got, err := decodeHour(1, hour, packed)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d samples of %d, %v", len(got), len(want), err)
		}
		for i, s := range got {
			if want[s.At.UnixMilli()] != s.Value || i > 0 && !s.At.After(got[i-1].At) {
				t.Fatalf("sample %d: %+v", i, s)
			}
		}
	})
}

func fixSum(b, key []byte) { stamp(b, b[0], key) }

func sortSamples(all []energy.Sample) {
	slices.SortStableFunc(all, func(a, b energy.Sample) int { return a.At.Compare(b.At) })
}
