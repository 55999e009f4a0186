package permission

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"pgregory.net/rapid"
)

func TestCheckRedirect(t *testing.T) {
	good := []string{
		"https://bank.example/cb", "https://bank.example", "https://bank.example:8443/cb?x=1&y=a%20b", "https://xn--bcher-kva.example/",
		"http://localhost:9000/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb", "https://192.0.2.1/cb",
	}
	bad := []string{
		"", "/cb", "bank.example/cb", "//bank.example/cb", "http://bank.example/cb", "ftp://bank.example/", "javascript:alert(1)", "data:text/html,x",
		"https://bank.example/cb#", "https://bank.example/cb#x", "https://user@bank.example/", "https://bank.example@evil.example/", "https://u:p@bank.example/",
		"https:///cb", "https:bank.example", "https://", "https://:443/", "https://bank.example\\@evil.example/", "https://bank.example/\r\nSet-Cookie: x",
		"https://bank.example/ cb", "https://bücher.example/", "https://bank.example/cb?code=x", "https://bank.example/cb?a=1&iss=x", "https://bank.example/cb?st%61te=x",
		"https://bank.example/cb?a;b", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://[fe80::1%25eth0]/", "https://bank.example/<x>",
		"https://bank_example/", "https://" + strings.Repeat("a", 2000) + ".example/", "HTTPS://bank.example/%", "https://*.example/",
	}
	for _, u := range good {
		if err := checkRedirect(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range bad {
		if checkRedirect(u) == nil {
			t.Errorf("%s was taken", u)
		}
	}
}

// Whatever address is taken, the answer goes to its host, as the page showed
// it, and carries exactly one code.
func FuzzCheckRedirect(f *testing.F) {
	for _, s := range []string{"https://bank.example/cb?x=1", "http://[::1]:80/cb", "https://bank.example@evil.example/", "https://a/?#", "http://127.0.0.1?", "https://a?code=1&&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if checkRedirect(raw) != nil {
			return
		}
		before, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		after, err := url.Parse(withAnswer(raw, url.Values{"code": {"c"}, "iss": {"https://relay.example"}}))
		if err != nil || after.Host != before.Host || after.Scheme != before.Scheme || after.Path != before.Path || after.Fragment != "" ||
			len(after.Query()["code"]) != 1 || after.Query().Get("code") != "c" {
			t.Fatalf("%q became %v, %v", raw, after, err)
		}
		if before.Scheme != "https" && !loopback(before.Hostname()) {
			t.Fatalf("%q was taken", raw)
		}
	})
}

func TestMarksOfMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"_For customers with a smart meter:_": "For customers with a smart meter:",
		"See our [Policy](https://registry.example/policy/2026-03-12). And [two](https://b.example/x?y=1).": "See our Policy (https://registry.example/policy/2026-03-12). And two (https://b.example/x?y=1).",
		"* a [Policy](https://r.example/p)\n* _b_":                                                          "a Policy (https://r.example/p)|b",
		"a_name_stays, [EDP] too, [x](javascript:alert(1)) and [y](http://z.example)":                       "a_name_stays, [EDP] too, [x](javascript:alert(1)) and [y](http://z.example)",
	} {
		var got []string
		for _, b := range blocks(text) {
			if b.Text != "" {
				got = append(got, b.Text)
			}
			got = append(got, b.Items...)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestBlocks(t *testing.T) {
	got := fmt.Sprint(blocks("One\ntwo.\n\n* a\n* b\n  c\n\nThree:\n* d\n\n\n"))
	if want := "[{One two. []} { [a b c]} {Three: []} { [d]}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add("One\n\n* a\n* b\nc")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		var words []string
		for _, b := range blocks(text) {
			if (b.Text == "") == (len(b.Items) == 0) {
				t.Fatalf("block %+v", b)
			}
			words = append(append(words, strings.Fields(b.Text)...), strings.Fields(strings.Join(b.Items, " "))...)
		}
		if len(words) > len(strings.Fields(text)) { // no word comes out of nowhere
			t.Fatalf("%q became %q", text, words)
		}
	})
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"  Green\n Bank\tplc ": "Green Bank plc", "Caffè Néro €": "Caffè Néro €", "evil\u202egnp.exe\u200b": "evilgnp.exe", "\x00\x1b[31m": "[31m", "a\xffb": "ab", "\u00a0": "",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := cleanName(rapid.String().Draw(t, "name"))
		if len([]rune(s)) > maxName || s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) || cleanName(s) != s {
			t.Fatalf("%q", s)
		}
	})
}

func TestPreferredWait(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": 0, "wait=50": 50 * time.Second, "wait=55": maxWait, "wait=3600": maxWait, "respond-async, wait=10": 10 * time.Second, `Wait = "7"; x=1`: 7 * time.Second,
		"wait": 0, "wait=-1": 0, "wait=x": 0, "wait=99999999999999999999": 0, "waits=5": 0,
	} {
		if got := preferredWait([]string{in}); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestSealer(t *testing.T) {
	s, err := newSealer([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		token, id, other := rapid.String().Draw(t, "token"), rapid.String().Draw(t, "id"), rapid.String().Draw(t, "other")
		sealed := s.sealed(token, id)
		if got, err := s.open(sealed, id); err != nil || got != token {
			t.Fatal(got, err)
		}
		if _, err := s.open(sealed, other); err == nil && other != id {
			t.Fatal("opened in another permission")
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")] ^= 1
		if _, err := s.open(sealed, id); err == nil {
			t.Fatal("an altered copy opened")
		}
	})
	if s.accountOf("ab", "c", time.Time{}) == s.accountOf("a", "bc", time.Time{}) {
		t.Error("accounts run into one another")
	}
}

// The hub wakes at once for this process, within pollEvery for others, asks
// the database once however many wait, and rests when nobody does.
func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, version atomic.Int64
		h := newHub(func(context.Context) (map[string]int64, error) {
			asked.Add(1)
			if version.Load() < 0 {
				return nil, context.DeadlineExceeded
			}
			return map[string]int64{"a": version.Load(), "c": 9}, nil
		})
		var as []*watch
		for range 100 {
			as = append(as, h.watch("a"))
		}
		b := h.watch("b")
		woken := func(w *watch) bool {
			select {
			case <-w.ch:
				return true
			default:
				return false
			}
		}
		h.wake("a")
		h.wake("a")
		for _, w := range as {
			if !woken(w) || woken(w) {
				t.Fatal("not woken once")
			}
		}
		for _, w := range as {
			w.saw(5)
		}
		version.Store(5)
		time.Sleep(10*pollEvery + time.Millisecond) // the bubble's clock
		if woken(as[0]) || asked.Load() != 10 {
			t.Errorf("woken for what it knew, or asked %d times", asked.Load())
		}
		version.Store(-1) // the database fails: nothing happens, nothing breaks
		time.Sleep(pollEvery)
		version.Store(6)
		time.Sleep(pollEvery)
		for _, w := range as {
			if !woken(w) || woken(b) {
				t.Fatal("a change by another process")
			}
			w.stop()
		}
		b.stop()
		time.Sleep(pollEvery)
		before := asked.Load()
		time.Sleep(time.Hour)
		if asked.Load() != before || len(h.waiting) != 0 {
			t.Errorf("asks %d times an hour for nobody", asked.Load()-before)
		}
		w := h.watch("a") // and begins again
		version.Store(7)
		time.Sleep(pollEvery + time.Millisecond)
		if !woken(w) {
			t.Error("not woken after a rest")
		}
		w.stop()
		time.Sleep(pollEvery)
		synctest.Wait()
	})
}
