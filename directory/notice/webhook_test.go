package notice

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func TestWebhook(t *testing.T) {
	var answers []int
	var bodies []string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if got, want := r.Header.Get("Perseus-Signature"), "t=1795339800,v1="+Sign([]byte("a key for signing"), "1795339800", b); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
		bodies = append(bodies, string(b))
		code := answers[0]
		answers = answers[1:]
		if code == 302 {
			http.Redirect(w, r, "/elsewhere", code)
			return
		}
		w.WriteHeader(code)
	}))
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	h, err := NewWebhook(srv.URL+record.Secret(t, "address of a webhook", "/hook?token=hunter2"), []byte(record.Secret(t, "key of a webhook", "a key for signing")), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	h.now, h.wait = func() time.Time { return at }, func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	n := Notice{ID: "x-30", Subject: "Ends", Text: "soon", At: at, Data: map[string]int{"days": 30}}
	for _, x := range []struct {
		answers []int
		tries   int
		ok      bool
	}{
		{[]int{204}, 1, true}, {[]int{500, 429, 200}, 3, true}, {[]int{503, 503, 503, 503}, 4, false}, {[]int{403}, 1, false}, {[]int{302}, 1, false},
	} {
		answers, bodies, waited = x.answers, nil, nil
		err := h.Send(t.Context(), n)
		if (err == nil) != x.ok || len(bodies) != x.tries || len(waited) != x.tries-1 {
			t.Errorf("%v: %v after %d tries, waited %v", x.answers, err, len(bodies), waited)
		}
		for i, d := range waited {
			if d != []time.Duration{time.Second, 4 * time.Second, 16 * time.Second}[i] {
				t.Errorf("waited %v", waited)
			}
		}
		for _, b := range bodies {
			var v struct {
				ID, At, Subject, Text string
				Data                  map[string]int
			}
			if err := json.Unmarshal([]byte(b), &v); err != nil || v.ID != "x-30" || v.At != "2026-11-22T09:30:00Z" || v.Data["days"] != 30 || b != bodies[0] {
				t.Errorf("body %s", b)
			}
		}
	}
	srv.Close()
	if err := h.Send(t.Context(), n); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a receiver that is away: %v", err)
	}
	h.wait = func(context.Context, time.Duration) error { return errors.New("stopped") }
	if err := h.Send(t.Context(), n); err == nil || err.Error() != "stopped" {
		t.Error(err)
	}
	for address, secret := range map[string]string{"http://example.org/": "a key for signing", "https://example.org/": "short", "ftp://x": "a key for signing", "https://u:p@x/": "a key for signing", "": "a key for signing"} {
		if _, err := NewWebhook(address, []byte(secret), nil); err == nil {
			t.Errorf("%s with %s taken", address, secret)
		}
	}
}
