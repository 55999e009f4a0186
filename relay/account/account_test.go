package account

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
)

var (
	home = Site{Gateway: "https://directory.example/g/1", Version: "one", Name: "Riverside Unit 4", How: "gateway"}
	here = netip.MustParseAddr("192.0.2.7")
)

const good = "correct horse battery staple"

// world is accounts with a clock and a count of attempts of their own.
type world struct {
	*Service
	t     *testing.T
	clock time.Time
	mu    sync.Mutex
	tried map[string]int
	left  int // attempts of each allowance
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		w := &world{t: t, clock: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), tried: map[string]int{}, left: 1000}
		u, err := url.Parse("https://localhost:8441")
		must(t, err)
		w.Service, err = New(Config{DB: db, Key: make([]byte, 32), URL: u, Name: "Perseus Relay Ltd", Cost: signin.Cost{Memory: 64, Time: 1, Threads: 1}, Logger: record.Logger(t),
			Now: func() time.Time { return w.clock }, Try: w.try})
		must(t, err)
		f(t, w)
	})
}

func (w *world) try(_ context.Context, _ time.Time, of ...Allowance) (func() error, time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range of {
		if w.tried[a.Name] >= w.left {
			return nil, a.Every, nil
		}
	}
	for _, a := range of {
		w.tried[a.Name]++
	}
	return func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, a := range of {
			w.tried[a.Name]--
		}
		return nil
	}, 0, nil
}

func (w *world) code(secret string) string {
	c, err := totp.GenerateCode(secret, w.clock)
	must(w.t, err)
	return c
}

// offer opens an offer as its form brings it back.
func (w *world) offer(x Site) (Offer, Offer) {
	o, err := w.Offer(x)
	must(w.t, err)
	back, err := w.Open(o.Sealed)
	must(w.t, err)
	return o, back
}

// byPassword makes an account with a password.
func (w *world) byPassword(x Site) Offer {
	record.Secret(w.t, "password of a business", good)
	_, o := w.offer(x)
	must(w.t, w.Make(w.t.Context(), o, Way{Password: good, Code: w.code(o.App)}))
	return o
}

func (w *world) session(id string) Session {
	token, err := w.Start(w.t.Context(), id)
	must(w.t, err)
	x, err := w.Session(w.t.Context(), token)
	must(w.t, err)
	return x
}

func (w *world) byKey(a *identitytest.Passkey) (string, error) {
	c, err := w.Challenge()
	must(w.t, err)
	return w.ByPasskey(w.t.Context(), c.State, a.Get(c.Options), here)
}

func newPasskey(t *testing.T) *identitytest.Passkey {
	return identitytest.NewPasskey(t, "localhost", "https://localhost:8441")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestPasskey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		shown, o := w.offer(home)
		a := newPasskey(t)
		answer := a.Create(shown.Options)
		must(t, w.Make(ctx, o, Way{Answer: answer}))
		is(t, "the same form twice", w.Make(ctx, o, Way{Answer: answer}), ErrStale)
		if id, err := w.byKey(a); err != nil || id != o.ID {
			t.Fatalf("signed in as %q, %v", id, err)
		}
		sites, err := w.Sites(ctx, o.ID)
		if err != nil || len(sites) != 1 || sites[0].Gateway != home.Gateway || sites[0].Version != "one" || sites[0].How != "gateway" {
			t.Errorf("sites %+v, %v", sites, err)
		}

		c, err := w.Challenge()
		must(t, err)
		once := a.Get(c.Options)
		if _, err := w.ByPasskey(ctx, c.State, once, here); err != nil {
			t.Fatal(err)
		}
		_, err = w.ByPasskey(ctx, c.State, once, here)
		is(t, "an answer for the second time", err, ErrWrong)
		other, err := w.Challenge()
		must(t, err)
		_, err = w.ByPasskey(ctx, other.State, a.Get(c.Options), here)
		is(t, "the answer to another challenge", err, ErrWrong)
		w.clock = w.clock.Add(formLife + time.Second)
		_, err = w.ByPasskey(ctx, other.State, a.Get(other.Options), here)
		is(t, "after its time", err, ErrWrong)
		for name, change := range map[string]func(*identitytest.Passkey){
			"from another website":     func(a *identitytest.Passkey) { a.Origin = "https://localhost.evil.example" },
			"for another website":      func(a *identitytest.Passkey) { a.Host = "evil.example" },
			"without the person":       func(a *identitytest.Passkey) { a.Flags = 1 },
			"with another key":         func(a *identitytest.Passkey) { a.Key = newPasskey(t).Key },
			"a copy that is behind":    func(a *identitytest.Passkey) { a.Count = 0 },
			"of nobody's account":      func(a *identitytest.Passkey) { a.Handle = []byte("nobody") },
			"with a SQL string for it": func(a *identitytest.Passkey) { a.Handle = []byte("' OR 1=1 --") },
		} {
			b := *a
			change(&b)
			_, err := w.byKey(&b)
			is(t, name, err, ErrWrong)
		}
		for _, junk := range []string{"", "{}", "null", `{"id":"x"}`, strings.Repeat("[", 1000)} {
			_, err := w.ByPasskey(ctx, other.State, junk, here)
			is(t, "answer "+junk[:min(len(junk), 10)], err, ErrWrong)
			_, err = w.ByPasskey(ctx, junk, a.Get(other.Options), here)
			is(t, "state "+junk[:min(len(junk), 10)], err, ErrWrong)
		}
		// What is sealed for one thing is no good for another.
		_, err = w.ByPasskey(ctx, shown.Sealed, a.Get(other.Options), here)
		is(t, "an offer as a challenge", err, ErrWrong)
		_, err = w.Open(other.State)
		is(t, "a challenge as an offer", err, ErrStale)

		// A passkey that one account has does not become another's.
		shown, o2 := w.offer(home)
		is(t, "another account's passkey", w.Make(ctx, o2, Way{Answer: a.Create(shown.Options)}), ErrWrong)
	})
}

func TestPassword(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, o := w.offer(home)
		is(t, "a weak password", w.Make(ctx, o, Way{Password: "password1234", Code: w.code(o.App)}), ErrWeak)
		is(t, "the number as the password", w.Make(ctx, o, Way{Password: o.Number, Code: w.code(o.App)}), ErrWeak)
		is(t, "the number as it is shown", w.Make(ctx, o, Way{Password: Grouped(o.Number), Code: w.code(o.App)}), ErrWeak)
		is(t, "no code", w.Make(ctx, o, Way{Password: good}), ErrWrong)
		must(t, w.Make(ctx, o, Way{Password: good, Code: w.code(o.App)}))
		in := func(number, password, code string) error {
			id, err := w.ByPassword(ctx, number, password, code, here)
			if err == nil && id != o.ID {
				t.Errorf("signed in to %q", id)
			}
			return err
		}
		is(t, "the code that set it up", in(o.Number, good, w.code(o.App)), ErrWrong)
		w.clock = w.clock.Add(time.Minute)
		code := w.code(o.App)
		is(t, "another password", in(o.Number, good+"!", code), ErrWrong)
		is(t, "another code", in(o.Number, good, "000000"), ErrWrong)
		is(t, "no such number", in("123412341234", good, code), ErrWrong)
		is(t, "an injection", in("' OR 1=1 --", good, code), ErrWrong)
		is(t, "a number of nobody, nothing else", in("", "", ""), ErrWrong)
		must(t, in(Grouped(o.Number), good, code[:3]+" "+code[3:]))
		is(t, "a code for the second time", in(o.Number, good, code), ErrWrong)

		// Of many at once with one code, one.
		w.clock = w.clock.Add(time.Minute)
		code = w.code(o.App)
		var wg sync.WaitGroup
		var mu sync.Mutex
		passed := 0
		for range 12 {
			wg.Go(func() {
				_, err := w.ByPassword(ctx, o.Number, good, code, here)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					passed++
				} else if !errors.Is(err, ErrWrong) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if passed != 1 {
			t.Errorf("one code was good %d times", passed)
		}
		var stored, sealed string
		must(t, w.DB.QueryRow(`SELECT password, app FROM accounts WHERE id = $1`, o.ID).Scan(&stored, &sealed))
		if !strings.HasPrefix(stored, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(stored+sealed, good) || strings.Contains(sealed, o.App) {
			t.Errorf("stored: %s %q", stored, sealed)
		}
	})
}

// What failed is counted, what was right is given back; a number that there is
// and one that there is not are counted alike.
func TestAttemptsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		o := w.byPassword(home)
		w.left = 3
		for _, number := range []string{o.Number, "999999999999"} {
			w.tried = map[string]int{}
			for range 3 {
				_, err := w.ByPassword(ctx, number, "wrong wrong wrong", "1", here)
				is(t, "wrong", err, ErrWrong)
			}
			_, err := w.ByPassword(ctx, number, good, w.code(o.App), netip.MustParseAddr("203.0.113.9"))
			var many *TooMany
			if !errors.As(err, &many) || many.Wait <= 0 {
				t.Errorf("after three that failed, from elsewhere: %v", err)
			}
		}
		w.tried = map[string]int{}
		for range 5 {
			w.clock = w.clock.Add(time.Minute)
			if _, err := w.ByPassword(ctx, o.Number, good, w.code(o.App), here); err != nil {
				t.Errorf("right, and refused: %v", err)
			}
		}
		c, err := w.Challenge()
		must(t, err)
		for range 3 {
			_, err := w.ByPasskey(ctx, c.State, "{}", netip.MustParseAddr("2001:db8::1"))
			is(t, "junk", err, ErrWrong)
		}
		_, err = w.ByPasskey(ctx, c.State, "{}", netip.MustParseAddr("2001:db8::2"))
		if many := new(TooMany); !errors.As(err, &many) {
			t.Errorf("another address of the same network: %v", err)
		}
	})
}
