package signin_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func passkeys(t testing.TB, alone bool) *signin.Passkeys {
	p, err := signin.NewPasskeys(signin.PasskeyConfig{URL: &url.URL{Scheme: "https", Host: "relay.example:8441"}, Name: "Relay", Patience: time.Hour, Alone: alone, Logger: record.Logger(t)})
	must(t, err)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made makes a passkey of an account.
func made(t testing.TB, p *signin.Passkeys, h signin.Holder, phone *identitytest.Passkey) signin.Passkey {
	t.Helper()
	c, err := p.Make(h)
	must(t, err)
	k, ok, err := p.Made(h, c.State, phone.Create(c.Options))
	if err != nil || !ok || k.Account != h.ID || k.ID == "" {
		t.Fatalf("%+v, %v, %v", k, ok, err)
	}
	return k
}

// A passkey that stands alone asks for the person, and is found by the browser;
// one after a password need not.
func TestPasskeyAloneOrAfterAPassword(t *testing.T) {
	h := signin.Holder{ID: "0001", Name: "olive@perse.example", Title: "Olive"}
	for _, alone := range []bool{true, false} {
		p := passkeys(t, alone)
		c, err := p.Make(h)
		must(t, err)
		for _, want := range []string{`"residentKey":"required"`, `"requireResidentKey":true`, `"userVerification":"required"`} {
			if strings.Contains(c.Options, want) != alone {
				t.Errorf("alone %v: %s in %s", alone, want, c.Options)
			}
		}
		for _, want := range []string{`"name":"olive@perse.example"`, `"displayName":"Olive"`, `"timeout":3600000`, `"id":"relay.example"`, `"attestation":"none"`} {
			if !strings.Contains(c.Options, want) {
				t.Errorf("alone %v: no %s in %s", alone, want, c.Options)
			}
		}
		phone := identitytest.NewPasskey(t, "relay.example", "https://relay.example:8441")
		phone.Flags = 1 // present, and not verified
		_, ok, err := p.Made(h, c.State, phone.Create(c.Options))
		if must(t, err); ok == alone {
			t.Errorf("alone %v: made without the person: %v", alone, ok)
		}
		phone.Flags |= 4
		with := h
		with.Records = []string{made(t, p, h, phone).Record}
		phone.Flags = 1
		c, err = p.Ask(with)
		must(t, err)
		k, ok, err := p.Shown(with, c.State, phone.Get(c.Options))
		if must(t, err); ok == alone || ok && k.Record == with.Records[0] {
			t.Errorf("alone %v: shown without the person: %v, %+v", alone, ok, k)
		}
		if c, err = p.AskAny(); err != nil || !strings.Contains(c.Options, `"userVerification":"required"`) {
			t.Errorf("alone %v: any: %s, %v", alone, c.Options, err)
		}
		find := func(id string) (signin.Holder, error) {
			if id != h.ID {
				return signin.Holder{}, nil
			}
			return with, nil
		}
		_, ok, err = p.ShownAny(c.State, phone.Get(c.Options), find)
		if must(t, err); ok {
			t.Errorf("alone %v: any, without the person", alone)
		}
		phone.Flags |= 4
		k, ok, err = p.ShownAny(c.State, phone.Get(c.Options), find)
		if must(t, err); !ok || k.Account != h.ID {
			t.Errorf("alone %v: any: %v, %+v", alone, ok, k)
		}
	}
}

// What is asked of one account, or of any, is not answered for the other kind;
// and a fault of ours is none of the person's.
func TestPasskeyFaults(t *testing.T) {
	p := passkeys(t, true)
	phone := identitytest.NewPasskey(t, "relay.example", "https://relay.example:8441")
	h := signin.Holder{ID: "0001", Name: "x", Title: "x"}
	h.Records = []string{made(t, p, h, phone).Record}
	one, err := p.Ask(h)
	must(t, err)
	any, err := p.AskAny()
	must(t, err)
	finds := func(h signin.Holder, err error) func(string) (signin.Holder, error) {
		return func(string) (signin.Holder, error) { return h, err }
	}
	if _, ok, err := p.Shown(h, any.State, phone.Get(any.Options)); ok || err != nil {
		t.Errorf("any for one: %v, %v", ok, err)
	}
	if _, ok, err := p.ShownAny(one.State, phone.Get(one.Options), finds(h, nil)); ok || err != nil {
		t.Errorf("one for any: %v, %v", ok, err)
	}
	if _, ok, err := p.ShownAny(any.State, phone.Get(any.Options), finds(signin.Holder{}, nil)); ok || err != nil {
		t.Errorf("of nobody: %v, %v", ok, err)
	}
	lost := errors.New("no database")
	if _, ok, err := p.ShownAny(any.State, phone.Get(any.Options), finds(h, lost)); ok || !errors.Is(err, lost) {
		t.Errorf("no database: %v, %v", ok, err)
	}
	broken := h
	broken.Records = []string{"{"}
	if _, err := p.Make(broken); err == nil {
		t.Error("a broken record: made")
	}
	if _, err := p.Ask(broken); err == nil {
		t.Error("a broken record: asked")
	}
	if _, ok, err := p.Shown(broken, one.State, phone.Get(one.Options)); ok || err == nil {
		t.Errorf("a broken record: %v, %v", ok, err)
	}
	if _, ok, err := p.ShownAny(any.State, phone.Get(any.Options), finds(broken, nil)); ok || err == nil {
		t.Errorf("a broken record of anybody: %v, %v", ok, err)
	}
	if c, err := p.Ask(signin.Holder{ID: "0002"}); err != nil || c.Options != "" {
		t.Errorf("of an account with none: %+v, %v", c, err)
	}
	if _, ok, err := p.ShownAny(any.State, phone.Get(any.Options), finds(h, nil)); !ok || err != nil {
		t.Errorf("and right: %v, %v", ok, err)
	}

	// An address that is no name has no passkeys.
	none, err := signin.NewPasskeys(signin.PasskeyConfig{URL: &url.URL{Scheme: "https", Host: "192.0.2.1"}, Name: "Relay", Patience: time.Hour, Logger: record.Logger(t)})
	if err == nil || none != nil {
		t.Fatalf("%v, %v", none, err)
	}
	for _, begin := range []func() (signin.Ceremony, error){func() (signin.Ceremony, error) { return none.Make(h) }, func() (signin.Ceremony, error) { return none.Ask(h) }, none.AskAny} {
		if c, err := begin(); err != nil || c.Options != "" || c.State != nil {
			t.Errorf("begun: %+v, %v", c, err)
		}
	}
	making, err := p.Make(h)
	must(t, err)
	if _, ok, err := none.Made(h, making.State, phone.Create(making.Options)); ok || err != nil {
		t.Errorf("made: %v, %v", ok, err)
	}
	if _, ok, err := none.Shown(h, one.State, phone.Get(one.Options)); ok || err != nil {
		t.Errorf("shown: %v, %v", ok, err)
	}
	if _, ok, err := none.ShownAny(any.State, phone.Get(any.Options), finds(h, nil)); ok || err != nil {
		t.Errorf("shown by any: %v, %v", ok, err)
	}
}
