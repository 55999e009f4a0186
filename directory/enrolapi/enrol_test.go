package enrolapi_test

import (
	"crypto/ecdsa"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
)

func TestEnrol(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		g, code, err := w.AddGateway(t.Context(), directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		clientKey, clientCSR := dirtest.NewKeyCSR(t)
		signingKey, signingCSR := dirtest.NewKeyCSR(t)
		typed := " " + strings.ToLower(strings.ReplaceAll(code, "-", " "))
		v := dirtest.Answer(t, w.Enrol(typed, clientCSR, signingCSR), http.StatusCreated)
		for k, want := range map[string]string{
			"gateway": dirtest.Base + "/g/" + g.ID, "member": dirtest.Base + "/m/" + w.Provider.ID,
			"organisation": "Perse Energy Ltd", "relay": "https://relay.example.org",
			"client_roots":  string(identity.EncodeCertificates(w.Authorities.Client.Root)),
			"signing_roots": string(identity.EncodeCertificates(w.Authorities.Signing.Root)),
		} {
			if v[k] != want {
				t.Errorf("%s: %v, want %v", k, v[k], want)
			}
		}
		for k, key := range map[string]*ecdsa.PrivateKey{"client_certificate": clientKey, "signing_certificate": signingKey} {
			bundle := dirtest.Must(identity.ParseCertificates([]byte(v[k].(string))))(t)
			p := dirtest.Must(identity.PeerOf(bundle[0]))(t)
			if len(bundle) != 2 || p.Application != dirtest.Base+"/g/"+g.ID || p.Member != dirtest.Base+"/m/"+w.Provider.ID || len(p.Roles) != 0 {
				t.Errorf("%s: %+v", k, p)
			}
			if !key.PublicKey.Equal(bundle[0].PublicKey) {
				t.Errorf("%s: not for the key that was asked for", k)
			}
		}
		if g := dirtest.Must(w.Gateway(t.Context(), g.ID))(t); !g.Enrolled.Equal(dirtest.Start) {
			t.Errorf("enrolled %s", g.Enrolled)
		}
		// The same again, whose answer was lost, gets the same certificates; with
		// other keys, or one other, the code is used up.
		if again := dirtest.Answer(t, w.Enrol(code, clientCSR, signingCSR), http.StatusCreated); again["client_certificate"] != v["client_certificate"] || again["signing_certificate"] != v["signing_certificate"] {
			t.Errorf("the same again: %v", again)
		}
		_, other := dirtest.NewKeyCSR(t)
		_, another := dirtest.NewKeyCSR(t)
		for _, x := range [][2]string{{other, another}, {clientCSR, other}, {other, signingCSR}, {signingCSR, clientCSR}} {
			if e := dirtest.Answer(t, w.Enrol(code, x[0], x[1]), http.StatusForbidden); e["error"] != "invalid_code" {
				t.Errorf("replay: %v", e)
			}
		}
		// A fresh code brings the gateway back, and ends earlier codes.
		second := dirtest.Must(w.NewCode(t.Context(), g.ID))(t)
		third := dirtest.Must(w.NewCode(t.Context(), g.ID))(t)
		dirtest.Answer(t, w.Enrol(code, clientCSR, signingCSR), http.StatusForbidden) // not even as a lost answer
		dirtest.Answer(t, w.Enrol(second, other, another), http.StatusForbidden)
		if e := dirtest.Answer(t, w.Enrol(third, clientCSR, another), http.StatusBadRequest); !strings.Contains(e["error_description"].(string), "make a new key") {
			t.Errorf("a key that had a certificate: %v", e)
		}
		dirtest.Answer(t, w.Enrol(third, other, another), http.StatusCreated)
		for _, c := range []string{code, second, third} {
			if strings.Contains(w.Logs.String(), c) {
				t.Error("a code is in the log")
			}
		}
	})
}

func TestCodeExpires(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		_, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		_, a := dirtest.NewKeyCSR(t)
		_, b := dirtest.NewKeyCSR(t)
		w.Clock.Add(directory.CodeLife)
		dirtest.Answer(t, w.Enrol(code, a, b), http.StatusForbidden)
		w.Clock.Add(-time.Second)
		dirtest.Answer(t, w.Enrol(code, a, b), http.StatusCreated)
	})
}

// TestCodeOnce: of sixteen gateways with one code at once, at two processes of
// the directory, one gets in, and one pair of certificates exists.
func TestCodeOnce(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		both := []*directory.Service{w.Service, dirtest.Must(directory.New(w.Config))(t)}
		for range 5 {
			g, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			errs := make([]error, 16)
			for i := range errs {
				_, a := dirtest.NewKeyCSR(t)
				_, b := dirtest.NewKeyCSR(t)
				wg.Go(func() { _, errs[i] = both[i%2].Enroll(t.Context(), code, []byte(a), []byte(b)) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, fault.ErrCode) {
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
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	_, a := dirtest.NewKeyCSR(t)
	_, b := dirtest.NewKeyCSR(t)
	enrolFrom := func(address, code string) int {
		r := w.Request(http.MethodPost, "/gateway/v1/enrollments",
			map[string]string{"code": code, "client_csr": a, "signing_csr": b})
		r.RemoteAddr = address
		return w.Serve(r).Code
	}
	for range 30 { // an installer behind one address
		_, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit", Site: "Site"})
		if err != nil {
			t.Fatal(err)
		}
		if got := enrolFrom("192.0.2.1:1000", code); got != http.StatusCreated {
			t.Fatalf("a right code: %d", got)
		}
	}
	for i := range 10 {
		code := identity.NewEnrolCode()
		if got := enrolFrom("192.0.2.1:1000", code); got != http.StatusForbidden {
			t.Fatalf("wrong code %d: %d", i, got)
		}
	}
	_, right, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit", Site: "Site"})
	if err != nil {
		t.Fatal(err)
	}
	// A slip of the finger is told at once and costs nothing.
	for _, typed := range []string{"not even a code", "", right[:len(right)-1], strings.NewReplacer("2", "3", "3", "2", "4", "5", "5", "4", "A", "C", "C", "A").Replace(right[:1]) + right[1:] + "2"} {
		v := dirtest.Answer(t, w.Enrol(typed, a, b), http.StatusBadRequest)
		if v["error"] != "mistyped_code" {
			t.Errorf("%q: %v", typed, v)
		}
	}
	for _, code := range []string{identity.NewEnrolCode(), right} {
		if got := enrolFrom("192.0.2.1:2000", code); got != http.StatusTooManyRequests {
			t.Fatalf("after ten wrong codes: %d", got)
		}
	}
	if got := enrolFrom("192.0.2.2:1000", identity.NewEnrolCode()); got != http.StatusForbidden {
		t.Fatalf("from another address: %d", got)
	}
	w.Clock.Add(directory.GuessEvery)
	if got := enrolFrom("192.0.2.1:1000", right); got != http.StatusCreated {
		t.Fatalf("later: %d", got)
	}
}

func TestGuessingAtOnce(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	_, a := dirtest.NewKeyCSR(t)
	_, b := dirtest.NewKeyCSR(t)
	var wg sync.WaitGroup
	got := make([]int, 40)
	for i := range got {
		wg.Go(func() { got[i] = w.Enrol(identity.NewEnrolCode(), a, b).Code })
	}
	wg.Wait()
	n := map[int]int{}
	for _, c := range got {
		n[c]++
	}
	if n[http.StatusForbidden] != directory.GuessBurst || n[http.StatusTooManyRequests] != 40-directory.GuessBurst {
		t.Errorf("answers %v", n)
	}
}
