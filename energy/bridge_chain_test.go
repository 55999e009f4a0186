package energy

import (
	"strings"
	"testing"
	"time"
)

// chain is the window of afterReset with the breaks in it: the meter of 00:20
// was exchanged twice before the one of 01:10 was read.
func chain(t *testing.T) (window []HalfHour, b Break) {
	t.Helper()
	return afterReset(t), Break{Sample{at(t, "00:20:00"), 999_300}, Sample{at(t, "01:10:00"), 110}, []MeterExchange{
		{at(t, "00:30:00"), 999_400, 70}, {at(t, "00:50:00"), 370, 10}, // 600 and 900 Wh an hour
	}}
}

func TestBridgeChain(t *testing.T) {
	plain := Register{Measure: Import}
	window, b := chain(t)
	got, err := Bridge(plain, Period, window, []Break{b})
	if err != nil {
		t.Fatal(err)
	}
	checkSettled(t, "two exchanges", got, []hh{
		{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 350, 60, Interpolated, 0}, {"01:00:00", 250, 310, Interpolated, 0},
	})
	for _, h := range got {
		if e := h.Evidence; e.First != b.Last || e.Last != b.First || e.Rule != RuleExchange {
			t.Errorf("evidence %+v", e)
		}
	}
	// What was bridged is bridged again, with what is stated since.
	copy(window[1:], got)
	window[2].Cumulative = 0 // it may well stand at 0
	b.Exchanges[1].Closing += 40
	got, err = Bridge(plain, Period, window, []Break{b})
	if err != nil {
		t.Fatal(err)
	}
	checkSettled(t, "again", got, []hh{
		{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 390, 60, Interpolated, 0}, {"01:00:00", 250, 310, Interpolated, 0},
	})
	// The second meter was read in between: two breaks. And a third exchange was
	// counted at once, of which the register at 01:30 is.
	two := []Break{
		{b.Last, Sample{at(t, "00:40:00"), 200}, b.Exchanges[:1]},
		{Sample{at(t, "00:45:00"), 300}, b.First, []MeterExchange{{at(t, "00:50:00"), 410, 10}}},
		{Sample{at(t, "01:20:00"), 150}, Sample{at(t, "01:20:00"), 290}, []MeterExchange{{at(t, "01:20:00"), 150, 290}}},
	}
	if got, err = Bridge(plain, Period, window, two); err != nil {
		t.Fatal(err)
	}
	checkSettled(t, "two breaks", got, []hh{
		{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 390, 60, Interpolated, 0}, {"01:00:00", 110, 310, Interpolated, 0},
	})
	if e := got[1].Evidence; e.First != b.Last || e.Last != two[2].First {
		t.Errorf("evidence %+v", e)
	}
	rated := Register{Measure: Import, Modulus: 2_000_000, MaxPower: 1_500_000}
	for _, c := range []struct {
		name   string
		reg    Register
		breaks []Break
		want   string
	}{
		{"one is not stated", plain, []Break{two[0], {two[1].Last, two[1].First, nil}}, "began anew at 2024-02-05T01:10:00Z, and no exchange"},
		{"nothing is", plain, nil, "no run of missing"},
		{"the second before the first", plain, []Break{{b.Last, b.First, []MeterExchange{b.Exchanges[1], b.Exchanges[0]}}}, "check the closing"},
		{"no time between them to count in", plain, []Break{{b.Last, b.First, []MeterExchange{{at(t, "00:50:00"), 999_400, 70}, {at(t, "00:50:00"), 71, 10}}}}, "from 70 "},
		{"a reading of the first is not of the second", plain, []Break{{b.Last, b.First, []MeterExchange{{at(t, "00:30:00"), 999_400, 411}, b.Exchanges[1]}}}, "from 411 "},
		{"unread for so long that it can have gone round", rated, []Break{{b.Last, b.First, []MeterExchange{{at(t, "01:00:00.001"), 999_400, 10}}}}, "more than once"},
	} {
		window, _ := chain(t)
		if got, err := Bridge(c.reg, Period, window, c.breaks); err == nil || len(got) > 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	// In no time nothing is counted, and that can be: the fitter had hung up a broken one first.
	window, _ = chain(t)
	at50 := at(t, "00:50:00")
	if _, err := Bridge(rated, Period, window, []Break{{b.Last, b.First, []MeterExchange{{at50, 999_400, 70}, {at50, 70, 10}}}}); err != nil {
		t.Error(err)
	}
	if _, err := Bridge(rated, Period, window, []Break{{b.Last, b.First, []MeterExchange{{at(t, "01:00:00"), 999_400, 10}}}}); err != nil {
		t.Errorf("just not so long: %v", err)
	}
}

// Actual values of a file stand, and what they leave of both meters' energy is
// that of the others.
func TestBridgeBesideAFile(t *testing.T) {
	reg := Register{Measure: Import, MaxPower: 2000}
	given := func(window []HalfHour, i int, e int64, q Quality) {
		h := &window[i]
		h.Energy, h.Quality, h.Evidence = e, q, Evidence{Rule: RuleImported}
	}
	for _, c := range []struct {
		name string
		file map[int]int64
		q    Quality
		want []hh
		err  string
	}{
		{"of the middle", map[int]int64{2: 400}, Measured, []hh{{"00:00:00", 272, -1, Estimated, 2}, {"01:00:00", 228, 310, Estimated, 0}}, ""},     // the closing reading of 00:30 was 999,400
		{"of nothing at first", map[int]int64{1: 0}, Measured, []hh{{"00:30:00", 524, -1, Estimated, 0}, {"01:00:00", 376, 310, Estimated, 0}}, ""}, // as though the second meter hung there still
		{"of nothing at last", map[int]int64{3: 0}, Measured, []hh{{"00:00:00", 415, -1, Estimated, 2}, {"00:30:00", 485, -1, Estimated, 0}}, ""},
		{"of the first", map[int]int64{1: 200}, Measured, []hh{{"00:30:00", 408, 18, Estimated, 0}, {"01:00:00", 292, 310, Estimated, 0}}, ""},
		{"up to the closing reading", map[int]int64{3: 250}, Measured, []hh{{"00:00:00", 300, 999_400, Estimated, 2}, {"00:30:00", 350, 60, Estimated, 0}}, ""},
		{"of all but one", map[int]int64{1: 300, 2: 600}, Interpolated, []hh{{"01:00:00", 0, 310, Estimated, 0}}, ""},
		{"of more than there was", map[int]int64{1: 301, 2: 600}, Measured, nil, "leave -1 of it"},
		{"so little that the rest cannot be", map[int]int64{1: 0, 2: 0}, Measured, nil, ""},
		{"of all", map[int]int64{1: 9000, 2: 9000, 3: 9000}, Measured, nil, ""},
		{"estimates give way", map[int]int64{1: 9000, 2: 9000, 3: 9000}, Estimated, []hh{
			{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 350, 60, Interpolated, 0}, {"01:00:00", 250, 310, Interpolated, 0},
		}, ""},
	} {
		window, b := chain(t)
		for i, e := range c.file {
			n := window[i].Evidence.Samples
			given(window, i, e, c.q)
			window[i].Evidence.Samples = n
		}
		if c.name == "so little that the rest cannot be" {
			c.want = []hh{{"01:00:00", 900, 310, Estimated, 0}}
		}
		got, err := Bridge(reg, Period, window, []Break{b})
		if c.err != "" {
			if err == nil || len(got) > 0 || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkSettled(t, c.name, got, c.want)
	}
	// 850 Wh in one half-hour and its half-hour of grace: as much as 850 W deliver.
	for power, ok := range map[int64]bool{850: true, 849: false} {
		reg.MaxPower = power
		window, b := chain(t)
		b.Exchanges = []MeterExchange{{at(t, "00:45:00"), 999_650, 10}}
		given(window, 1, 0, Measured)
		given(window, 2, 0, Measured)
		got, err := Bridge(reg, Period, window, []Break{b})
		if ok != (err == nil) {
			t.Errorf("%d W: %+v, %v", power, got, err)
		}
	}
}

func TestPlace(t *testing.T) {
	b := Break{Last: Sample{At: at(t, "00:20:00")}, First: Sample{At: at(t, "01:10:00")}}
	for _, c := range [][2]string{
		{"00:49:00", "00:49:00"}, {"00:20:00.001", "00:20:00.001"}, {"01:09:59.999", "01:09:59.999"},
		{"00:20:00", "00:20:00.001"}, {"01:10:00", "01:09:59.999"}, {"4 23:50:00.001", "00:20:00.001"}, {"01:39:59.999", "01:09:59.999"},
		{"4 23:50:00", ""}, {"01:40:00", ""},
	} {
		when, ok := b.Place(at(t, c[0]), Period)
		if ok != (c[1] != "") || ok && !when.Equal(at(t, c[1])) {
			t.Errorf("%s: %v %v", c[0], when, ok)
		}
	}
	b.First.At = b.Last.At // it was counted when it took place
	for when, want := range map[string]bool{"00:20:00": true, "00:20:00.001": false} {
		if got, ok := b.Place(at(t, when), Period); ok != want || ok && !got.Equal(b.Last.At) {
			t.Errorf("%s: %v %v", when, got, ok)
		}
	}
	b.First.At = b.Last.At.Add(time.Duration(clockStep)) // no instant lies between them
	if _, ok := b.Place(b.Last.At, Period); ok {
		t.Error("in no time")
	}
}
