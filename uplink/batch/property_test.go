package batch

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

func genValue() *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		v := Value{
			Quality: energy.Quality(rapid.IntRange(0, 4).Draw(t, "quality")),
			Rule:    energy.Rule(rapid.Byte().Draw(t, "rule")),
			Flags:   energy.Flags(rapid.OneOf(rapid.Just(uint32(0)), rapid.Uint32()).Draw(t, "flags")),
		}
		if v.Quality != energy.Missing {
			v.Energy = rapid.OneOf(rapid.Int64Range(0, 3000), rapid.Just(int64(0)), rapid.Int64Range(0, MaxEnergy)).Draw(t, "energy")
		}
		return v
	})
}

func genBatch() *rapid.Generator[Batch] {
	name := rapid.StringMatching(`[a-zA-Zé0-9._-]{1,20}`)
	at := rapid.Int64Range(0, maxUnix-1<<30)
	return rapid.Custom(func(t *rapid.T) Batch {
		b := Batch{
			Gateway:  "https://directory.example/g/" + name.Draw(t, "gateway"),
			Serial:   append([]byte{byte(rapid.IntRange(1, 255).Draw(t, "serial"))}, rapid.SliceOfN(rapid.Byte(), 0, 19).Draw(t, "serial")...),
			Sequence: rapid.Uint64Min(1).Draw(t, "sequence"),
			Made:     time.Unix(at.Draw(t, "made"), 0).UTC(),
			Grants:   rapid.SliceOfN(name, 0, 4).Draw(t, "grants"),
		}
		if b.Sequence > 1 {
			copy(b.Previous[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "previous"))
		}
		if len(b.Grants) == 0 {
			b.Grants = nil
		}
		next := map[energy.Key]int64{} // first index that is free
		for range rapid.IntRange(0, 6).Draw(t, "series") {
			s := Series{Meter: name.Draw(t, "meter"), Measure: rapid.SampledFrom(carried()).Draw(t, "measure")}
			k := energy.Key{Meter: s.Meter, Measure: s.Measure}
			s.Values = rapid.SliceOfN(genValue(), 1, 120).Draw(t, "values")
			i := next[k] + rapid.Int64Range(0, 1<<20).Draw(t, "first")
			s.First = time.Unix(i*periodSeconds, 0).UTC()
			next[k] = i + int64(len(s.Values))
			s.Opening = rapid.OneOf(rapid.Just(int64(-1)), rapid.Int64Range(0, 1<<61)).Draw(t, "opening")
			s.Closing = rapid.OneOf(rapid.Just(int64(-1)), rapid.Just(s.Opening+sum(s.Values)), rapid.Int64Range(0, 1<<61)).Draw(t, "closing")
			b.Series = append(b.Series, s)
		}
		for range rapid.IntRange(0, 3).Draw(t, "statements") {
			b.Baseline = append(b.Baseline, Statement{
				Meter: name.Draw(t, "meter"), Measure: rapid.SampledFrom(carried()).Draw(t, "measure"),
				At:   time.Unix(at.Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
				Body: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "body"),
			})
		}
		if len(b.Series)+len(b.Baseline) == 0 {
			b.Series = []Series{{Meter: "m", Measure: energy.Gas, First: day, Values: []Value{{}}, Opening: -1, Closing: -1}}
		}
		return ordered(b)
	})
}

// What is decoded is what was encoded, and there is one way to write it.
func TestRoundTrip(t *testing.T) {
	key := newTestKey(t)
	rapid.Check(t, func(t *rapid.T) {
		b := genBatch().Draw(t, "batch")
		raw, err := Encode(b, key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(&key.PublicKey); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Batch, b) {
			t.Fatalf("got  %+v\nwant %+v", s.Batch, b)
		}
		again, err := Encode(s.Batch, key)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("encoding again gives other bytes: %v", err)
		}
	})
}

// FuzzDecode: whatever comes in, Decode does not panic, and what it takes it
// would write the same way.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(mustEncode(f, shopBatch(1)))
	b := shopBatch(2)
	b.Sequence, b.Previous = 1, Hash{}
	b.Series[0].Values[7] = Value{}
	b.Series[0].Values[8].Flags, b.Series[0].Values[9].Flags = 1, 1<<32-1
	b.Series = append(b.Series, Series{Meter: "gas", Measure: energy.Gas, First: day, Opening: 5, Closing: 3, Values: make([]Value, 48)})
	for range 30 {
		b.Baseline = append(b.Baseline, Statement{Meter: "gas", Measure: energy.Gas, At: day, Body: []byte(`{"kind":"rollover"}`)})
	}
	f.Add(mustEncode(f, b))
	f.Add(frame(packPlain, appendBody(nil, ordered(shopBatch(3)))))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Decode(raw)
		if err != nil {
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("decoded, but %v", err)
		}
		body := appendBody(nil, s.Batch)
		if raw[len(magic)] == packPlain && !bytes.Equal(body, raw[headerSize:len(raw)-signatureSize]) {
			t.Fatal("decoded, but written differently")
		}
	})
}

// carried are the measures that a batch takes.
func carried() []energy.Measure {
	return slices.DeleteFunc(energy.Measures(), func(m energy.Measure) bool { return !m.Carried() })
}
