package directory

import (
	"errors"
	"sync"
	"testing"
)

// Every token can be ended before its year is over: an administrator's and a
// person's too, which no organisation's page lists.
func TestAnyTokenCanBeEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tokens := map[string]string{
			"admin": must(w.IssueToken(t.Context(), "", Admin))(t), "owner": must(w.IssueToken(t.Context(), w.provider.ID, Owner))(t),
			"person": must(w.AddOwner(t.Context(), w.provider.ID, "olive@perse.example"))(t),
		}
		other := must(w.IssueToken(t.Context(), "", Admin))(t)
		for what, token := range tokens {
			if _, err := w.findToken(t.Context(), token); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := w.EndTokenOf(t.Context(), mark(token)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := w.findToken(t.Context(), token); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s goes on: %v", what, err)
			}
			if err := w.EndTokenOf(t.Context(), mark(token)); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s again: %v", what, err)
			}
		}
		for _, odd := range []string{"", "%", mark(other)[:7], mark(other) + "0", "0000000g"} {
			if err := w.EndTokenOf(t.Context(), odd); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", odd, err)
			}
		}
		if _, err := w.findToken(t.Context(), other); err != nil {
			t.Errorf("another's: %v", err)
		}
		var n int
		if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_audit WHERE action = 'token.revoke'`).Scan(&n); err != nil || n != len(tokens) {
			t.Errorf("%d entries in the audit log, %v", n, err)
		}
	})
}

// Of codes that are asked for at the same time, at two processes, one is good.
func TestOneCodeIsGood(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		both := []*Service{w.Service, must(New(w.Config))(t)}
		g, _, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					if _, err := both[i%2].NewCode(t.Context(), g.ID); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			var n int
			if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_codes WHERE gateway = $1`, g.ID).Scan(&n); err != nil || n != 1 {
				t.Fatalf("%d codes are good, %v", n, err)
			}
		}
	})
}
