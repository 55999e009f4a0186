package acme

import (
	"context"
	"database/sql"
	"errors"
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
	RequestsPerHour      int // signed ones, from one address (IPv6: one /64); 3,000
	NoncesKept           int // that were used, of everybody, in the table; about 1,000,000
}

func (l Limits) orDefault() Limits {
	for _, x := range []struct {
		v *int
		d int
	}{{&l.AccountsPerHour, 20}, {&l.OrdersPerHour, 300}, {&l.OpenOrders, 50},
		{&l.CertificatesPerDay, 50}, {&l.FailuresPerHour, 10}, {&l.ValidationsAtOnce, 32}, {&l.IdentifiersEachOrder, 20},
		{&l.RequestsPerHour, 3000}, {&l.NoncesKept, 1_000_000}} {
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

// allow takes one signed request from an address's allowance, which all processes
// share. The row holds the instant from which the allowance is whole again; each
// request moves it, and none may move it further than an hour from now. One
// statement decides.
func (s *Server) allow(ctx context.Context, from string) error {
	now, span := s.Now().UnixMilli(), time.Hour.Milliseconds()
	step := max(span/int64(s.Limits.RequestsPerHour), 1)
	var whole int64
	err := s.DB.QueryRowContext(ctx, `INSERT INTO directory_acme_requests (address, whole_at) VALUES ($1, $2)
		ON CONFLICT (address) DO UPDATE SET whole_at = CASE WHEN directory_acme_requests.whole_at > $3 THEN directory_acme_requests.whole_at + $4 ELSE excluded.whole_at END
		WHERE directory_acme_requests.whole_at <= $5 RETURNING whole_at`, from, now+step, now, step, now+span-step).Scan(&whole)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	p := problemf(rateLimited, http.StatusTooManyRequests, "There have been %d requests from your address within an hour, which is the most. Try again in a minute.", s.Limits.RequestsPerHour)
	p.retry = time.Minute
	return p
}

// countEach is how often the nonces that were used are counted; in between, this
// process adds up its own.
const countEach = time.Minute

// roomForNonce refuses requests while more nonces are kept than the table shall
// hold: each lasts two hours, and whoever sends from many addresses would fill the
// disk otherwise.
func (s *Server) roomForNonce(ctx context.Context) error {
	now := s.Now()
	s.mu.Lock()
	due := s.counted.IsZero() || now.Sub(s.counted) >= countEach
	if due {
		s.counted = now
	}
	s.kept++
	kept := s.kept
	s.mu.Unlock()
	if due {
		if err := s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_acme_nonces`).Scan(&kept); err != nil {
			return err
		}
		s.mu.Lock()
		s.kept = kept
		s.mu.Unlock()
	}
	if kept < s.Limits.NoncesKept {
		return nil
	}
	p := problemf(rateLimited, http.StatusServiceUnavailable, "There have been more requests from everywhere within two hours than this server keeps account of. Try again in %s.", sweepEach)
	p.retry = sweepEach
	return p
}
