package account

import (
	"net/url"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// What comes back through a form is ours, whole, or nothing.
func FuzzOpen(f *testing.F) {
	u, err := url.Parse("https://localhost:8441")
	must(f, err)
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s, err := New(Config{Key: make([]byte, 32), URL: u, Name: "Relay", Cost: signin.Cost{Memory: 64, Time: 1, Threads: 1}, Logger: record.Logger(f), Now: func() time.Time { return now }})
	must(f, err)
	o, err := s.Offer(home)
	must(f, err)
	c, err := s.Challenge()
	must(f, err)
	for _, text := range []string{o.Sealed, c.State, "", "AAAA", o.Sealed[:len(o.Sealed)-1], o.Sealed + "A", o.Sealed + "="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.Open(text); err == nil && (len(got.ID) != tokenSize || len(got.Number) != 12 || got.Site == nil || *got.Site != home || got.Until != now.Add(formLife).Unix()) {
			t.Errorf("opened %q as %+v", text, got)
		}
		var a asking
		if err := s.openText(text, "challenge", &a); err == nil && a.Until != now.Add(formLife).Unix() {
			t.Errorf("opened %q as %+v", text, a)
		}
	})
}

// An answer of a browser is read without harm, and none is good that a passkey
// of ours did not give.
func FuzzAnswer(f *testing.F) {
	u, err := url.Parse("https://localhost:8441")
	must(f, err)
	s, err := New(Config{Key: make([]byte, 32), URL: u, Name: "Relay", Cost: signin.Cost{Memory: 64, Time: 1, Threads: 1}, Logger: record.Logger(f), Now: time.Now})
	must(f, err)
	o, err := s.Offer(home)
	must(f, err)
	for _, text := range []string{"{}", "null", `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := s.ready(t.Context(), o, Way{Answer: text + " "}); err == nil {
			t.Errorf("%q made a passkey", text)
		}
	})
}
