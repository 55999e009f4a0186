package permission

import (
	"errors"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// No bytes make the reader of messages panic, or are taken for a withdrawal
// that they are not.
func FuzzMessage(f *testing.F) {
	sc, err := scheme.New("https://registry.example")
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{c: Config{Scheme: sc, WithdrawalSubject: scheme.WithdrawalMessage}}
	f.Add([]byte(`{"ib1:message":"https://registry.example/trust-framework","subject":"` + scheme.WithdrawalMessage + `","body":{"token":"x"}}`))
	f.Add([]byte(`{"body":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		err := s.parseMessage(b, &m)
		if err == nil && (m.Body.Token == "" || len(m.Body.Token) > 4096 || m.Framework != sc.TrustFramework() || m.Subject != scheme.WithdrawalMessage) {
			t.Errorf("%q was taken", b)
		}
		if e := new(Error); err != nil && !errors.As(err, &e) {
			t.Errorf("%v is not for the sender", err)
		}
	})
}
