package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

func (w *world) readCRL(t *testing.T, h Hierarchy) *x509.RevocationList {
	t.Helper()
	r := w.call("GET", "/crl/"+string(h)+".crl", nil)
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("%d %s: %s", r.Code, r.Header().Get("Content-Type"), r.Body)
	}
	l := must(x509.ParseRevocationList(r.Body.Bytes()))(t)
	if err := l.CheckSignatureFrom(w.Authorities.Of(h).Issuer); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCRL(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		issue := func() *big.Int {
			_, csr := newKeyCSR(t)
			return must(w.IssueClient(ctx, w.providerApp.ID, []byte(csr)))(t).Leaf.SerialNumber
		}
		first := w.readCRL(t, Client)
		if len(first.RevokedCertificateEntries) != 0 || !first.NextUpdate.Equal(first.ThisUpdate.Add(crlLife)) || !first.ThisUpdate.Equal(start) {
			t.Errorf("first list: %d entries, %s to %s", len(first.RevokedCertificateEntries), first.ThisUpdate, first.NextUpdate)
		}
		if again := w.readCRL(t, Client); again.Number.Cmp(first.Number) != 0 {
			t.Error("a new list though nothing changed")
		}
		a, b := issue(), issue()
		for range 2 { // twice is no error
			if err := w.Revoke(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		second := w.readCRL(t, Client)
		if e := second.RevokedCertificateEntries; len(e) != 1 || e[0].SerialNumber.Cmp(a) != 0 || !e[0].RevocationTime.Equal(start) {
			t.Errorf("entries %v", e)
		}
		if second.Number.Cmp(first.Number) <= 0 {
			t.Error("the number did not grow")
		}
		if l := w.readCRL(t, Signing); len(l.RevokedCertificateEntries) != 0 {
			t.Error("revoked in another hierarchy")
		}
		if err := w.Revoke(ctx, big.NewInt(42)); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown serial: %v", err)
		}
		w.clock.add(crlRefresh)
		third := w.readCRL(t, Client)
		if third.Number.Cmp(second.Number) <= 0 || !third.ThisUpdate.Equal(start.Add(crlRefresh)) {
			t.Error("the list was not renewed")
		}
		w.clock.add(366 * 24 * time.Hour) // expired, but it stays a week more
		if l := w.readCRL(t, Client); len(l.RevokedCertificateEntries) != 1 {
			t.Error("an entry went too early")
		}
		w.clock.add(crlKeep)
		if l := w.readCRL(t, Client); len(l.RevokedCertificateEntries) != 0 {
			t.Error("the entry of a long expired certificate stayed")
		}
		_ = b
	})
}

// TestSigningCRLKeeps: signatures are checked long after their certificates
// expired.
func TestSigningCRLKeeps(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	_, csr := newKeyCSR(t)
	c := must(w.IssueSigning(t.Context(), w.providerApp.ID, []byte(csr)))(t)
	if err := w.Revoke(t.Context(), c.Leaf.SerialNumber); err != nil {
		t.Fatal(err)
	}
	w.clock.add(5 * 365 * 24 * time.Hour)
	if l := w.readCRL(t, Signing); len(l.RevokedCertificateEntries) != 1 {
		t.Error("the entry is gone")
	}
}

// TestCRLAtOnce: while certificates are revoked and lists are read by several
// at once, the last list has them all, and no list has a number twice with
// different contents.
func TestCRLAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		var serials []*big.Int
		for range 12 {
			_, csr := newKeyCSR(t)
			serials = append(serials, must(w.IssueClient(ctx, w.providerApp.ID, []byte(csr)))(t).Leaf.SerialNumber)
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
				l, err := w.CRL(ctx, Client)
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
		if l := w.readCRL(t, Client); len(l.RevokedCertificateEntries) != len(serials) {
			t.Errorf("%d entries, want %d", len(l.RevokedCertificateEntries), len(serials))
		}
	})
}

// TestTwoProcesses: a second directory on the same database sees what the
// first does, and both serve one list.
func TestTwoProcesses(t *testing.T) {
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") },
		"postgres": postgresDSN,
	} {
		t.Run(name, func(t *testing.T) {
			d := dsn(t)
			w := newWorld(t, d)
			other := w.open(t, d)
			_, csr := newKeyCSR(t)
			c := must(w.IssueClient(t.Context(), w.providerApp.ID, []byte(csr)))(t)
			before := must(other.CRL(t.Context(), Client))(t)
			if err := w.Revoke(t.Context(), c.Leaf.SerialNumber); err != nil {
				t.Fatal(err)
			}
			a, b := must(other.CRL(t.Context(), Client))(t), must(w.CRL(t.Context(), Client))(t)
			if a.Number <= before.Number || a.Number != b.Number || string(a.DER) != string(b.DER) {
				t.Errorf("lists %d, then %d and %d", before.Number, a.Number, b.Number)
			}
		})
	}
}

// TestRevocationsOverHTTP: identity.Revocations reads what this directory
// serves, and a revocation reaches it.
func TestRevocationsOverHTTP(t *testing.T) {
	w := newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	var sources []identity.CRLSource
	for _, h := range Hierarchies {
		sources = append(sources, identity.CRLSource{Name: string(h), Issuer: w.Authorities.Of(h).Issuer,
			Fetch: identity.FetchCRL(srv.Client(), srv.URL+"/crl/"+string(h)+".crl")})
	}
	r := must(identity.NewRevocations(identity.RevocationsConfig{Sources: sources, Now: w.clock.now, Logger: w.Logger}))(t)
	_, csr := newKeyCSR(t)
	c := must(w.IssueSigning(t.Context(), w.providerApp.ID, []byte(csr)))(t).Leaf
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
	w.clock.add(30 * time.Minute)
	if age, ok := r.Age(); !ok || age != 30*time.Minute {
		t.Errorf("age %s %t", age, ok)
	}
}
