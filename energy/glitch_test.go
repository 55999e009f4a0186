package energy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// With a ceiling, no half-hour holds more than the meter can have delivered in
// it and the time around it that the ceiling allows for.
func TestNothingMonstrous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Register{Measure: Import, MaxPower: 10_000}
		a := NewAccumulator(r, Period)
		now := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC)
		good := int64(5_000_000)
		var hs []HalfHour
		for range rapid.IntRange(1, 200).Draw(t, "samples") {
			now, good = now.Add(5*time.Minute), good+rapid.Int64Range(0, 800).Draw(t, "advance")
			v := good
			if rapid.IntRange(0, 4).Draw(t, "fault") == 0 {
				v = rapid.SampledFrom([]int64{0, 1, good / 2, good + 3000, good + 4900, good + 50_000, 1 << 40, 1<<63 - 1}).Draw(t, "value")
			}
			hs, _ = a.Add(Sample{now, v}, hs)
		}
		for _, h := range newest(hs) {
			if h.Energy > 10_000 {
				t.Fatalf("%d Wh in a half-hour at 10 kW: %+v", h.Energy, h)
			}
		}
	})
}

// A glitch is never used, however small: no half-hour was made of one, and at
// each boundary the register lies between what the meter showed around it.
// Glitches come alone or twice the same, at any time. (One that the register
// can have shown between the samples around it cannot be told.)
func TestGlitchesAreNotUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Register{Measure: Import, MaxPower: rapid.SampledFrom([]int64{10_000, 10_000_000}).Draw(t, "ceiling")}
		a := NewAccumulator(r, Period)
		now := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC)
		total := int64(5_000_000)
		var hs []HalfHour
		good := map[Sample]bool{}
		since, seen := now, now // when the last glitch was over; when it was well last
		glitches, calm, wrong, last := 0, 0, int64(0), int64(0)
		for range rapid.IntRange(1, 150).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.Int64Range(10, 300).Draw(t, "gap")) * time.Second)
			total += rapid.Int64Range(0, 20).Draw(t, "advance")
			v := total
			// What turns up too often is a meter that cannot be read: a glitch
			// is judged by the good samples of the four minutes after it, seven at least.
			if calm > 7 && seen.Sub(since) > 4*time.Minute && glitches < 2 && rapid.IntRange(0, 5).Draw(t, "fault") == 0 {
				if glitches++; glitches == 1 {
					wrong = rapid.SampledFrom([]int64{0, 1, last - 1, last - 30, total / 2, total + 500, total + 501, total + 3000, 2 * total, 1 << 40}).Draw(t, "value")
				}
				v = wrong
			} else {
				good[Sample{now, v}], last, seen = true, v, now
				if calm++; glitches > 0 {
					glitches, calm, since = 0, 0, now
				}
			}
			hs, _ = a.Add(Sample{now, v}, hs)
		}
		for range 12 { // what is in doubt is judged
			now = now.Add(5 * time.Minute)
			good[Sample{now, total}] = true
			hs, _ = a.Add(Sample{now, total}, hs)
		}
		for _, h := range newest(hs) {
			e := h.Evidence
			if h.Quality != Missing && (!good[e.First] || !good[e.Last] || h.Cumulative > e.Last.Value || h.Cumulative < e.First.Value) {
				t.Fatalf("%+v was made of a glitch", h)
			}
		}
	})
}
