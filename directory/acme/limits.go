package acme

import (
	"context"
	"net/http"
	"time"
)

// Limits hold for each of those they name, whichever process is asked: they
// are counted in the database. Zero is the default.
type Limits struct {
	AccountsPerHour      int // from one address (IPv6: one /64); 20
	OrdersPerHour        int // of one account; 300
	OpenOrders           int // of one account, without a certificate yet; 50
	CertificatesPerDay   int // for one and the same set of hosts; 50
	FailuresPerHour      int // of one account at one host; 10
	ValidationsAtOnce    int // in this process; 32
	IdentifiersEachOrder int // 20, which is also the most
}

func (l Limits) orDefault() Limits {
	for _, x := range []struct {
		v *int
		d int
	}{{&l.AccountsPerHour, 20}, {&l.OrdersPerHour, 300}, {&l.OpenOrders, 50},
		{&l.CertificatesPerDay, 50}, {&l.FailuresPerHour, 10}, {&l.ValidationsAtOnce, 32}, {&l.IdentifiersEachOrder, 20}} {
		if *x.v <= 0 {
			*x.v = x.d
		}
	}
	return l
}

// limit refuses what has happened often enough. The query counts, and gives the
// oldest of what it counted; its last parameter is the beginning of the time
// that is looked at.
func (s *Server) limit(ctx context.Context, query string, span time.Duration, most int, what string, args ...any) error {
	var n int
	var oldest int64
	now := s.Now()
	err := s.DB.QueryRowContext(ctx, query, append(args, now.Add(-span).Unix())...).Scan(&n, &oldest)
	if err != nil || n < most {
		return err
	}
	wait := max(time.Unix(oldest, 0).Add(span).Sub(now), time.Minute)
	p := problemf(rateLimited, http.StatusTooManyRequests, "There have been %d %s, which is the most. Try again in %s.", n, what, wait.Round(time.Second))
	p.retry = wait
	return p
}
