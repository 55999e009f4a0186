package directory_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
)

// Every token can be ended before its year is over: an administrator's and a
// person's too, which no organisation's page lists.
func TestAnyTokenCanBeEnded(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		tokens := map[string]string{
			"admin": dirtest.Must(w.IssueToken(t.Context(), "", directory.Admin))(t), "owner": dirtest.Must(w.IssueToken(t.Context(), w.Provider.ID, directory.Owner))(t),
			"person": dirtest.Must(w.AddOwner(t.Context(), w.Provider.ID, "olive@perse.example"))(t),
		}
		other := dirtest.Must(w.IssueToken(t.Context(), "", directory.Admin))(t)
		for what, token := range tokens {
			if _, err := w.FindToken(t.Context(), token); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := w.EndTokenOf(t.Context(), directory.Mark(token)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := w.FindToken(t.Context(), token); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s goes on: %v", what, err)
			}
			if err := w.EndTokenOf(t.Context(), directory.Mark(token)); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%s again: %v", what, err)
			}
		}
		for _, odd := range []string{"", "%", directory.Mark(other)[:7], directory.Mark(other) + "0", "0000000g"} {
			if err := w.EndTokenOf(t.Context(), odd); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("%q: %v", odd, err)
			}
		}
		if _, err := w.FindToken(t.Context(), other); err != nil {
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
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		both := []*directory.Service{w.Service, dirtest.Must(directory.New(w.Config))(t)}
		g, _, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
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
