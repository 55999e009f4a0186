package directory

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Limits on guessing codes: a person may mistype ten times in a row (and more,
// for what its check character finds out costs nothing), then once every ten
// seconds. Whoever guesses from one address gets through 17,290 of 23^11 codes
// (50 bits) in the two days of a code: from a million addresses, with a hundred
// codes given out, the chance of one hit is 1 in 550.
const (
	GuessBurst = 10
	GuessEvery = 10 * time.Second
	guessSweep = 64 // one of so many attempts clears away what is not needed any more
)

// Attempt takes one guess from an address's allowance, which all processes on
// the database share. When there is none left ok is false, and wait says how
// long until there is one. forgive gives the guess back: it is taken first so
// that many requests at once cannot all pass before the first has failed.
//
// The row holds the instant from which the allowance is whole again; each guess
// moves it by guessEvery, and none is allowed that would move it further than
// the whole allowance from now. One statement decides.
func (s *Service) Attempt(ctx context.Context, from netip.Addr) (forgive func(), wait time.Duration, ok bool, err error) {
	address, now := GuardKey(from).String(), s.Now().UnixMilli()
	const step, most = int64(GuessEvery / time.Millisecond), int64(GuessBurst * GuessEvery / time.Millisecond)
	if rand.N(guessSweep) == 0 { // allowances that are whole again need no row
		if _, err := s.DB.ExecContext(ctx, `DELETE FROM directory_guesses WHERE whole_at <= $1`, now); err != nil {
			return nil, 0, false, err
		}
	}
	var whole int64
	err = s.DB.QueryRowContext(ctx, `INSERT INTO directory_guesses (address, whole_at) VALUES ($1, $2)
		ON CONFLICT (address) DO UPDATE SET whole_at = CASE WHEN directory_guesses.whole_at > $3 THEN directory_guesses.whole_at + $4 ELSE excluded.whole_at END
		WHERE directory_guesses.whole_at <= $5 RETURNING whole_at`, address, now+step, now, step, now+most-step).Scan(&whole)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.DB.QueryRowContext(ctx, `SELECT whole_at FROM directory_guesses WHERE address = $1`, address).Scan(&whole)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // no row: swept meanwhile
			return nil, 0, false, err
		}
		return nil, max(time.Duration(whole-now-(most-step))*time.Millisecond, time.Second), false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	return func() {
		// Done though the client may be gone. Where it fails, the guess comes
		// back by itself in seconds.
		s.DB.ExecContext(context.WithoutCancel(ctx), `UPDATE directory_guesses SET whole_at = whole_at - $1 WHERE address = $2`, step, address)
	}, 0, true, nil
}

// GuardKey takes a whole /64 as one: that is what one IPv6 customer has.
func GuardKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
