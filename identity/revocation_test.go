package identity_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// crl makes a list of the hierarchy with the given serials in it.
func crl(t *testing.T, h *identitytest.Hierarchy, number int64, made time.Time, serials ...*big.Int) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: made, NextUpdate: made.Add(24 * time.Hour)}
	for _, s := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: made})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, h.Issuer, h.IssuerKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	made = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	a, b = big.NewInt(1001), new(big.Int).Lsh(big.NewInt(1), 127)
)

// TestRevocations: a good list comes into force, anything else leaves the last
// good one there and is reported.
func TestRevocations(t *testing.T) {
	pki := identitytest.New(t)
	now := made
	var der []byte
	var fetchErr error
	var log bytes.Buffer
	r, err := identity.NewRevocations(identity.RevocationsConfig{
		Sources: []identity.CRLSource{{Name: "client", Issuer: pki.ClientCA.Issuer,
			Fetch: func(context.Context) ([]byte, error) { return der, fetchErr }}},
		Now: func() time.Time { return now }, Logger: slog.New(record.Handler(t, slog.NewTextHandler(&log, nil))),
	})
	if err != nil {
		t.Fatal(err)
	}
	tampered := crl(t, pki.ClientCA, 9, made)
	tampered[len(tampered)-1] ^= 1
	critical := func() []byte {
		l := &x509.RevocationList{Number: big.NewInt(9), ThisUpdate: made, NextUpdate: made.Add(time.Hour),
			ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}} // a list of a part only
		der, err := x509.CreateRevocationList(rand.Reader, l, pki.ClientCA.Issuer, pki.ClientCA.IssuerKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}()
	for _, x := range []struct {
		name   string
		at     time.Duration
		der    []byte
		err    error
		want   string // part of the error; "" is success
		a, b   bool   // revoked afterwards
		age    time.Duration
		ageOK  bool
		logged string
	}{
		{name: "nothing yet", err: errors.New("no route"), want: "client: no route", logged: "no revocation list yet"},
		{name: "first", der: crl(t, pki.ClientCA, 5, made, a), a: true, ageOK: true},
		{name: "outage", at: time.Hour, err: errors.New("no route"), want: "no route", a: true, age: time.Hour, ageOK: true, logged: "not renewed"},
		{name: "other issuer", at: time.Hour, der: crl(t, pki.SigningCA, 9, made), want: "not signed by", a: true, age: time.Hour, ageOK: true},
		{name: "tampered", at: time.Hour, der: tampered, want: "not signed by", a: true, age: time.Hour, ageOK: true},
		{name: "nonsense", at: time.Hour, der: []byte("hello"), want: "x509", a: true, age: time.Hour, ageOK: true},
		{name: "partial list", at: time.Minute, der: critical, want: "critical", a: true, age: time.Minute, ageOK: true},
		{name: "older", at: time.Hour, der: crl(t, pki.ClientCA, 4, made), want: "older", a: true, age: time.Hour, ageOK: true},
		{name: "future", at: time.Hour, der: crl(t, pki.ClientCA, 9, made.Add(2*time.Hour)), want: "future", a: true, age: time.Hour, ageOK: true},
		{name: "second", at: 2 * time.Hour, der: crl(t, pki.ClientCA, 6, made.Add(2*time.Hour), a, b), a: true, b: true, ageOK: true},
		{name: "same again", at: 3 * time.Hour, der: crl(t, pki.ClientCA, 6, made.Add(2*time.Hour), a, b), a: true, b: true, age: time.Hour, ageOK: true},
		{name: "out of date", at: 27 * time.Hour, der: crl(t, pki.ClientCA, 7, made.Add(2*time.Hour)), want: "out of date", a: true, b: true, age: 25 * time.Hour, ageOK: true,
			logged: "no certificate can be accepted"},
		{name: "back", at: 27 * time.Hour, der: crl(t, pki.ClientCA, 8, made.Add(27*time.Hour), b), b: true, ageOK: true},
	} {
		now, der, fetchErr = made.Add(x.at), x.der, x.err
		log.Reset()
		err := r.Refresh(t.Context())
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: error %v, want %q", x.name, err, x.want)
		}
		if r.Revoked(a) != x.a || r.Revoked(b) != x.b || r.Revoked(big.NewInt(7)) {
			t.Errorf("%s: revoked %t %t", x.name, r.Revoked(a), r.Revoked(b))
		}
		if age, ok := r.Age(); age != x.age || ok != x.ageOK {
			t.Errorf("%s: age %s %t", x.name, age, ok)
		}
		if current := r.Current() == nil; current != (x.name != "nothing yet" && x.name != "out of date") {
			t.Errorf("%s: current %t", x.name, current)
		}
		if warned := strings.Contains(log.String(), "level=WARN"); warned != (x.want != "") || !strings.Contains(log.String(), x.logged) {
			t.Errorf("%s: log %q", x.name, log.String())
		}
	}
}

// TestRevocationsRun: lists are fetched at once and then every interval; one
// that hangs is given up; the end of the context ends it.
func TestRevocationsRun(t *testing.T) {
	pki := identitytest.New(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var fetched []time.Duration
		r, err := identity.NewRevocations(identity.RevocationsConfig{
			Sources: []identity.CRLSource{
				{Name: "hangs", Issuer: pki.SigningCA.Issuer, Fetch: func(ctx context.Context) ([]byte, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}},
				{Name: "client", Issuer: pki.ClientCA.Issuer, Fetch: func(context.Context) ([]byte, error) {
					fetched = append(fetched, time.Since(began))
					return crl(t, pki.ClientCA, int64(len(fetched)), time.Now(), a), nil
				}},
			},
			Interval: time.Minute, Timeout: 10 * time.Second, Logger: record.Logger(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute-time.Second)
		defer cancel()
		if err := r.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		// Nothing is accepted while a list was never had: it is asked for soon again.
		if got := fmt.Sprint(fetched[:3]); got != "[10s 25s 40s]" {
			t.Errorf("fetched at %s", got)
		}
		if err := r.Current(); err == nil || !strings.Contains(err.Error(), "hangs") {
			t.Errorf("current: %v", err)
		}
		if !r.Revoked(a) {
			t.Error("not revoked")
		}
		if _, ok := r.Age(); ok {
			t.Error("an age though one list was never had")
		}
	})
}

func TestFetchCRL(t *testing.T) {
	body := []byte("list")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			w.Write(body)
		case "/huge":
			for range 17 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	for path, want := range map[string]string{"/ok": "", "/missing": "404", "/huge": "larger than"} {
		got, err := identity.FetchCRL(srv.Client(), srv.URL+path)(t.Context())
		if want == "" && (err != nil || !bytes.Equal(got, body)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := identity.NewRevocations(identity.RevocationsConfig{Sources: []identity.CRLSource{{Name: "x"}}}); err == nil {
		t.Error("a source without issuer")
	}
}
