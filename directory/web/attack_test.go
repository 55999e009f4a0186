package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// Nobody learns from the pages which addresses have an account: the same
// status, the same words, for the password, for too many, for the forgotten.
func TestEnumeration(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		m := &mails{more: make(chan struct{}, 100)}
		w.app.Mail = m.send
		for _, path := range []string{"/sign-in", "/forgotten"} {
			var answers [2][]string
			for i, email := range []string{olive.email, "nobody@perse.example"} {
				for range 12 { // past the limit
					p := w.browser().post(Prefix+path, "email", email, "password", "wrong password")
					answers[i] = append(answers[i], http.StatusText(p.status)+p.header.Get("Retry-After")+strings.ReplaceAll(p.body, email, "ADDRESS"))
				}
			}
			for n := range answers[0] {
				if answers[0][n] != answers[1][n] {
					t.Errorf("%s, attempt %d: known %s, unknown %s", path, n, words(answers[0][n]), words(answers[1][n]))
				}
			}
		}
		<-m.more
	})
}

// A link for a forgotten password goes to the account's address alone, and the
// second factor stays.
func TestForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		w.browser().get(Prefix+"/forgotten").is(200, "Ask the administrator")
		m := &mails{more: make(chan struct{}, 100)}
		w.app.Mail = m.send
		b := w.browser()
		b.get(Prefix+"/forgotten").is(200, "We mail you a link")
		b.post(Prefix+"/forgotten", "email", "OLIVE@perse.example").is(200, "on its way")
		<-m.more
		m.mu.Lock()
		text := m.sent[0]
		m.mu.Unlock()
		to, rest, _ := strings.Cut(text, "\n")
		_, link, _ := strings.Cut(rest, w.base)
		link, _, _ = strings.Cut(link, "\n")
		w.secrets = append(w.secrets, link[strings.LastIndexByte(link, '/')+1:])
		if to != olive.email || !strings.HasPrefix(link, Prefix+"/password/") {
			t.Fatalf("mail %q", text)
		}
		b.post(link, "password", "another four words here").leads(Prefix + "/sign-in")
		olive.get(Prefix+"/account").is(303, "") // all sessions have ended
		b.post(Prefix+"/sign-in", "email", olive.email, "password", "another four words here").leads(Prefix + "/sign-in/second")
		b.get(Prefix+"/account").is(303, "")
		b.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).leads(Prefix + "/")
		b.get(Prefix+"/account").is(200, olive.email)

		// With mail, an owner sees no link: the mail is what shows whose an address is.
		p := b.post(Prefix+"/o/perse/people", "email", "pat@perse.example")
		<-m.more
		p.leads(Prefix + "/o/perse/people")
	})
}

// Forms from other sites do nothing, whatever they carry.
func TestCSRF(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	for _, h := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://evil.localhost"}},
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		olive.header = h
		for _, r := range w.app.routes() {
			if r.method == "POST" {
				olive.post(Prefix+strings.NewReplacer("{member}", "perse", "{id}", "perse-app").Replace(r.path), "name", "x").is(403, "sent from another site")
			}
		}
	}
	olive.header = w.browser().header
	olive.get(Prefix+"/o/perse").is(200, "Perse")
	if as, err := w.dir.Applications(w.ctx(), "perse"); err != nil || len(as) != 1 || as[0].Name != w.perseApp.Name {
		t.Errorf("applications %+v %v", as, err)
	}
	// No page changes anything when it is only looked at.
	before, err := w.dir.Tokens(w.ctx(), "perse")
	w.must(err)
	olive.get(Prefix+"/o/perse/tokens?label=x&access=owner").is(200, "")
	olive.get(Prefix+"/sign-out").is(404, "")
	if after, err := w.dir.Tokens(w.ctx(), "perse"); err != nil || len(after) != len(before) {
		t.Errorf("tokens %v %v", after, err)
	}
}

// Codes, recovery codes and links are good once, over the pages too.
func TestReplay(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		in := func(code string) page {
			b := w.browser()
			b.post(Prefix+"/sign-in", "email", olive.email, "password", goodPassword).leads(Prefix + "/sign-in/second")
			return b.post(Prefix+"/sign-in/second", "code", code)
		}
		code := w.code(olive.secret)
		in(code).leads(Prefix + "/")
		in(code).is(403, "not right")
		in(olive.codes[0]).leads(Prefix + "/")
		in(olive.codes[0]).is(403, "not right")
		in("").is(403, "")

		link := w.invitation(account.Link{Email: "pat@perse.example", Member: "perse"})
		first, second := w.browser(), w.browser() // both before the invitation is used
		for _, b := range []*browser{first, second} {
			b.post(link, "name", "Pat", "password", goodPassword).leads(Prefix + "/set-up")
		}
		secret := func(b *browser) string {
			return strings.ReplaceAll(b.get(Prefix+"/set-up").find(`<code class="key">([A-Z2-7 ]+)</code>`), " ", "")
		}
		first.post(Prefix+"/set-up", "code", w.code(secret(first))).is(200, "recovery codes")
		second.post(Prefix+"/set-up", "code", w.code(secret(second))).is(410, "does not work any more")
		w.browser().get(link).is(410, "")
	})
}

func TestBruteForce(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	w.pass(time.Hour)
	b := w.browser()
	b.post(Prefix+"/sign-in", "email", olive.email, "password", goodPassword).leads(Prefix + "/sign-in/second")
	for i := 0; ; i++ {
		p := b.post(Prefix+"/sign-in/second", "code", "000000")
		if p.status == http.StatusTooManyRequests {
			if i != 5 || p.header.Get("Retry-After") == "" {
				t.Errorf("after %d guesses, Retry-After %q", i, p.header.Get("Retry-After"))
			}
			break
		}
		p.is(403, "not right")
		if i > 20 {
			t.Fatal("no limit on codes")
		}
	}
	b.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).is(429, "Wait")
	w.pass(15 * time.Minute) // and the password must be given again
	b.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).leads(Prefix + "/sign-in")
	olive.signIn()
}

// An invitation that was opened by somebody who is signed in, or has an account.
func TestAccept(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		link := w.invitation(account.Link{Email: olive.email, Member: "bank"})
		olive.get(Prefix+"/o/bank").is(404, "")
		stranger := w.browser()
		stranger.get(link).is(200, "You have an account already")
		stranger.post(link, "name", "Mallory", "password", goodPassword).is(409, "sign in with it")
		stranger.post(link + "/accept").leads(Prefix + "/sign-in")
		olive.get(link).is(200, "Accept with this account")
		olive.post(link + "/accept").leads(Prefix + "/o/bank")
		olive.get(Prefix+"/o/bank").is(200, "Bank of Examples plc")
		olive.get(Prefix+"/").is(200, "Bank of Examples plc").is(200, "Perse")
		w.signUp("bob@bank.example", "bank", false).post(link+"/accept").is(410, "")
	})
}

// Whoever only looks leaves nothing in the database.
func TestLookingLeavesNothing(t *testing.T) {
	w := onSQLite(t)
	b := w.browser()
	for _, p := range []string{"/", "/sign-in", "/sign-in?next=/manage/o/perse", "/forgotten", "/o/perse", "/admin", "/set-up", "/nothing", "/invitation/x"} {
		b.get(Prefix + p)
	}
	var n int
	w.must(w.dir.DB.QueryRow(`SELECT COUNT(*) FROM directory_sessions`).Scan(&n))
	if n != 0 || b.cookie() != "" {
		t.Errorf("%d sessions, cookie %q", n, b.cookie())
	}
}

// Odd requests are refused and not failed upon.
func TestOddRequests(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	for _, p := range []string{"/o/%00", "/o/..%2f..%2f", "/o/perse%2fapplications", "/o/" + strings.Repeat("x", 5000), "/o/perse/applications/%ff", "/o/perse/certificates/1", "/o/perse/certificates/-1.pem",
		"/o/perse/certificates/" + strings.Repeat("9", 100) + ".pem", "/o/perse/tokens/x", "/invitation/%00/accept"} {
		if got := olive.get(Prefix + p); got.status != 404 && got.status != 410 && got.status != 301 && got.status != 307 {
			t.Errorf("GET %.60s: %d: %s", p, got.status, words(got.body))
		}
	}
	olive.post(Prefix+"/o/perse/details", "email", strings.Repeat("x", maxBody)).is(413, "64 KiB")
	olive.post(Prefix+"/o/perse/applications", "name", "a\x00b").is(400, "printable")
	olive.post(Prefix+"/sign-in", "email", "\x00\xff", "password", "\x00\xff").is(403, "wrong")
	olive.post(Prefix+"/o/perse/people", "email", "a@b.example\r\nBcc: c@d.example").is(400, "email address")
	if strings.Contains(w.logs.String(), "page failed") {
		t.Errorf("a page failed: %s", w.logs.String())
	}
}
