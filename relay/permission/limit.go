package permission

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits on wrong meter codes. A code has 60 random bits, so these are not
// what keeps it secret: they keep a guesser from loading the machine, and make
// one visible in the log.
const (
	addressBurst = 10               // one address: 10 wrong codes at once,
	addressEvery = 20 * time.Second // then one every 20 s
	overallBurst = 200              // everyone together, so that many addresses do not help
	overallRate  = 5                // a second
	maxAddresses = 4096             // remembered at once
)

// limits bounds the wrong codes typed into the pages, for each address and
// overall. Each process keeps its own.
type limits struct {
	mu      sync.Mutex
	overall *rate.Limiter
	each    map[netip.Prefix]*rate.Limiter
}

func newLimits() *limits {
	return &limits{overall: rate.NewLimiter(overallRate, overallBurst), each: map[netip.Prefix]*rate.Limiter{}}
}

// try takes one try of the address before its code is looked up; back gives it
// back when the code was right. Where no try is left, back is nil and wait
// says for how long. An IPv6 host has its whole /64.
func (l *limits) try(a netip.Addr, now time.Time) (back func(), wait time.Duration) {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	key, _ := a.Prefix(bits) // the zero Prefix for the zero Addr: one key for all of those
	l.mu.Lock()
	defer l.mu.Unlock()
	lim := l.each[key]
	if lim == nil {
		if len(l.each) >= maxAddresses {
			l.forget(now)
		}
		lim = rate.NewLimiter(rate.Every(addressEvery), addressBurst)
		l.each[key] = lim
	}
	one := lim.ReserveN(now, 1)
	if d := one.DelayFrom(now); d > 0 {
		one.CancelAt(now)
		return nil, d
	}
	all := l.overall.ReserveN(now, 1)
	if d := all.DelayFrom(now); d > 0 {
		all.CancelAt(now)
		one.CancelAt(now)
		return nil, d
	}
	return func() { one.CancelAt(now); all.CancelAt(now) }, 0
}

// forget drops the addresses that have all their tries back, and everything
// where that does not help: the overall limit still holds then.
func (l *limits) forget(now time.Time) {
	for k, lim := range l.each {
		if lim.TokensAt(now) >= addressBurst {
			delete(l.each, k)
		}
	}
	if len(l.each) >= maxAddresses {
		clear(l.each)
	}
}
