package ingest

import (
	"math/big"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// What is remembered of a signing certificate opens nothing that is closed, and
// closes nothing that is open.
func TestRememberedSigner(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		next := 0
		raw := func() []byte {
			return w.encode(w.next(series(mainIn, monday.Add(time.Duration(next)*energy.Period), int64(next+1))))
		}
		take := func(what string) {
			t.Helper()
			b := raw()
			if a := w.post(b); a.status != 200 {
				t.Fatalf("%s: %+v", what, a)
			}
			w.advance(b)
			next++
		}
		refused := func(what, code string) {
			t.Helper()
			if a := w.post(raw()); a.Error != code {
				t.Errorf("%s: %+v", what, a)
			}
		}
		take("the first")
		name := signerName{gatewayURL, w.signing.Cert().SerialNumber.String()}
		known := w.service.signers.get(name)
		if known == nil {
			t.Fatal("not remembered")
		}
		take("the second")
		if w.service.signers.get(name) != known {
			t.Error("read anew though it was remembered")
		}

		for _, c := range w.signing.Chain {
			w.revoke(c.SerialNumber)
			refused("revoked between two requests", "invalid_certificate")
			w.mu.Lock()
			w.revoked = []*big.Int{}
			w.mu.Unlock()
			take("no longer on the list")
		}

		// Another process took in another certificate under the same number.
		other := w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
		wrong, err := readSigner(other.Chain)
		if err != nil {
			t.Fatal(err)
		}
		if wrong, err = wrong.holds(w.pki.SigningCA.Pool(), w.now()); err != nil {
			t.Fatal(err)
		}
		w.service.signers.put(name, wrong)
		take("what is stored counts")
		if got := w.service.signers.get(name); got == wrong {
			t.Error("the one that does not fit is still remembered")
		}

		w.setNow(w.signing.Cert().NotAfter.Add(time.Minute))
		b := w.next(series(mainIn, monday.Add(time.Duration(next)*energy.Period), 1))
		b.Made = w.now()
		if a := w.post(w.encode(b)); a.status == 200 {
			t.Errorf("signed after its end: %+v", a)
		}
	})
}

// From when to when a chain holds is that of its shortest certificate, and
// outside of it the chain is looked at again.
func TestSignerHolds(t *testing.T) {
	db, err := database.Open(databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := newWorld(t, db)
	g, err := readSigner(w.signing.Chain)
	if err != nil {
		t.Fatal(err)
	}
	g, err = g.holds(w.pki.SigningCA.Pool(), w.now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(w.signing.Chain, w.pki.SigningCA.Root) {
		if g.from.Before(c.NotBefore) || g.to.After(c.NotAfter) {
			t.Errorf("from %s to %s, but %s is valid from %s to %s", g.from, g.to, c.Subject, c.NotBefore, c.NotAfter)
		}
	}
	for _, at := range []time.Time{g.from, g.to, w.now()} {
		if same, err := g.holds(nil, at); err != nil || same != g { // without roots nothing could be verified anew
			t.Errorf("%s: %v", at, err)
		}
	}
	for _, at := range []time.Time{g.from.Add(-time.Second), g.to.Add(time.Second)} {
		if _, err := g.holds(w.pki.SigningCA.Pool(), at); err == nil {
			t.Errorf("holds at %s", at)
		}
	}
}
