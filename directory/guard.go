package directory

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits on guessing codes: a person may mistype ten times in a
// row, then once every ten seconds. 60 random bits at six guesses a minute
// and address last longer than the seven days of a code by far.
const (
	guessBurst = 10
	guessEvery = 10 * time.Second
	guardSize  = 50_000 // addresses kept in mind
	guardSweep = 10 * time.Second
)

// guard counts failed guesses by address. Success costs nothing, so that an
// installer can enrol any number of gateways from behind one address.
type guard struct {
	now   func() time.Time
	mu    sync.Mutex
	m     map[netip.Addr]*rate.Limiter
	swept time.Time
}

func newGuard(now func() time.Time) *guard {
	return &guard{now: now, m: map[netip.Addr]*rate.Limiter{}}
}

// attempt takes one guess from the address's allowance. When there is none
// left ok is false, and wait says how long until there is one. forgive gives the
// guess back: it is taken first so that many requests at once cannot all pass
// before the first has failed.
func (g *guard) attempt(a netip.Addr) (forgive func(), wait time.Duration, ok bool) {
	now := g.now()
	l := g.limiter(a, now)
	r := l.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, wait, false
	}
	return func() { r.CancelAt(now) }, 0, true
}

func (g *guard) limiter(a netip.Addr, now time.Time) *rate.Limiter {
	a = guardKey(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.m[a]; l != nil {
		return l
	}
	if len(g.m) >= guardSize && now.Sub(g.swept) >= guardSweep {
		g.swept = now
		for k, l := range g.m { // those with their whole allowance need no memory
			if l.TokensAt(now) >= guessBurst {
				delete(g.m, k)
			}
		}
	}
	if len(g.m) >= guardSize {
		a = netip.Addr{} // under attack from everywhere: all new addresses share one allowance
		if l := g.m[a]; l != nil {
			return l
		}
	}
	l := rate.NewLimiter(rate.Every(guessEvery), guessBurst)
	g.m[a] = l
	return l
}

// guardKey takes a whole /64 as one: that is what one IPv6 customer has.
func guardKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// remoteAddress is the address of a connection; the zero Addr, which shares
// one allowance, when it cannot be read.
func remoteAddress(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
