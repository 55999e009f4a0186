package directory_test

import (
	"context"
	"errors"
	"math/big"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

func TestCRL(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		issue := func() *big.Int {
			_, csr := dirtest.NewKeyCSR(t)
			return dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t).Leaf.SerialNumber
		}
		first := w.ReadCRL(t, ca.Client)
		if len(first.RevokedCertificateEntries) != 0 || !first.NextUpdate.Equal(first.ThisUpdate.Add(ca.CRLLife)) || !first.ThisUpdate.Equal(dirtest.Start) {
			t.Errorf("first list: %d entries, %s to %s", len(first.RevokedCertificateEntries), first.ThisUpdate, first.NextUpdate)
		}
		if again := w.ReadCRL(t, ca.Client); again.Number.Cmp(first.Number) != 0 {
			t.Error("a new list though nothing changed")
		}
		a, b := issue(), issue()
		for range 2 { // twice is no error
			if err := w.Revoke(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		second := w.ReadCRL(t, ca.Client)
		if e := second.RevokedCertificateEntries; len(e) != 1 || e[0].SerialNumber.Cmp(a) != 0 || !e[0].RevocationTime.Equal(dirtest.Start) {
			t.Errorf("entries %v", e)
		}
		if second.Number.Cmp(first.Number) <= 0 {
			t.Error("the number did not grow")
		}
		if l := w.ReadCRL(t, ca.Signing); len(l.RevokedCertificateEntries) != 0 {
			t.Error("revoked in another hierarchy")
		}
		if err := w.Revoke(ctx, big.NewInt(42)); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("unknown serial: %v", err)
		}
		w.Clock.Add(ca.CRLRefresh)
		third := w.ReadCRL(t, ca.Client)
		if third.Number.Cmp(second.Number) <= 0 || !third.ThisUpdate.Equal(dirtest.Start.Add(ca.CRLRefresh)) {
			t.Error("the list was not renewed")
		}
		w.Clock.Add(366 * 24 * time.Hour) // expired, but it stays a week more
		if l := w.ReadCRL(t, ca.Client); len(l.RevokedCertificateEntries) != 1 {
			t.Error("an entry went too early")
		}
		w.Clock.Add(ca.CRLKeep)
		if l := w.ReadCRL(t, ca.Client); len(l.RevokedCertificateEntries) != 0 {
			t.Error("the entry of a long expired certificate stayed")
		}
		_ = b
	})
}

// TestSigningCRLKeeps: signatures are checked long after their certificates
// expired.
func TestSigningCRLKeeps(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	_, csr := dirtest.NewKeyCSR(t)
	c := dirtest.Must(w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
	if err := w.Revoke(t.Context(), c.Leaf.SerialNumber); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(5 * 365 * 24 * time.Hour)
	if l := w.ReadCRL(t, ca.Signing); len(l.RevokedCertificateEntries) != 1 {
		t.Error("the entry is gone")
	}
}

// TestCRLAtOnce: while certificates are revoked and lists are read by several
// at once, the last list has them all, and no list has a number twice with
// different contents.
func TestCRLAtOnce(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		var serials []*big.Int
		for range 12 {
			_, csr := dirtest.NewKeyCSR(t)
			serials = append(serials, dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t).Leaf.SerialNumber)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[int64]string{}
		for _, n := range serials {
			wg.Go(func() {
				if err := w.Revoke(ctx, n); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				l, err := w.CRL(ctx, ca.Client)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if old, ok := seen[l.Number]; ok && old != string(l.DER) {
					t.Errorf("two lists with number %d", l.Number)
				}
				seen[l.Number] = string(l.DER)
			})
		}
		wg.Wait()
		if l := w.ReadCRL(t, ca.Client); len(l.RevokedCertificateEntries) != len(serials) {
			t.Errorf("%d entries, want %d", len(l.RevokedCertificateEntries), len(serials))
		}
	})
}

// TestTwoProcesses: a second directory on the same database sees what the
// first does, and both serve one list.
func TestTwoProcesses(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": databasetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			d := dsn(t)
			w := dirtest.New(t, d)
			other := w.Open(t, d)
			_, csr := dirtest.NewKeyCSR(t)
			c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
			before := dirtest.Must(other.CRL(t.Context(), ca.Client))(t)
			if err := w.Revoke(t.Context(), c.Leaf.SerialNumber); err != nil {
				t.Fatal(err)
			}
			a, b := dirtest.Must(other.CRL(t.Context(), ca.Client))(t), dirtest.Must(w.CRL(t.Context(), ca.Client))(t)
			if a.Number <= before.Number || a.Number != b.Number || string(a.DER) != string(b.DER) {
				t.Errorf("lists %d, then %d and %d", before.Number, a.Number, b.Number)
			}
		})
	}
}

// TestRevocationsOverHTTP: identity.Revocations reads what this directory
// serves, and a revocation reaches it.
func TestRevocationsOverHTTP(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	srv := httptest.NewServer(w.Front.Handler())
	defer srv.Close()
	var sources []identity.CRLSource
	for _, h := range ca.Hierarchies {
		sources = append(sources, identity.CRLSource{Name: string(h), Issuer: w.Authorities.Of(h).Issuer,
			Fetch: identity.FetchCRL(srv.Client(), srv.URL+"/crl/"+string(h)+".crl")})
	}
	r := dirtest.Must(identity.NewRevocations(identity.RevocationsConfig{Sources: sources, Now: w.Clock.Now, Logger: w.Logger}))(t)
	_, csr := dirtest.NewKeyCSR(t)
	c := dirtest.Must(w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)))(t).Leaf
	refresh := func() {
		t.Helper()
		if err := r.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	refresh()
	if r.Revoked(c.SerialNumber) {
		t.Error("revoked before it was")
	}
	if err := w.Revoke(t.Context(), c.SerialNumber); err != nil {
		t.Fatal(err)
	}
	refresh()
	if !r.Revoked(c.SerialNumber) {
		t.Error("not revoked")
	}
	w.Clock.Add(30 * time.Minute)
	if age, ok := r.Age(); !ok || age != 30*time.Minute {
		t.Errorf("age %s %t", age, ok)
	}
}
