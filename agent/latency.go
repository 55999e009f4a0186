package agent

import (
	"slices"
	"time"
)

// latencyWindow is how many answers a meter's latency is worked out from: a
// quarter of an hour at one poll in 15 seconds.
const latencyWindow = 60

// latency is how long a meter took for each of its last answers, in
// microseconds. It is small, and costs a poll nothing to speak of: whoever looks
// works it out.
type latency struct {
	last [latencyWindow]uint32
	next uint8  // where the next goes
	n    uint64 // answers since the start
	sum  uint64 // of them all, in microseconds
}

func (l *latency) add(d time.Duration) {
	us := uint32(min(max(d.Microseconds(), 0), 1<<32-1))
	l.last[l.next] = us
	l.next = (l.next + 1) % latencyWindow
	l.n++
	l.sum += uint64(us)
}

// Latency is how long a meter takes to answer, over its last answers. Times are
// in milliseconds, from the question to the whole answer; of a poll of several
// questions it is the slowest. Of a device that speaks by itself it is how old a
// reading was when it came, by the device's own clock.
type Latency struct {
	Last    float64 `json:"lastMs"`
	Mean    float64 `json:"meanMs"`
	P95     float64 `json:"p95Ms"` // 19 of 20 are not slower
	Slowest float64 `json:"slowestMs"`
	Answers int     `json:"answers"` // that this is worked out from, 60 at most

	Median  float64       `json:"-"` // in milliseconds too
	Counted uint64        `json:"-"` // answers since the start
	Sum     time.Duration `json:"-"` // that they took together
}

// status works it out; nil before the first answer.
func (l *latency) status() *Latency {
	if l.n == 0 {
		return nil
	}
	k := int(min(l.n, latencyWindow))
	w := slices.Clone(l.last[:k])
	last := w[(int(l.next)+latencyWindow-1)%latencyWindow]
	slices.Sort(w)
	sum := uint64(0)
	for _, us := range w {
		sum += uint64(us)
	}
	ms := func(us uint64) float64 { return float64(us) / 1000 }
	rank := func(percent int) float64 { return ms(uint64(w[(k*percent+99)/100-1])) } // nearest rank
	return &Latency{
		Last: ms(uint64(last)), Mean: ms(sum / uint64(k)), P95: rank(95), Slowest: rank(100), Answers: k,
		Median: rank(50), Counted: l.n, Sum: time.Duration(l.sum) * time.Microsecond,
	}
}
