package directory

import (
	"crypto/ecdsa"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

func TestEnrol(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		g, code, err := w.AddGateway(t.Context(), Gateway{Application: w.providerApp.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		clientKey, clientCSR := newKeyCSR(t)
		signingKey, signingCSR := newKeyCSR(t)
		typed := " " + strings.ToLower(strings.ReplaceAll(code, "-", " "))
		v := answer(t, w.enrol(typed, clientCSR, signingCSR), http.StatusCreated)
		for k, want := range map[string]string{
			"gateway": base + "/g/" + g.ID, "member": base + "/m/" + w.provider.ID,
			"organisation": "Perse Energy Ltd", "relay": "https://relay.example.org",
			"client_roots":  string(identity.EncodeCertificates(w.Authorities.Client.Root)),
			"signing_roots": string(identity.EncodeCertificates(w.Authorities.Signing.Root)),
		} {
			if v[k] != want {
				t.Errorf("%s: %v, want %v", k, v[k], want)
			}
		}
		for k, key := range map[string]*ecdsa.PrivateKey{"client_certificate": clientKey, "signing_certificate": signingKey} {
			bundle := must(identity.ParseCertificates([]byte(v[k].(string))))(t)
			p := must(identity.PeerOf(bundle[0]))(t)
			if len(bundle) != 2 || p.Application != base+"/g/"+g.ID || p.Member != base+"/m/"+w.provider.ID || len(p.Roles) != 0 {
				t.Errorf("%s: %+v", k, p)
			}
			if !key.PublicKey.Equal(bundle[0].PublicKey) {
				t.Errorf("%s: not for the key that was asked for", k)
			}
		}
		if g := must(w.Gateway(t.Context(), g.ID))(t); !g.Enrolled.Equal(start) {
			t.Errorf("enrolled %s", g.Enrolled)
		}
		// The same again, and with other keys: the code is used up.
		if e := answer(t, w.enrol(code, clientCSR, signingCSR), http.StatusForbidden); e["error"] != "invalid_code" {
			t.Errorf("replay: %v", e)
		}
		// A fresh code brings the gateway back, and ends earlier codes.
		second := must(w.NewCode(t.Context(), g.ID))(t)
		third := must(w.NewCode(t.Context(), g.ID))(t)
		answer(t, w.enrol(second, clientCSR, signingCSR), http.StatusForbidden)
		answer(t, w.enrol(third, clientCSR, signingCSR), http.StatusCreated)
		for _, c := range []string{code, second, third} {
			if strings.Contains(w.logs.String(), c) {
				t.Error("a code is in the log")
			}
		}
	})
}

func TestCodeExpires(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		_, a := newKeyCSR(t)
		_, b := newKeyCSR(t)
		w.clock.add(CodeLife)
		answer(t, w.enrol(code, a, b), http.StatusForbidden)
		w.clock.add(-time.Second)
		answer(t, w.enrol(code, a, b), http.StatusCreated)
	})
}

// TestCodeOnce: of sixteen enrolments with one code at once, one succeeds, and
// one pair of certificates exists.
func TestCodeOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 5 {
			g, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			errs := make([]error, 16)
			for i := range errs {
				_, a := newKeyCSR(t)
				_, b := newKeyCSR(t)
				wg.Go(func() { _, errs[i] = w.Enroll(t.Context(), code, []byte(a), []byte(b)) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, ErrCode) {
					t.Error(err)
				}
			}
			var made int
			if err := w.DB.QueryRow(`SELECT COUNT(*) FROM directory_certificates WHERE gateway = $1`, g.ID).Scan(&made); err != nil {
				t.Fatal(err)
			}
			if won != 1 || made != 2 {
				t.Fatalf("%d enrolments succeeded, %d certificates were made", won, made)
			}
		}
	})
}

// TestGuessing: wrong codes run out by address; right ones cost nothing; the
// allowance comes back.
func TestGuessing(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/d.db")
	_, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	enrolFrom := func(address, code string) int {
		r := w.request(http.MethodPost, "/gateway/v1/enrollments",
			map[string]string{"code": code, "client_csr": a, "signing_csr": b})
		r.RemoteAddr = address
		return w.serve(r).Code
	}
	for range 30 { // an installer behind one address
		_, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit", Site: "Site"})
		if err != nil {
			t.Fatal(err)
		}
		if got := enrolFrom("192.0.2.1:1000", code); got != http.StatusCreated {
			t.Fatalf("a right code: %d", got)
		}
	}
	for i := range 10 {
		code := identity.NewCode()
		if i == 3 {
			code = "not even a code"
		}
		if got := enrolFrom("192.0.2.1:1000", code); got != http.StatusForbidden {
			t.Fatalf("wrong code %d: %d", i, got)
		}
	}
	_, right, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit", Site: "Site"})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{identity.NewCode(), right} {
		if got := enrolFrom("192.0.2.1:2000", code); got != http.StatusTooManyRequests {
			t.Fatalf("after ten wrong codes: %d", got)
		}
	}
	if got := enrolFrom("192.0.2.2:1000", identity.NewCode()); got != http.StatusForbidden {
		t.Fatalf("from another address: %d", got)
	}
	w.clock.add(guessEvery)
	if got := enrolFrom("192.0.2.1:1000", right); got != http.StatusCreated {
		t.Fatalf("later: %d", got)
	}
}

func TestGuessingAtOnce(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/d.db")
	_, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	var wg sync.WaitGroup
	got := make([]int, 40)
	for i := range got {
		wg.Go(func() { got[i] = w.enrol(identity.NewCode(), a, b).Code })
	}
	wg.Wait()
	n := map[int]int{}
	for _, c := range got {
		n[c]++
	}
	if n[http.StatusForbidden] != guessBurst || n[http.StatusTooManyRequests] != 40-guessBurst {
		t.Errorf("answers %v", n)
	}
}
