package account

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"
)

// allowance bounds guesses at one thing: burst of them at once, then one every
// so often. It is counted in the database, for all processes together.
type allowance struct {
	name  string
	burst int
	every time.Duration
}

var (
	// Of one customer's address, for all accounts: an office behind one address
	// may mistype now and then.
	perAddress = allowance{"address", 30, 20 * time.Second}
	// Of one account's password, known or not, from everywhere: 96 a day beyond
	// the first ten.
	perAccount = allowance{"account", 10, 15 * time.Minute}
	// Of one account's second factor, by somebody who knows the password. Three
	// codes of a million are good at a time, so a guesser who keeps at it needs
	// years: 5 and then 96 a day make 0.03 % a day.
	perFactor = allowance{"factor", 5, 15 * time.Minute}
	// Mails with links to one account, and asked for by one address.
	perMail        = allowance{"mail", 3, time.Hour}
	perMailAddress = allowance{"mail-address", 10, 10 * time.Minute}
	// Invitations by one account: each may be a mail to a stranger.
	perInviter = allowance{"inviter", 50, 30 * time.Minute}
)

// take takes one from the allowance of a key. It is taken before the guess is
// looked at, so that many at once cannot all pass before the first has failed;
// forgive gives it back. *TooMany: there is none left.
func (s *Service) take(ctx context.Context, a allowance, key string) (forgive func(), err error) {
	key = a.name + ":" + key
	now, step := s.Now().UnixMilli(), a.every.Milliseconds()
	var full int64
	// One statement, so that of any number at once no more pass than may.
	err = s.DB.QueryRowContext(ctx, `INSERT INTO directory_allowances (key, full_at) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET full_at = CASE WHEN directory_allowances.full_at > $3 THEN directory_allowances.full_at ELSE $3 END + $4
		WHERE directory_allowances.full_at <= $5 RETURNING full_at`, key, now+step, now, step, now+step*int64(a.burst-1)).Scan(&full)
	if errors.Is(err, sql.ErrNoRows) {
		if err := s.DB.QueryRowContext(ctx, `SELECT full_at FROM directory_allowances WHERE key = $1`, key).Scan(&full); err != nil {
			return nil, err
		}
		wait := time.Duration(full-now-step*int64(a.burst-1)) * time.Millisecond
		s.Logger.Warn("too many failed attempts", "of", a.name, "wait", wait.Round(time.Second))
		return nil, &TooMany{max(wait, time.Second)}
	} else if err != nil {
		return nil, err
	}
	return func() {
		// The request may be over, or its client gone: it is given back all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if _, err := s.DB.ExecContext(ctx, `UPDATE directory_allowances SET full_at = full_at - $1 WHERE key = $2`, step, key); err != nil {
			s.Logger.Warn("account: allowance not given back", "of", a.name, "error", err)
		}
	}, nil
}

// addressKey takes a whole /64 as one: that is what one IPv6 customer has.
func addressKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// Sweep deletes what has ended: sessions, links and allowances. Run calls it.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	_, err1 := s.DB.ExecContext(ctx, `DELETE FROM directory_sessions WHERE (expires_at > 0 AND expires_at <= $1) OR seen_at <= $2`, now.Unix(), now.Add(-SessionIdle).Unix())
	_, err2 := s.DB.ExecContext(ctx, `DELETE FROM directory_allowances WHERE full_at <= $1`, now.UnixMilli())
	// Links are kept for a while so that the page can say what happened to one.
	_, err3 := s.DB.ExecContext(ctx, `DELETE FROM directory_links WHERE expires_at <= $1`, now.Add(-30*24*time.Hour).Unix())
	return errors.Join(err1, err2, err3)
}

// Run sweeps every few minutes until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Logger.Warn("account: what has ended was not deleted, will try again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
