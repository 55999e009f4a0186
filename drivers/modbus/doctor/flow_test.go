package doctor

import (
	"strings"
	"testing"
	"time"
)

func TestFlow(t *testing.T) {
	for _, c := range []struct {
		imports, exports bool
		way              Way
		template         bool
		sure             bool
		want             string
	}{
		{false, false, Unknown, true, false, ""},
		{true, false, Unknown, true, false, ""},
		{true, false, In, false, false, ""},
		{true, true, Unknown, true, false, "one phase runs the other way"},
		{true, true, In, true, false, "one phase runs the other way"},
		{false, true, In, true, true, "import and export are swapped"},
		{true, false, Out, true, true, "import and export are swapped"},
		{false, true, Out, false, false, "the current transformers are turned round"},
		{false, true, Unknown, true, false, "Unless something generates here just now, the current transformers are turned round"},
		{false, true, Unknown, false, false, "Unless something generates here just now, import and export are swapped, or the current"},
		{false, false, In, true, false, ""},
		{false, false, Out, true, false, "says that energy flows out. Unless"},
	} {
		if got, sure := Flow(c.imports, c.exports, c.way, c.template); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || sure != c.sure {
			t.Errorf("%+v: %q, %v", c, got, sure)
		}
	}
}

func TestTurned(t *testing.T) {
	for _, c := range []struct {
		phases []int64
		want   string
	}{
		{nil, ""}, {[]int64{1000, 2000, 3000}, ""}, {[]int64{-1000, -2000, -3000}, ""},
		{[]int64{1000, -49, 3000}, ""}, {[]int64{49, -1000, 0}, ""},
		{[]int64{1000, -50, 3000}, "phase 2 (-0.050 kW) runs out while phase 1 (1.000 kW) and phase 3 (3.000 kW) runs in"},
		{[]int64{50, -1000, -20}, "phase 2 (-1.000 kW) runs out while phase 1 (0.050 kW) runs in"},
	} {
		if got := Turned(c.phases); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: %q", c.phases, got)
		}
	}
}

func TestWayOf(t *testing.T) {
	for _, c := range []struct {
		before, after int64
		want          Way
	}{{5, 5, In}, {4, 5, Unknown}, {5, 4, Unknown}, {-5, -5, Out}, {-4, -5, Unknown}, {-5, -4, Unknown}, {5, -5, Unknown}, {0, 0, Unknown}} {
		if got := WayOf(c.before, c.after); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestPhases(t *testing.T) {
	for _, c := range []struct {
		name   string
		total  int64
		phases []int64
		want   string
	}{
		{"agree", 6000, []int64{1000, 2000, 3000}, ""},
		{"of another instant", 6200, []int64{1000, 2000, 3000}, ""},
		{"small and noisy", 25, []int64{2, 3, 0}, ""},
		{"nothing flows", 0, []int64{0, 0, 0}, ""},
		{"no phases", 6000, nil, ""},
		{"one generates", -1000, []int64{1000, 1000, -3000}, ""},
		{"at the bound", 6000 + 180 + 20, []int64{1000, 2000, 3000}, ""},
		{"past the bound", 6000 + 180 + 21, []int64{1000, 2000, 3000}, "read wrongly"},
		{"total without sign", 6000, []int64{1000, -2000, 3000}, "that of phase 2 has the wrong sign"},
		{"total in other units", 6, []int64{1000, 2000, 3000}, "another unit (1000 times)"},
		{"phases in other units", 6000, []int64{1, 2, 3}, "another unit (1000 times)"},
		{"ten times", 60_000, []int64{1000, 2000, 3000}, "another unit (10 times)"},
		{"a phase of 50 W", -50, []int64{50, 0, 0}, "read wrongly"},
		{"a phase of 51 W", -51, []int64{51, 0, 0}, "that of phase 1 has the wrong sign"},
		{"a total without phases", 21, []int64{0, 0, 0}, "read wrongly"},
		{"phases without a total", 0, []int64{1000, 2000, 3000}, "read wrongly"},
		{"one phase only", 1000, []int64{1000, 2000, 3000}, "read wrongly"},
	} {
		if got := Phases(c.total, c.phases); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAdvance(t *testing.T) {
	for _, c := range []struct {
		name          string
		counted, step int64
		before, after int64
		apart         time.Duration
		done          bool
		want          string
	}{
		{"agrees", 100, 1, 6000, 6000, time.Minute, true, ""},
		{"agrees, export", 100, 1, -6000, -6000, time.Minute, true, ""},
		{"agrees within a fifth", 119, 1, 6000, 6000, time.Minute, true, ""},
		{"too coarse", 0, 10, 6000, 6000, 5 * time.Second, false, "probe with --apart 1m0s"},
		{"enough is enough", 10, 1, 6000, 6000, 6 * time.Second, true, ""},
		{"nothing flows", 0, 1, 0, 0, time.Minute, false, "nothing flows"},
		{"turned", 100, 1, -6000, 6000, time.Minute, false, "changed its direction"},
		{"changed", 100, 1, 3000, 6101, time.Minute, false, "changed too much"},
		{"hardly changed", 76, 1, 3000, 6100, time.Minute, true, ""},
		{"stands", 1, 1, 6000, 6000, time.Minute, true, "does not count what flows"},
		{"kWh taken for Wh", 100_000, 1, 6000, 6000, time.Minute, true, "1000 times too much"},
		{"ten times too little", 10, 1, 6000, 6000, time.Minute, true, "10 times too little"},
		{"transformers", 4000, 1, 6000, 6000, time.Minute, true, "40.00 times that: are the transformers' ratios"},
		{"from nothing", 25, 1, 0, 50, time.Hour, true, ""},
		{"to nothing, export", 25, 1, -50, 0, time.Hour, true, ""},
		{"a watt", 0, 1, 1, 1, time.Minute, false, "probe with --apart 10h0m0s"},
		{"less than a watt", 0, 1, 0, 1, time.Minute, false, "nothing flows"},
		{"a fifth too little", 79, 1, 100, 100, time.Hour, true, "0.79 times"},
		{"less than a fifth too little", 80, 1, 100, 100, time.Hour, true, ""},
		{"too much by a fifth", 130, 4, 100, 100, time.Hour, true, "1.30 times"},
		{"too much by less", 129, 4, 100, 100, time.Hour, true, ""},
		{"a Wh", 4000, 1, 1, 1, time.Hour, true, "4000.00 times"},
		{"eight times", 800, 1, 100, 100, time.Hour, true, "8.00 times"},
		{"more than eight times", 801, 1, 100, 100, time.Hour, true, "10 times too much"},
		{"twelve and a half times", 1250, 1, 100, 100, time.Hour, true, "12.50 times"},
		{"less than that", 1249, 1, 100, 100, time.Hour, true, "10 times too much"},
		{"a twelfth", 80, 1, 1000, 1000, time.Hour, true, "0.08 times"},
		{"more than a twelfth", 81, 1, 1000, 1000, time.Hour, true, "10 times too little"},
		{"an eighth", 125, 1, 1000, 1000, time.Hour, true, "0.12 times"},
		{"less than an eighth", 124, 1, 1000, 1000, time.Hour, true, "10 times too little"},
		{"counted where nothing flows", 4000, 1, 0, 0, time.Minute, true, "about 0 Wh: is it another"},
	} {
		got := Advance(c.counted, c.step, c.before, c.after, c.apart)
		if got.Done != c.done || (c.want == "") != (got.Says == "") || !strings.Contains(got.Says, c.want) {
			t.Errorf("%s: %+v, want %v, %q", c.name, got, c.done, c.want)
		}
	}
}
