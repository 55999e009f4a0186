package account

import (
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		o := w.byPassword(home)
		token, err := w.Start(ctx, o.ID)
		must(t, err)
		other, err := w.Start(ctx, o.ID)
		must(t, err)
		if token == other {
			t.Error("two signings in, one token")
		}
		good := func(token string) bool {
			x, err := w.Session(ctx, token)
			if err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
			return err == nil && x.ID == o.ID
		}
		var n int
		must(t, w.DB.QueryRow(`SELECT COUNT(*) FROM account_sessions WHERE hash = $1`, []byte(token)).Scan(&n))
		if !good(token) || good(token+"x") || good("") || good(strings.Repeat("A", len(token))) || n != 0 {
			t.Error("sessions are not by their tokens, or the token itself is stored")
		}
		for range SessionLife / (50 * time.Minute) {
			w.clock = w.clock.Add(50 * time.Minute)
			if !good(token) {
				t.Fatalf("in use, and ended at %v", w.clock)
			}
		}
		if good(other) {
			t.Error("a session that was idle")
		}
		w.clock = w.clock.Add(50 * time.Minute)
		if good(token) {
			t.Error("a session that is never over")
		}
		x := w.session(o.ID)
		if !x.Fresh(w.clock) || x.Fresh(w.clock.Add(Fresh)) {
			t.Error("freshness")
		}
		must(t, w.SignOut(ctx, x))
		must(t, w.Sweep(ctx))
		must(t, w.DB.QueryRow(`SELECT COUNT(*) FROM account_sessions`).Scan(&n))
		if n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestWays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		o := w.byPassword(home)
		x, elsewhere := w.session(o.ID), w.session(o.ID)
		is(t, "the only way", w.Remove(ctx, x, ""), ErrLast)
		more, err := w.OfferMore(ctx, x.Account)
		must(t, err)
		back, err := w.Open(more.Sealed)
		must(t, err)
		is(t, "as a new account", w.Make(ctx, back, Way{Password: good, Code: w.code(back.App)}), ErrStale)
		a := newPasskey(t)
		answer := a.Create(more.Options)
		stranger := w.session(w.byPassword(home).ID)
		is(t, "into another account", w.Add(ctx, stranger, back, Way{Answer: answer}), ErrStale)
		must(t, w.Add(ctx, x, back, Way{Answer: answer}))
		is(t, "twice", w.Add(ctx, x, back, Way{Answer: newPasskey(t).Create(more.Options)}), ErrStale)
		if id, err := w.byKey(a); id != o.ID {
			t.Error(err)
		}
		var n int
		must(t, w.DB.QueryRow(`SELECT COUNT(*) FROM account_sessions WHERE hash = $1`, elsewhere.hash).Scan(&n))
		if n != 0 {
			t.Error("another browser stayed signed in")
		}
		// Two at once, each of which removes one way: one stays.
		var wg sync.WaitGroup
		var errs [2]error
		for i, key := range []string{"", base64.RawURLEncoding.EncodeToString(a.ID)} {
			wg.Go(func() { errs[i] = w.Remove(ctx, x, key) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), ErrLast) {
			t.Errorf("both ways at once: %v", errs)
		}
		is(t, "another's passkey", w.Remove(ctx, stranger, base64.RawURLEncoding.EncodeToString(a.ID)), ErrNotFound)
		must(t, w.Leave(ctx, o.ID))
		if _, err := w.byKey(a); !errors.Is(err, ErrWrong) {
			t.Errorf("after leaving: %v", err)
		}
		_, err = w.Start(ctx, o.ID)
		is(t, "a session of an account that is gone", err, ErrNotFound)
		is(t, "a site of an account that is gone", w.AddSite(ctx, o.ID, home), ErrNotFound)
		w.clock = w.clock.Add(Forgotten + time.Hour)
		must(t, w.Sweep(ctx))
		must(t, w.DB.QueryRow(`SELECT (SELECT COUNT(*) FROM accounts) + (SELECT COUNT(*) FROM account_sites) + (SELECT COUNT(*) FROM account_passkeys) + (SELECT COUNT(*) FROM account_challenges)`).Scan(&n))
		if n != 0 {
			t.Errorf("%d rows are left of accounts that nobody came back to", n)
		}
	})
}

func TestSites(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		one, two := w.byPassword(home), w.byPassword(home)
		must(t, w.AddSite(ctx, one.ID, Site{Gateway: "https://directory.example/g/2", Version: "v", Name: "Shop", How: "printed"}))
		must(t, w.AddSite(ctx, one.ID, home)) // again
		if n, err := w.Holders(ctx, home.Gateway, "one"); n != 2 || err != nil {
			t.Errorf("%d accounts, %v", n, err)
		}
		sites, err := w.Sites(ctx, one.ID)
		if err != nil || len(sites) != 2 {
			t.Fatalf("%+v, %v", sites, err)
		}
		must(t, w.RemoveSite(ctx, two.ID, sites[0].ID)) // of another
		if n, err := EndHold(ctx, w.DB, home.Gateway, "printed"); n != 0 || err != nil {
			t.Errorf("by a code that it was not: %d, %v", n, err)
		}
		if n, err := EndHold(ctx, w.DB, home.Gateway, ""); n != 2 || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
		if sites, err = w.Sites(ctx, one.ID); err != nil || len(sites) != 1 || sites[0].Name != "Shop" {
			t.Errorf("%+v, %v", sites, err)
		}
	})
}
