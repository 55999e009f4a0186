package agent

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLatency(t *testing.T) {
	var l latency
	if l.status() != nil {
		t.Error("a latency before the first answer")
	}
	l.add(3 * time.Millisecond)
	if got := *l.status(); got != (Latency{Last: 3, Mean: 3, P95: 3, Slowest: 3, Median: 3, Answers: 1, Counted: 1, Sum: 3 * time.Millisecond}) {
		t.Errorf("one answer: %+v", got)
	}
	for i := range 99 { // 100 in all: 3 ms, then 1 to 99 ms; the last 60 are 40 to 99
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	if got := *l.status(); got != (Latency{Last: 99, Mean: 69.5, P95: 96, Slowest: 99, Median: 69, Answers: 60, Counted: 100, Sum: 4953 * time.Millisecond}) {
		t.Errorf("100 answers: %+v", got)
	}
	l.add(-time.Second) // a clock that was set
	l.add(3 * time.Hour)
	if got := l.status(); got.Last != 4294967.295 || got.Slowest != got.Last {
		t.Errorf("times that cannot be: %+v", got)
	}
}

// Whatever comes in whatever order: the ranks are those of the last answers,
// sorted.
func TestLatencyRanks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Uint32Range(0, 10_000_000), 1, 200).Draw(t, "microseconds")
		var l latency
		for _, us := range all {
			l.add(time.Duration(us) * time.Microsecond)
		}
		window := slices.Clone(all[max(0, len(all)-latencyWindow):])
		slices.Sort(window)
		got := l.status()
		slower := 0
		for _, us := range window {
			if float64(us)/1000 > got.P95 {
				slower++
			}
		}
		if slower*20 > len(window) || got.Slowest != float64(window[len(window)-1])/1000 || got.Last != float64(all[len(all)-1])/1000 ||
			got.Mean < float64(window[0])/1000 || got.Mean > got.Slowest || got.P95 > got.Slowest || got.Median > got.P95 {
			t.Fatalf("%+v of %v: %d slower", got, window, slower)
		}
	})
}

func BenchmarkLatencyAdd(b *testing.B) {
	var l latency
	b.ReportAllocs()
	for b.Loop() {
		l.add(time.Duration(rand.Uint32()))
	}
}
