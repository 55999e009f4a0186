package uplink

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// inToken is a gateway with its keys in a token, enrolled and connected, with
// half-hours that wait.
type inToken struct {
	*Client
	tok   *keystoretest.Token
	d     *memDirectory
	req   EnrollRequest
	relay *memRelay
	out   *memOutbox
}

func enrolledInToken(t *testing.T) *inToken {
	t.Helper()
	g := &inToken{tok: keystoretest.NewToken(t, "Gateway 1"), out: newOutbox()}
	pki := identitytest.New(t)
	g.relay = newRelay(t, pki)
	g.d = &memDirectory{t: t, pki: pki, relay: serve(t, pki, pki.ClientCA.Pool(), g.relay)}
	g.req = EnrollRequest{Directory: serve(t, pki, nil, g.d), Code: goodCode, Dir: filepath.Join(t.TempDir(), "identity"), CAFile: caFile(t, pki), Keys: g.tok.Kind}
	if _, err := Enroll(t.Context(), g.req); err != nil {
		t.Fatal(err)
	}
	g.relay.grant(grantOf("g1", mainImport))
	g.out.add(mainImport, hours(time.Now(), 40)...)
	g.open(t)
	return g
}

func (g *inToken) open(t *testing.T) {
	t.Helper()
	var err error
	if g.Client, err = New(Config{Dir: g.req.Dir, Outbox: g.out, Keys: g.req.Keys, Logger: record.Logger(t)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.fetchGrants(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
}

// deliver has all that waits delivered.
func (g *inToken) deliver(t *testing.T) {
	t.Helper()
	for did := moved; did != idle; {
		var err error
		if did, err = g.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// tries has what is due done, and noted, once.
func (g *inToken) tries(t *testing.T) error {
	t.Helper()
	_, err := g.step(t.Context())
	if err != nil {
		g.failed("send", err)
	} else {
		g.succeeded("send")
	}
	return err
}

// words is what the page and status say of the certificates.
func (g *inToken) words() (words string) {
	for _, s := range g.Status().Certificates {
		words += s.Words
	}
	return words
}

// The token is pulled out while the gateway runs: that is said, nothing is lost,
// and all goes on when it is back.
func TestTokenPulledOut(t *testing.T) {
	g := enrolledInToken(t)
	g.deliver(t)
	if s := g.Status().Certificates; len(s) != 2 || s[0].KeyStore != keystore.PKCS11 || !strings.HasPrefix(s[1].Token, "Gateway 1, serial number ") || g.words() != "" {
		t.Errorf("%+v", s)
	}
	had, _, _, _ := g.relay.counts()
	if had != 40 {
		t.Fatalf("the relay has %d", had)
	}
	back := g.tok.Pull()
	g.out.add(mainImport, hours(time.Now().Add(time.Hour), 2)...)
	if err := g.tries(t); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("signing: %v", err)
	}
	if w := g.words(); !strings.Contains(w, `Nothing can be sent: the gateway's key cannot be used: the token "Gateway 1" (serial number `) || !strings.Contains(w, "is not plugged in") || !strings.Contains(w, "Readings are kept here") {
		t.Errorf("says %q", w)
	}
	if s := g.Status(); !s.Connected || s.Certificates[1].State != "no key" || !strings.Contains(s.Error, "not plugged in") {
		t.Errorf("%+v", s)
	}
	// A new connection takes the other key.
	g.redial()
	g.forgetRegistration()
	if err := g.tries(t); err == nil || !strings.Contains(g.words(), `the token "Gateway 1"`) || strings.Contains(g.words(), "internet") {
		t.Errorf("connecting: %v; says %q", err, g.words())
	}
	if s := g.Status(); s.Connected || s.Certificates[0].State != "no key" || !strings.Contains(s.Error, "not plugged in") {
		t.Errorf("%+v", s)
	}
	var b backoff
	for range 20 {
		_, err := g.step(t.Context())
		if pause, _ := b.next(err); pause > keyPause {
			t.Fatalf("next try in %s", pause)
		}
	}
	// A start without the token does not begin, and says why.
	if _, err := New(Config{Dir: g.req.Dir, Outbox: g.out, Keys: g.req.Keys}); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("start: %v", err)
	}
	back()
	g.deliver(t)
	g.succeeded("send")
	if n, _, _, _ := g.relay.counts(); n != had+2 && n != had+1 || g.words() != "" || !g.Status().Connected {
		t.Errorf("the relay has %d of %d and 2; says %q", n, had, g.words())
	}
}

// A PIN that was changed behind the gateway's back is said, tried once, and
// mended without a restart.
func TestTokenWrongPIN(t *testing.T) {
	g := enrolledInToken(t)
	g.tok.WritePIN(keystoretest.NewPIN(t))
	for range 3 {
		if err := g.tries(t); !errors.Is(err, keystore.ErrPIN) && err == nil {
			t.Fatal("signed with a wrong PIN")
		}
	}
	if w := g.words(); !strings.Contains(w, "refused the PIN in "+g.tok.File) || !strings.Contains(w, "not tried again") {
		t.Errorf("says %q", w)
	}
	g.tok.WritePIN(g.tok.PIN)
	g.deliver(t)
	if n, _, _, _ := g.relay.counts(); n != 40 {
		t.Errorf("the relay has %d", n)
	}
}

// With the keys of an identity go those in the token: of an enrolment that was
// replaced, refused, or given up while the token was out; and no others.
func TestTokenKeysGo(t *testing.T) {
	g := enrolledInToken(t)
	keys := func(want int) {
		t.Helper()
		if n := g.tok.Keys(); n != want {
			t.Errorf("%d keys in the token, want %d", n, want)
		}
	}
	keys(2)
	req := g.req
	req.Force = true
	g.d.used = false
	g.d.spoil = func(a map[string]string) { a["gateway"] = "https://directory.example/g/other" }
	if _, err := Enroll(t.Context(), req); err == nil {
		t.Fatal("took another's identity")
	}
	keys(2)
	g.d.used, g.d.spoil, g.d.lose = false, nil, true
	if _, err := Enroll(t.Context(), req); err == nil {
		t.Fatal("the answer came")
	}
	keys(4) // two wait for their answer
	g.d.lose = false
	back := g.tok.Pull()
	if _, err := Enroll(t.Context(), req); !errors.Is(err, keystore.ErrAbsent) {
		t.Errorf("without the token: %v", err)
	}
	back()
	if _, err := Enroll(t.Context(), req); err != nil {
		t.Fatalf("the same code with the same keys: %v", err)
	}
	keys(4)
	if err := tidyEnrolments(req.Dir, req.Keys); err != nil {
		t.Error(err)
	}
	keys(2)
	g.open(t)
	g.deliver(t)
	// Keys in files from now on; the token is lost, for the time being.
	back = g.tok.Pull()
	req.Keys, g.d.used = keystore.File, false
	if _, err := Enroll(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if err := tidyEnrolments(req.Dir, req.Keys); err != nil {
		t.Error(err)
	}
	g.req = req
	g.open(t)
	back()
	keys(2)
	g.tidyTokens()
	keys(0)
	if es, err := os.ReadDir(req.Dir); err != nil || len(es) != 1 {
		t.Errorf("in the identity folder: %v, %v", es, err)
	}
}

// At any instant of a renewal the token may fail for good: the present pair is
// used on, and what was begun is finished or destroyed later.
func TestTokenFailsWhileRenewing(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	r := newRenewal(t)
	r.keys = tok.Kind
	r.open(t)
	date := func(from, to time.Time) {
		r.est.mu.Lock()
		defer r.est.mu.Unlock()
		r.pki.NotBefore, r.pki.NotAfter = from, to
	}
	now := r.now()
	date(now.AddDate(0, -9, 0), now.AddDate(0, 3, 1)) // due again at once
	if wait := r.renew(t.Context(), clientKind); wait != 0 || tok.Keys() != 1 {
		t.Fatalf("renewed: %s, %d keys: %+v", wait, tok.Keys(), r.certificate(clientKind))
	}
	first := r.serial(t, clientKind)
	r.mu.Lock()
	r.old = first // which the relay takes
	r.mu.Unlock()
	date(now.Add(-10*time.Minute), now.AddDate(1, 0, 0))
	back := tok.Pull()
	if wait := r.renew(t.Context(), clientKind); wait == 0 || !strings.Contains(r.certificate(clientKind).Words, "not plugged in") || r.serial(t, clientKind) != first {
		t.Errorf("without the token: %s, %+v", wait, r.certificate(clientKind))
	}
	back()
	r.refuses("access_denied")
	r.renew(t.Context(), clientKind)
	if tok.Keys() != 2 || r.serial(t, clientKind) != first {
		t.Errorf("%d keys, present one and the one on its way wanted: %+v", tok.Keys(), r.certificate(clientKind))
	}
	r.refuses("invalid_certificate") // the new one: it is given up
	r.renew(t.Context(), clientKind)
	if tok.Keys() != 1 || r.serial(t, clientKind) != first {
		t.Errorf("%d keys: %+v", tok.Keys(), r.certificate(clientKind))
	}
	r.refuses("")
	for range 3 {
		r.renew(t.Context(), clientKind)
	}
	if tok.Keys() != 1 || r.serial(t, clientKind) == first || r.certificate(clientKind).State != "valid" {
		t.Errorf("%d keys: %+v", tok.Keys(), r.certificate(clientKind))
	}
	if err := r.register(t.Context()); err != nil {
		t.Error(err)
	}
}
