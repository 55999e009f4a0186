package energy

import "time"

// Times outside these bounds are not a clock's (nanoseconds since 1970).
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	lastTime  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
)

// point is a Sample without its time zone: comparable, and the same after a
// restart as before it.
type point struct{ at, value int64 }

func (p point) sample() Sample { return Sample{At: instant(p.at), Value: p.value} }

// orNone is sample, and no sample where there is no point.
func (p point) orNone() Sample {
	if p == (point{}) {
		return Sample{}
	}
	return p.sample()
}

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// nanos gives a time in nanoseconds since 1970, where it can be a clock's.
func nanos(t time.Time) (int64, bool) {
	if s := t.Unix(); s < firstTime/int64(time.Second) || s >= lastTime/int64(time.Second) {
		return 0, false
	}
	return t.UnixNano(), true
}
