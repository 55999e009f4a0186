package energy

import (
	"strings"
	"testing"
	"time"
)

func TestBridgeRefuses(t *testing.T) {
	rated := Register{Measure: Import, Modulus: 1_000_000, MaxPower: 2000}
	for _, c := range []struct {
		name, at string
		x        [2]int64
		change   func(hs []HalfHour) []HalfHour
		want     string
	}{
		{"before the last reading", "4 23:50:00", [2]int64{999_300, 10}, nil, "must lie between"},
		{"after the first reading", "01:40:00", [2]int64{999_300, 110}, nil, "must lie between"},
		{"closing too low", "00:50:00", [2]int64{999_299, 10}, nil, "from 999300 "},
		{"closing too high for the time", "00:50:00", [2]int64{1301, 10}, nil, "from 999300 "},
		{"opening too high", "00:50:00", [2]int64{999_300, 111}, nil, "from 111 "},
		{"no time to count in", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[1].Evidence.First = Sample{hs[1].Start, 999_101}
			return hs
		}, "from 999100 "},
		{"no time", "", [2]int64{999_301, 109}, nil, "must lie between"},
		{"no closing reading", "00:50:00", [2]int64{-1, 109}, nil, "impossible"},
		{"no opening reading", "00:50:00", [2]int64{1, 1_000_000}, nil, "impossible"},
		{"no time between the two", "01:00:00.001", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			for i := 1; i <= 3; i++ {
				hs[i].Evidence.First.At, hs[i].Evidence.Last.At = hs[3].Start, hs[3].Start.Add(2*time.Millisecond-1)
			}
			hs[2] = hs[0]
			hs[2].Start, hs[2].Cumulative = hs[3].Start.Add(-Period), 999_300
			return hs[2:]
		}, "must lie between"},
		{"a wrap in no time", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[0].Cumulative = 999_950
			hs[1].Evidence.First = Sample{hs[1].Start, 5}
			return hs
		}, "from 999950 "},
		{"faster than the new meter can be", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[3].Evidence.Last.Value, hs[4].Cumulative = 1677, 2000 // 1667 in 20 minutes and the grace, at 2 kW
			return hs
		}, "from 10 "},
		{"no missing half-hour", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { return hs[:2] }, "no run"},
		{"a hole", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { return append(hs[:2], hs[3:]...) }, "does not follow"},
		{"no known one before", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { return hs[1:] }, "is not known"},
		{"no known one after", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { return hs[:4] }, "is not known"},
		{"no register before", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { hs[0].Cumulative = -1; return hs }, "is not known"},
		{"a substitute after", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { hs[4].Quality = Substituted; return hs }, "is not known"},
		{"a known one between", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour { hs[2].Quality, hs[2].Cumulative = Estimated, 0; return hs }, "was counted"},
		{"not the break's evidence", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[1].Evidence.First.At = hs[1].Start.Add(-1)
			return hs
		}, "last reading of the old meter"},
		{"nor after it", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[1].Evidence.First.At = hs[2].Start
			return hs
		}, "last reading of the old meter"},
		{"nor of the new meter", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[3].Evidence.Last.At = hs[3].Start
			return hs
		}, "first reading of the new meter"},
		{"nor too late", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[3].Evidence.Last.At = hs[4].Start.Add(1)
			return hs
		}, "first reading of the new meter"},
		{"the register after it is below the first reading", "00:50:00", [2]int64{999_600, 10}, func(hs []HalfHour) []HalfHour {
			hs[4].Energy = 501 // it stood at 109 at 01:30
			return hs
		}, "from 110 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			window := afterReset(t)
			if c.change != nil {
				window = c.change(window)
			}
			when := time.Time{}
			if c.at != "" {
				when = at(t, c.at)
			}
			got, err := bridged(rated, window, MeterExchange{when, c.x[0], c.x[1]})
			if err == nil || len(got) != 0 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for i, change := range []func([]HalfHour){
		func(hs []HalfHour) { hs[3].Evidence.Last.Value, hs[4].Cumulative = 1676, 2000 }, // just as fast as it can be
		func(hs []HalfHour) { hs[0].Cumulative, hs[1].Evidence.First.Value = 0, 1500 },   // the first meter stood at 0
	} {
		window := afterReset(t)
		change(window)
		if _, err := bridged(rated, window, MeterExchange{at(t, "00:50:00"), window[1].Evidence.First.Value, 10}); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	// An advance of 63 bits is refused, not wrapped.
	plain := Register{Measure: Import}
	window := afterReset(t)
	window[3].Evidence.Last.Value, window[4].Cumulative = 2_000_000, 2_000_500
	const opening = 2_000_200 + 400 - 200 - 999_300 // so that all the legs come to just 63 bits
	if _, err := bridged(plain, window, MeterExchange{at(t, "00:50:00"), 1<<63 - 1, opening - 1}); err == nil || !strings.Contains(err.Error(), "more than can be") {
		t.Errorf("%v", err)
	}
	if hs, err := bridged(plain, window, MeterExchange{at(t, "00:50:00"), 1<<63 - 1, opening}); err != nil || hs[0].Energy+hs[1].Energy+hs[2].Energy != 1<<63-1 {
		t.Errorf("%+v, %v", hs, err)
	}
	// The last one is no better than the one after it.
	window = afterReset(t)
	window[4].Quality = Estimated
	if hs, err := bridged(plain, window, MeterExchange{at(t, "00:50:00"), 999_600, 10}); err != nil || hs[2].Quality != Estimated || hs[1].Quality != Interpolated {
		t.Errorf("%+v, %v", hs, err)
	}
	// Two milliseconds between the two readings are enough.
	window = afterReset(t)[2:]
	window[0].Quality, window[0].Cumulative = Measured, 999_300
	window[1].Evidence.First.At, window[1].Evidence.Last.At = window[1].Start, window[1].Start.Add(2*time.Millisecond)
	if hs, err := bridged(plain, window, MeterExchange{at(t, "01:00:00"), 999_310, 100}); err != nil || len(hs) != 1 || hs[0].Energy != 10+210 {
		t.Errorf("%+v, %v", hs, err)
	}
}
