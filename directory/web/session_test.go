package web

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// TestSessions: a session that somebody else knew before signing in is worth
// nothing after it, and the password alone opens nothing.
func TestSessionFixation(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		// A session from half a sign-up, planted in olive's browser.
		link := w.invitation(account.Link{Email: "mallory@perse.example", Member: "bank"})
		mallory := w.browser()
		mallory.post(link, "name", "Mallory", "password", goodPassword).leads(Prefix + "/set-up")
		planted := mallory.cookie()
		if planted == "" {
			t.Fatal("no session to plant")
		}
		victim := w.browser()
		u, _ := url.Parse(w.base)
		victim.jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookie, Value: planted, Path: "/", Secure: true}})
		victim.post(Prefix+"/sign-in", "email", olive.email, "password", goodPassword).leads(Prefix + "/sign-in/second")
		half := victim.cookie()
		if half == planted {
			t.Error("the password did not renew the session")
		}
		mallory.get(Prefix + "/sign-in/second").leads(Prefix + "/sign-in")
		victim.get(Prefix+"/o/perse").is(303, "")
		victim.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).leads(Prefix + "/")
		if full := victim.cookie(); full == half || full == planted {
			t.Error("the second factor did not renew the session")
		}
		victim.get(Prefix+"/o/perse").is(200, "Perse")
		for _, known := range []string{planted, half} {
			thief := w.browser()
			thief.jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookie, Value: known, Path: "/", Secure: true}})
			thief.get(Prefix+"/o/perse").is(303, "")
			thief.get(Prefix+"/account").is(303, "")
			thief.get(Prefix + "/set-up").leads(Prefix + "/") // nor is the half sign-up in it
		}
	})
}

// What matters most asks for the second factor again when it was shown long ago.
func TestSecondFactorAgain(t *testing.T) {
	w := onSQLite(t)
	ada := w.signUp("ada@directory.example", "", true)
	olive := w.spareAccount("olive@perse.example", "perse")
	w.pass(freshFor)
	ada.get(Prefix+"/admin/people").is(200, "olive@perse.example")
	for _, p := range []string{"/account/password", "/account/app", "/account/passkey"} {
		ada.get(Prefix + p).leads(Prefix + "/confirm")
	}
	for _, p := range []string{"/account/password", "/account/app/remove", "/account/recovery-codes", "/admin/people/invite", "/admin/people/" + olive + "/restore-link", "/admin/people/" + olive + "/close"} {
		ada.post(Prefix+p, "password", "another four words here", "email", "x@x.example").leads(Prefix + "/confirm")
	}
	if _, err := w.accounts.Account(w.ctx(), olive); err != nil {
		t.Error("the account is gone")
	}
	ada.get(Prefix + "/account/password").leads(Prefix + "/confirm")
	ada.get(Prefix+"/confirm").is(200, "Is it you?")
	ada.post(Prefix+"/confirm", "code", "000000").is(403, "not right")
	ada.post(Prefix+"/confirm", "code", w.code(ada.secret)).leads(Prefix + "/account/password")
	ada.get(Prefix+"/account/password").is(200, "Change your password")

	// A change of the password ends the other sessions, and not this one.
	elsewhere := ada.signIn()
	ada.post(Prefix+"/account/password", "password", "another four words here").leads(Prefix + "/account")
	ada.get(Prefix+"/account").is(200, "Your password is changed")
	elsewhere.get(Prefix+"/account").is(303, "")
}

func TestSignOut(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		stolen := olive.cookie()
		second, third := olive.signIn(), olive.signIn()
		olive.post(Prefix + "/sign-out").leads(Prefix + "/sign-in")
		thief := w.browser()
		u, _ := url.Parse(w.base)
		thief.jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookie, Value: stolen, Path: "/", Secure: true}})
		thief.get(Prefix+"/account").is(303, "")
		second.get(Prefix+"/account").is(200, "")
		second.post(Prefix + "/account/sign-out-everywhere").leads(Prefix + "/sign-in")
		second.get(Prefix+"/account").is(303, "")
		third.get(Prefix+"/account").is(303, "")

		// Idle for an hour, and after twelve whatever is done.
		fourth := olive.signIn()
		w.pass(account.SessionIdle)
		fourth.get(Prefix+"/account").is(303, "")
		fifth := olive.signIn()
		for range 13 {
			w.pass(account.SessionIdle - time.Minute)
			fifth.get(Prefix + "/account")
		}
		fifth.get(Prefix+"/account").is(303, "")
	})
}

// After signing in one comes back to the page that was wanted, if it is here.
func TestNext(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	for next, want := range map[string]string{
		Prefix + "/o/perse/people":             Prefix + "/o/perse/people",
		"https://evil.example/manage/":         Prefix + "/",
		"//evil.example/manage/":               Prefix + "/",
		`/manage/\evil.example`:                Prefix + "/",
		"/\\evil.example":                      Prefix + "/",
		"/manage//evil.example":                Prefix + "/",
		"/manage/../members/me":                Prefix + "/",
		"javascript:alert(1)":                  Prefix + "/",
		"/manage/\r\nSet-Cookie: x=y":          Prefix + "/",
		"":                                     Prefix + "/",
		Prefix + "/o/perse/applications?x=y#z": Prefix + "/o/perse/applications?x=y#z",
	} {
		w.pass(time.Minute)
		b := w.browser()
		b.post(Prefix+"/sign-in", "email", olive.email, "password", goodPassword, "next", next).leads(Prefix + "/sign-in/second")
		b.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).leads(want)
	}
	p := w.browser().get(Prefix + "/o/perse/people?a=b")
	if p.to != Prefix+"/sign-in?next=%2Fmanage%2Fo%2Fperse%2Fpeople%3Fa%3Db" {
		t.Errorf("to %q", p.to)
	}
}
