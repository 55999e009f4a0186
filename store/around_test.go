package store

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestSamplesAround(t *testing.T) {
	s := fastStore(t)
	s.o.KeepSamples = 2 * time.Hour
	at := func(m int) time.Time { return day0.Add(time.Duration(m) * time.Minute) }
	for _, m := range []int{10, 50, 70, 310, 360} { // hours 0, 1, 5, 6; 2 to 4 are empty
		must(t, s.Commit(Round{Samples: []KeyedSample{{main_, energy.Sample{At: at(m), Value: int64(m)}}}}))
	}
	for _, c := range []struct {
		at            time.Time
		before, after int64
	}{
		{at(0), 0, 10},
		{at(10).Add(-1), 0, 10},
		{at(10), 10, 50}, // at the instant itself: before
		{at(10).Add(1), 10, 50},
		{at(55), 50, 70},
		{at(70), 70, 310},
		{at(60 + 200), 70, 310}, // 70 lies in the oldest hour that counts
		{at(300), 0, 310},       // and here no longer
		{at(309), 0, 310},
		{at(310), 310, 360},
		{at(360).Add(-time.Millisecond), 310, 360},
		{at(360), 360, 0},
		{at(400), 360, 0},
	} {
		before, after, err := s.SamplesAround(main_, c.at)
		must(t, err)
		same(t, c.at.String(), []int64{before.Value, after.Value}, []int64{c.before, c.after})
		if c.before != 0 && !before.At.Equal(at(int(c.before))) || c.after != 0 && !after.At.Equal(at(int(c.after))) {
			t.Errorf("%s: %v %v", c.at, before, after)
		}
	}
	before, after, err := s.SamplesAround(gasKey, day0)
	must(t, err)
	same(t, "of nothing", []energy.Sample{before, after}, []energy.Sample{{}, {}})
}
