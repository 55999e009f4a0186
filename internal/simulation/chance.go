package simulation

import (
	"math"
	"time"
)

// chance is a stream of random numbers that is addressed, not drawn from: what
// it gives for a place and an index never depends on what was asked before.
type chance uint64

// of gives the stream of a component.
func (c chance) of(name string, i int) chance {
	h := uint64(c)
	for _, b := range []byte(name) {
		h = mix(h ^ uint64(b))
	}
	return chance(mix(h ^ uint64(i)<<32))
}

// bits gives the i-th number of the stream.
func (c chance) bits(i int64) uint64 { return mix(uint64(c) + uint64(i)*0x9e3779b97f4a7c15) }

// n gives the i-th number in [0, n).
func (c chance) n(i, n int64) int64 { return int64(c.bits(i) % uint64(n)) }

// unit gives the i-th number in (0, 1).
func (c chance) unit(i int64) float64 { return (float64(c.bits(i)>>11) + 0.5) / (1 << 53) }

// wait gives the i-th waiting time of events that come at random once in mean.
func (c chance) wait(i int64, mean time.Duration) time.Duration {
	return time.Duration(min(-math.Log(c.unit(i))*float64(mean), math.MaxInt64/2))
}

// lasting gives the i-th duration between least and most, each order of
// magnitude as likely as any other: outages last seconds, hours and months.
func (c chance) lasting(i int64, least, most time.Duration) time.Duration {
	l, m := math.Log(float64(least)), math.Log(float64(most))
	return time.Duration(math.Exp(l + (m-l)*c.unit(i))).Truncate(time.Millisecond)
}

// lag waits for less than a millisecond, each time another while: who shares
// something with others does it at an instant of its own, since testing/synctest
// lets those who wake at one instant go in any order.
func (c chance) lag() {
	time.Sleep(time.Microsecond + time.Duration(c.of("lag", 0).n(time.Now().UnixNano(), 990_000)))
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
